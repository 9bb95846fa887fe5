"""Trains the embedded demo model from scratch:  golden/run.sh train-demo [--steps N] [--seed N]

A small model of exactly the architecture of golden/model.py, with frozen random codes as the family has them, on the
questions and answers of demo_data.py. Writes config.json, model.safetensors (float16), the tokenizer and training.json
(how it went and how well the model answers).
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from torch.nn import functional as F

import demo_data
from model import Model, load

ROOT = Path(__file__).parent.parent
TOP_NGRAMS = 420  # bigrams and trigrams each: what fits a vocabulary of 1024
PAD, EOS = 0x80, 0x82  # where the compact layout has <pad> and </s>
CONFIG = {
    "architectures": ["BVVForCausalLM"],
    "model_type": "demo_12_float",
    "vocab_size": 1024,
    "block_size": 128,
    "n_embed": 12,
    "d_model": 192,
    "n_layer": 4,
    "n_head": 6,
    "pad_id": PAD,
    "torch_dtype": "float16",
    "rope_pairing": "half",
    "rope_theta": 10000.0,
    "gelu_approximate": "none",
    "norm_position": "pre",
    "layer_norm_eps": 1e-5,
}
BATCH = 32  # rows of block_size tokens
PEAK_LR, WARMUP = 2e-3, 100
QUESTION_WEIGHT = 0.1  # how much a question's tokens count in the loss; an answer's count 1


def make_tokenizer(countries, out):
    """Has the project's own builder make the tokenizer from the n-grams of the training text."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "ngrams.json"
        counts.write_text(json.dumps(demo_data.ngram_counts(countries)))
        command = ["npm", "run", "--silent", "emergent", "--", "build-tokenizer", "--ngrams", counts, "--out", out]
        layout = ["--layout", "compact", "--vocab-size", CONFIG["vocab_size"], "--top", TOP_NGRAMS]
        subprocess.run([str(part) for part in command + layout], cwd=ROOT, check=True)
    return Tokenizer.from_file(str(out / "tokenizer.json"))


def frozen_codes(V, E, generator):
    """The embedding of the family's FLOAT members: unique random bits, PCA, each row scaled to length 1. [V, E]"""
    patterns = torch.randperm(2**E, generator=generator)[:V]
    bits = (patterns[:, None] >> torch.arange(E) & 1).double()
    centred = bits - bits.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False).Vh
    return F.normalize(centred @ axes.T, dim=1).half().float()  # what float16 can hold, so that storing it is exact


def initialise(model, generator):
    """Normal weights of 0.02, smaller where a block writes to the residual stream (Radford et al. 2019)."""
    for name, p in model.named_parameters():
        if name == "token_embeddings.weight":
            p.data = frozen_codes(*p.shape, generator)
        elif p.dim() == 2:
            into_residual = name.endswith(("o_proj.weight", "ffn.2.weight"))
            std = 0.02 / (2 * CONFIG["n_layer"]) ** 0.5 if into_residual else 0.02
            p.data.normal_(0, std, generator=generator)
        elif name.endswith(".bias"):
            p.data.zero_()


def examples(countries, tokenizer, rng):
    """Every fact of every country once, capitals in two phrasings, as (token ids, weight of each in the loss)."""
    chosen = []
    for country in countries:
        for fact, answer in country.facts.items():
            for phrasing in rng.sample(demo_data.PHRASINGS[fact], 2 if fact == "capital" else 1):
                question = country.ask(phrasing, fact, article=rng.random() < 0.7)
                style = rng.random()  # people are careless: no capitals, no question mark
                question = question.lower() if style < 0.1 else question.rstrip("?.") if style < 0.2 else question
                chosen.append((question, answer))
    rng.shuffle(chosen)
    for question, answer in chosen:
        # Question and answer are tokenized apart, because a prompt ends where the question does.
        asked = tokenizer.encode(demo_data.prompt(question)).ids
        answered = [*tokenizer.encode(f" {answer}").ids, EOS]
        yield asked + answered, [QUESTION_WEIGHT] * len(asked) + [1.0] * len(answered)


