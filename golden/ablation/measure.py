"""What is measured of a model. All of it on text or wordings that no run is trained on."""

import math

import torch
from torch.nn import functional as F

from ablation.data import CURVE_ROWS, FACTS, HELD_OUT
from train_demo import EOS, PAD, encode

CARRIER = "Question: Tell me about {}.\nAnswer:"  # the one of `emergent neighbors`
NEIGHBORS = 5
PROBE_MIN_COUNT, PROBE_FOLDS, PROBE_RIDGE = 5, 5, 1.0
BATCH = 64


def log_probabilities(model, ids):
    """Of each next token. ids [N, T + 1] -> [N, T, V]"""
    return model(ids[:, :-1]).log_softmax(-1)


def bits_per_character(model, data, rows):
    """On held-out prose: bits of all predicted tokens, divided by their characters."""
    nats = characters = 0
    for ids in rows.split(BATCH):
        targets = ids[:, 1:]
        nats -= log_probabilities(model, ids).gather(-1, targets[..., None]).double().sum().item()
        characters += data.lengths[targets].sum().item()
    return nats / math.log(2) / characters


def answers(model, data, wordings):
    """Per fact: the share of exact greedy answers, and bits per character of the right answer.

    The greedy answer is right if every token of the right answer, with the end, is the likeliest after those before.
    """
    found = {}
    for fact in FACTS:
        examples = [
            encode(data.tokenizer, country.ask(wording), country.facts[fact])
            for wording in HELD_OUT[fact][:wordings]
            for country in data.countries
        ]
        exact = nats = characters = 0
        for start in range(0, len(examples), BATCH):
            batch = examples[start : start + BATCH]
            longest = max(len(asked) + len(answered) for asked, answered in batch)
            ids = torch.full((len(batch), longest), PAD)
            is_answer = torch.zeros(len(batch), longest, dtype=torch.bool)
            for n, (asked, answered) in enumerate(batch):
                ids[n, : len(asked) + len(answered)] = torch.tensor(asked + answered)
                is_answer[n, len(asked) : len(asked) + len(answered)] = True
            logs, targets, is_answer = log_probabilities(model, ids), ids[:, 1:], is_answer[:, 1:]
            exact += ((logs.argmax(-1) == targets) | ~is_answer).all(1).sum().item()
            nats -= logs.gather(-1, targets[..., None])[..., 0][is_answer].double().sum().item()
            characters += data.lengths[targets[is_answer & (targets != EOS)]].sum().item()
        found[fact] = {"exact": exact / len(examples), "bits": nats / math.log(2) / characters}
    return found


def states(model, ids):
    """The input of the first block and the output of every block, [N, T, C] each."""
    found = []

    def keep(name, value):
        if name == "expanded" or name.endswith(".resid"):
            found.append(value)

    model(ids, keep)
    return found


def same_continent(model, data):
    """Per layer: the share of each country's five nearest neighbors on its own continent. And the share by chance.

    As `emergent neighbors`: layer 0 is the mean code of the name's tokens, layer n the state at the carrier's end.
    """
    vectors = None
    for country in data.countries:
        name = torch.tensor([data.encode(country.name)])
        ids = torch.tensor([data.encode(CARRIER.format(country.name))])
        layers = [states(model, name)[0][0].mean(0), *(state[0, -1] for state in states(model, ids)[1:])]
        vectors = [[] for _ in layers] if vectors is None else vectors
        for kept, vector in zip(vectors, layers):
            kept.append(vector)
    continents = [country.facts["continent"] for country in data.countries]
    same = torch.tensor([[a == b for b in continents] for a in continents])
    shares = []
    for kept in vectors:
        x = torch.stack(kept).double()
        x = F.normalize(x - x.mean(0), dim=1)
        cosines = (x @ x.T).fill_diagonal_(-2)
        shares.append(same.gather(1, cosines.topk(NEIGHBORS, 1).indices).double().mean().item())
    N = len(continents)
    return shares, (same.sum().item() - N) / (N * (N - 1))


def token_class(string):
    """The class of a token by its first character."""
    first = string[0]
    if first.isspace():
        return "space"
    if not first.isalpha():
        return "mark"
    if first.isupper():
        return "capital"
    return "vowel" if first in "aeiou" else "consonant"


def token_probe(model, data):
    """Per layer: how well a linear probe tells the class of tokens that it was not fitted to. And the largest class.

    The examples are the tokens with at least PROBE_MIN_COUNT places in the held-out prose, each with its mean state.
    Ridge regression on one-hot classes, five folds over tokens: a probe cannot know a token by heart.
    """
    V, ids = len(data.strings), data.held_out_prose
    counts = torch.bincount(ids[:, :-1].flatten(), minlength=V)
    sums = None
    for rows in ids.split(BATCH):
        layers = states(model, rows[:, :-1])
        sums = [torch.zeros(V, state.shape[-1], dtype=torch.double) for state in layers] if sums is None else sums
        for total, state in zip(sums, layers):
            total.index_add_(0, rows[:, :-1].flatten(), state.flatten(0, 1).double())
    tokens = (counts >= PROBE_MIN_COUNT).nonzero()[:, 0]
    names = sorted({token_class(data.strings[n]) for n in tokens})
    labels = torch.tensor([names.index(token_class(data.strings[n])) for n in tokens])
    one_hot = F.one_hot(labels).double()
    fold = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0)) % PROBE_FOLDS
    shares = []
    for total in sums:
        x = total[tokens] / counts[tokens, None]
        right = 0
        for n in range(PROBE_FOLDS):
            fit, test = fold != n, fold == n
            mean, std = x[fit].mean(0), x[fit].std(0) + 1e-9
            z, bias = (x - mean) / std, one_hot[fit].mean(0)
            gram = z[fit].T @ z[fit] + PROBE_RIDGE * torch.eye(z.shape[1], dtype=torch.double)
            weights = torch.linalg.solve(gram, z[fit].T @ (one_hot[fit] - bias))
            right += ((z[test] @ weights + bias).argmax(1) == labels[test]).sum().item()
        shares.append(right / len(tokens))
    return shares, one_hot.mean(0).max().item()


@torch.no_grad()
def along_the_way(model, data):
    """A point of the curves: a quarter of the held-out prose, one held-out wording of each fact."""
    facts = answers(model, data, 1)
    return {
        "bpc": bits_per_character(model, data, data.held_out_prose[:: len(data.held_out_prose) // CURVE_ROWS]),
        "exact": {fact: found["exact"] for fact, found in facts.items()},
    }


@torch.no_grad()
def at_the_end(model, data):
    neighbors, neighbors_chance = same_continent(model, data)
    probe, probe_chance = token_probe(model, data)
    return {
        "bpc": bits_per_character(model, data, data.held_out_prose),
        "facts": answers(model, data, None),
        "same_continent": neighbors,
        "same_continent_chance": neighbors_chance,
        "token_class": probe,
        "token_class_chance": probe_chance,
    }
