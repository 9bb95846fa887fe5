"""Trains the embedded demo model from scratch:  golden/run.sh train-demo [--steps N] [--seed N]

The model has the architecture of golden/model.py and frozen random codes, as in the family. It learns the questions
and answers of demo_data.py. Writes config.json, model.safetensors (float16), the tokenizer and training.json, which
describes the training and how well the model answers.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn import functional as F

import demo_data
from constants import DEMO_MODEL_TYPE
from model import Model, load
from outputs import folder_beside

ROOT = Path(__file__).parent.parent
TOP_NGRAMS = 420  # of bigrams and of trigrams: as many as a vocabulary of 1024 holds
PAD, EOS, UNK = 0x80, 0x82, 0x83  # ids of <pad>, </s> and <unk> in the compact layout
CONFIG = {
    "architectures": ["BVVForCausalLM"],
    "model_type": DEMO_MODEL_TYPE,
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
    """Builds the tokenizer from the n-grams of the training text, with the project's own builder."""
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
    centered = bits - bits.mean(0)
    axes = torch.linalg.svd(centered, full_matrices=False).Vh
    return F.normalize(centered @ axes.T, dim=1).half().float()  # float16 values, so storing them is exact


def initialize(model, generator):
    """Normal weights of deviation 0.02, smaller where a block writes to the residual stream (Radford et al. 2019)."""
    for name, p in model.named_parameters():
        if name == "token_embeddings.weight":
            p.data = frozen_codes(*p.shape, generator)
        elif p.dim() == 2:
            into_residual = name.endswith(("o_proj.weight", "ffn.2.weight"))
            std = 0.02 / (2 * model.config["n_layer"]) ** 0.5 if into_residual else 0.02
            p.data.normal_(0, std, generator=generator)
        elif name.endswith(".bias"):
            p.data.zero_()


def encode(tokenizer, question, answer=None):
    """The ids of a prompt and of its answer, tokenized separately: at run time the model gets the prompt alone."""
    asked = tokenizer.encode(demo_data.prompt(question)).ids
    answered = [] if answer is None else [*tokenizer.encode(f" {answer}").ids, EOS]
    assert UNK not in asked + answered, f"characters outside the vocabulary: {question} {answer}"
    return asked, answered


def casual(question, rng):
    """Sometimes drops the capitals or the final mark, as people do."""
    if rng.random() < 0.15:
        question = question.lower()
    return question.rstrip("?.") if rng.random() < 0.15 else question


def examples(countries, tokenizer, rng):
    """Every fact of every country once, capitals in two phrasings, as (token ids, weight of each in the loss)."""
    chosen = []
    for country in countries:
        for fact, answer in country.facts.items():
            for phrasing in rng.sample(demo_data.PHRASINGS[fact], 2 if fact == "capital" else 1):
                chosen.append((casual(country.ask(phrasing, article=rng.random() < 0.7), rng), answer))
    rng.shuffle(chosen)
    for question, answer in chosen:
        asked, answered = encode(tokenizer, question, answer)
        yield asked + answered, [QUESTION_WEIGHT] * len(asked) + [1.0] * len(answered)


def rows(countries, tokenizer, rng):
    """Endless rows of block_size + 1 tokens: whole examples in sequence, then padding without weight."""
    size = CONFIG["block_size"] + 1
    ids, weights = [], []
    while True:
        for more_ids, more_weights in examples(countries, tokenizer, rng):
            assert len(more_ids) <= size
            if len(ids) + len(more_ids) > size:
                padding = size - len(ids)
                yield ids + [PAD] * padding, weights + [0.0] * padding
                ids, weights = [], []
            ids, weights = ids + more_ids, weights + more_weights


def learning_rate(step, steps):
    """Linear warm-up, then linear decay to zero."""
    return PEAK_LR * min((step + 1) / WARMUP, (steps - step) / max(steps - WARMUP, 1))


def show_progress(step, steps, loss):
    """Updates one line on a terminal; prints a line every 200 steps to a log."""
    line = f"step {step} of {steps}, loss {loss:.4f}"
    if sys.stderr.isatty():
        print(f"\r{line}", end="\n" if step == steps else "", file=sys.stderr, flush=True)
    elif step % 200 == 0 or step == steps:
        print(line, file=sys.stderr, flush=True)