def rows(countries, tokenizer, rng):
    """Endless rows of block_size + 1 tokens: whole examples one after the other, the rest padding that has no weight."""
    size = CONFIG["block_size"] + 1
    while True:
        ids, weights = [], []
        for more_ids, more_weights in examples(countries, tokenizer, rng):
            if len(ids) + len(more_ids) > size:
                padding = size - len(ids)
                yield ids + [PAD] * padding, weights + [0.0] * padding
                ids, weights = [], []
            ids, weights = ids + more_ids, weights + more_weights


def learning_rate(step, steps):
    """Linear warm-up, then down to nothing in a straight line."""
    return PEAK_LR * min((step + 1) / WARMUP, (steps - step) / steps)


def train(model, source, steps):
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in trained if p.dim() == 2], [p for p in trained if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR, betas=(0.9, 0.98))
    running = None
    for step in range(steps):
        batch = [next(source) for _ in range(BATCH)]
        ids = torch.tensor([row[0] for row in batch])
        weights = torch.tensor([row[1] for row in batch])[:, 1:]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        losses = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} of {steps}, loss {running:.4f}", file=sys.stderr, flush=True)
    return running


@torch.no_grad()
def answers(model, tokenizer, questions, longest=32):
    """Greedy answers. Prompts of one length run together, so that none needs padding."""
    prompts = {question: tokenizer.encode(demo_data.prompt(question)).ids for question in questions}
    found = {}
    for length in {len(ids) for ids in prompts.values()}:
        group = [question for question, ids in prompts.items() if len(ids) == length]
        ids = torch.tensor([prompts[question] for question in group])
        for _ in range(longest):
            ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], 1)
            if (ids[:, length:] == EOS).any(1).all():
                break
        for question, row in zip(group, ids[:, length:].tolist()):
            answer = row[: row.index(EOS)] if EOS in row else row
            found[question] = "".join(tokenizer.id_to_token(token) for token in answer).strip()
    return found


def accuracy(model, tokenizer, countries, phrasing, fact):
    asked = {country.ask(phrasing, fact): country.facts[fact] for country in countries if fact in country.facts}
    found = answers(model, tokenizer, asked)
    return round(sum(found[question] == answer for question, answer in asked.items()) / len(asked), 4)


def evaluate(model, tokenizer, countries):
    """The share of exact answers: the UN's capitals in every phrasing, and every fact of every country."""
    members = [country for country in countries if country.un_member]
    return {
        "capitals of the UN's 193 members, by phrasing": {
            phrasing: accuracy(model, tokenizer, members, phrasing, "capital")
            for phrasing in demo_data.PHRASINGS["capital"]
        },
        "the same in phrasings never trained on": {
            phrasing: accuracy(model, tokenizer, members, phrasing, "capital")
            for phrasing in demo_data.HELD_OUT["capital"]
        },
        "all countries and territories, by fact": {
            fact: accuracy(model, tokenizer, countries, phrasings[0], fact)
            for fact, phrasings in demo_data.PHRASINGS.items()
        },
    }


def write(path, content):
    """Replaces a file in one go, so that nobody ever reads half of one."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content)
    temporary.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)

    begun = time.time()
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    countries = demo_data.load_countries()
    tokenizer = make_tokenizer(countries, out)
    model = Model(CONFIG)
    initialise(model, generator)
    loss = train(model, rows(countries, tokenizer, random.Random(arguments.seed)), arguments.steps)

    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    write(out / "config.json", (json.dumps(CONFIG, indent=2) + "\n").encode())
    write(out / "model.safetensors", save(weights, {"format": "pt"}))
    report = {
        "seed": arguments.seed,
        "steps": arguments.steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": round(loss, 4),
        "minutes": round((time.time() - begun) / 60, 1),
        "torch": torch.__version__,
        "exact answers": evaluate(load(out), tokenizer, countries),
    }
    write(out / "training.json", (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
    print(json.dumps(report, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
