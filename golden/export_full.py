"""Writes the truth of the full-size synthetic models:  golden/run.sh full     (npm run golden:full)

Some dozens of elements of every activation and a few thousand logits, in float64, with the norm of the whole activation:
some hundred kB a model. Takes about a minute and 5 GB of memory a model.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

import export
from model import run
from synthetic import WIDTHS, synthetic_model

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
    tensors, sampled = export.samples(activations[torch.float64], lambda name: SAMPLES.get(name, DEFAULT_SAMPLES))
    header = export.trace_header("float64", TOKENS, None, activations[torch.float64], activations[torch.float32])
    content = {**json.loads(header["emergent"]), "sampled": sampled, "synthetic": {"preset": preset, "seed": SEED}}
    del content["weights_sha256"]
    export.write_tensors(out / f"{preset}.safetensors", tensors, {"emergent": json.dumps(content)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=WIDTHS, action="append")
    arguments = parser.parse_args()
    for preset in arguments.preset or WIDTHS:
        export_preset(preset, arguments.out)
        print(f"golden: {preset} written", file=sys.stderr)