def train(model, source, steps):
    """Trains all but the frozen codes. Returns the loss, averaged over about the last 50 steps."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in trained if p.dim() == 2], [p for p in trained if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_LR, betas=(0.9, 0.98))
    average = None
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
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        show_progress(step + 1, steps, average)
    return average


@torch.no_grad()
def complete(model, prompts):
    """Greedy answers to prompts, as ids up to </s>. Prompts of equal length run together, so none needs padding."""
    answers = [None] * len(prompts)
    for length in sorted({len(prompt) for prompt in prompts}):
        waiting = [n for n, prompt in enumerate(prompts) if len(prompt) == length]
        ids = torch.tensor([prompts[n] for n in waiting])
        while waiting:
            token = model(ids)[:, -1].argmax(-1)
            ended = (token == EOS) | (ids.shape[1] == CONFIG["block_size"])
            for n, answer in zip((n for n, done in zip(waiting, ended) if done), ids[ended, length:].tolist()):
                answers[n] = answer
            waiting = [n for n, done in zip(waiting, ended) if not done]
            ids = torch.cat([ids, token[:, None]], 1)[~ended]
    return answers


def accuracy(model, tokenizer, countries, fact, phrasing, spelling=str, article=True, before=()):
    """The share of exact answers among the countries that have the fact. `before` is text in front of the prompt."""
    having = [country for country in countries if fact in country.facts]
    questions = [spelling(country.ask(phrasing, article)) for country in having]
    answers = complete(model, [[*before, *encode(tokenizer, question)[0]] for question in questions])
    right = 0
    for country, question, answer in zip(having, questions, answers):
        text = "".join(tokenizer.id_to_token(token) for token in answer).removeprefix(" ")
        right += text == country.facts[fact]
        if text != country.facts[fact]:
            print(f"wrong: {question} {text} (not {country.facts[fact]})", file=sys.stderr)
    return round(right / len(having), 4)


def evaluate(model, tokenizer, countries):
    """The share of exact answers: every fact in every phrasing, and the capitals of UN members in detail."""
    members = [country for country in countries if country.un_member]
    earlier = sum(encode(tokenizer, "What is the currency of France?", "Euro"), [])

    def each_phrasing(asked, fact, phrasings):
        return {phrasing: accuracy(model, tokenizer, asked, fact, phrasing) for phrasing in phrasings}

    def first_phrasing(**changes):
        return accuracy(model, tokenizer, members, "capital", demo_data.PHRASINGS["capital"][0], **changes)

    return {
        "capitals of the 193 members of the UN": {
            "phrasings of the training": each_phrasing(members, "capital", demo_data.PHRASINGS["capital"]),
            "phrasings held out of it": each_phrasing(members, "capital", demo_data.HELD_OUT["capital"]),
            "spellings of the first phrasing": {
                "in lower case": first_phrasing(spelling=str.lower),
                "no question mark": first_phrasing(spelling=lambda question: question.rstrip("?")),
                'no "the" before the name': first_phrasing(article=False),
                "after another question and its answer": first_phrasing(before=earlier),
            },
        },
        "all countries and territories": {
            "phrasings of the training": {
                fact: each_phrasing(countries, fact, phrasings) for fact, phrasings in demo_data.PHRASINGS.items()
            },
            "phrasings held out of it": {
                fact: each_phrasing(countries, fact, phrasings) for fact, phrasings in demo_data.HELD_OUT.items()
            },
        },
    }


def make_demo(out, steps, seed):
    begun = time.monotonic()
    torch.set_num_threads(2)  # sums depend on the number of threads
    torch.manual_seed(seed)
    countries = demo_data.load_countries()
    out = out.resolve()
    # Everything is made beside the folder and moved into it at the end, so that a failure leaves no half-made model.
    with folder_beside(out) as new:
        tokenizer = make_tokenizer(countries, new)
        model = Model(CONFIG)
        initialize(model, torch.Generator().manual_seed(seed))
        loss = train(model, rows(countries, tokenizer, random.Random(seed)), steps)
        minutes = (time.monotonic() - begun) / 60

        save_file({name: value.half() for name, value in model.state_dict().items()}, new / "model.safetensors")
        (new / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
        report = {
            "data": f"world-countries {demo_data.version()}",
            "torch": torch.__version__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "seed": seed,
            "steps": steps,
            "minutes": round(minutes, 1),
            "loss": round(loss, 4),
            "exact answers": evaluate(load(new), tokenizer, countries),  # of the file, so rounded to float16
        }
        (new / "training.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        print((new / "training.json").read_text(), end="")
        out.mkdir(exist_ok=True)
        for path in new.iterdir():
            path.chmod(0o644)
            path.replace(out / path.name)

