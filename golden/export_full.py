"""Writes the truth of the full-size synthetic models:  golden/run.sh full     (npm run golden:full)

Some dozens of elements of every activation and a few thousand logits, in float64, with the norm of the whole activation:
some hundred kB a model. Takes about a minute and 5 GB of memory a model.
"""

import argparse
import sys
from pathlib import Path

import torch

from files import samples, trace_header, write_tensors
from model import run
from constants import EMBEDDING_WIDTHS
from synthetic import synthetic_model

SEED = 1
TOKENS = [72, 101, 57811, 32, 65535, 0, 32, 57346]
SAMPLES = {"logits": 4096}
DEFAULT_SAMPLES = 64


def export_preset(preset, out):
    activations = {}
    for dtype in (torch.float64, torch.float32):
        model = synthetic_model(preset, SEED, dtype)
        activations[dtype] = run(model, TOKENS)
        del model
    tensors, sampled = samples(activations[torch.float64], lambda name: SAMPLES.get(name, DEFAULT_SAMPLES))
    header = trace_header(TOKENS, activations[torch.float64], activations[torch.float32])
    header |= {"sampled": sampled, "synthetic": {"preset": preset, "seed": SEED}}
    write_tensors(out / f"{preset}.safetensors", tensors, header)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=EMBEDDING_WIDTHS, action="append")
    arguments = parser.parse_args()
    for preset in arguments.preset or EMBEDDING_WIDTHS:
        export_preset(preset, arguments.out)
        print(f"golden: {preset} written", file=sys.stderr)
