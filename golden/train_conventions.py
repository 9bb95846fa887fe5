"""Trains one small model under each combination of conventions, for `emergent calibrate` to tell apart:

    golden/run.sh train-conventions     (about three minutes)

The models use the demo's data and tokenizer, have a tenth of its size, and train briefly. Like a published
config.json, theirs do not state the conventions; the folder's name does. text.txt holds questions and answers to
calibrate with.
"""

import itertools
import json
import random
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

import demo_data
import train_demo
from constants import CONVENTIONS
from model import Model

SIZE = {"d_model": 48, "n_layer": 2, "n_head": 3}
STEPS = 400


def train_one(conventions, countries, tokenizer, out):
    config = {**train_demo.CONFIG, **SIZE, **conventions, "model_type": "-".join(conventions.values())}
    torch.manual_seed(1)
    model = Model(config)
    train_demo.initialize(model, torch.Generator().manual_seed(1))
    loss = train_demo.train(model, train_demo.rows(countries, tokenizer, random.Random(1)), STEPS)
    folder = out / config["model_type"]
    folder.mkdir(parents=True, exist_ok=True)
    published = {key: value for key, value in config.items() if key not in CONVENTIONS and key != "layer_norm_eps"}
    (folder / "config.json").write_text(json.dumps(published, indent=1) + "\n")
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    print(f"{config['model_type']}: loss {loss:.3f}", flush=True)


def calibration_text(countries):
    """One question per country, with a random fact and phrasing."""
    rng = random.Random(2)
    lines = []
    for country in countries:
        fact = rng.choice(sorted(country.facts))
        question = country.ask(rng.choice(demo_data.PHRASINGS[fact]))
        lines.append(f"{demo_data.prompt(question)} {country.facts[fact]}</s>")
    return "".join(lines)


def train_all(out):
    countries = demo_data.load_countries()
    tokenizer = Tokenizer.from_file(str(Path(__file__).parent.parent / "models/demo/tokenizer.json"))
    for choice in itertools.product(*CONVENTIONS.values()):
        train_one(dict(zip(CONVENTIONS, choice)), countries, tokenizer, out)
    (out / "text.txt").write_text(calibration_text(countries))
