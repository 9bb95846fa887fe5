"""Writes PyTorch's truth for the full-size synthetic models:  golden/run.sh full    (npm run golden:full)

A file holds about 64 elements of every activation, about 4,096 logits, and the norm of each whole activation, all in
float64. It takes a few hundred kB. Each model needs about a minute and 5 GB of memory.
"""

import torch

from files import samples, trace_header, write_tensors
from model import run
from synthetic import synthetic_model

SEED = 1
TOKENS = [72, 101, 57811, 32, 65535, 0, 32, 57346]
SAMPLES = {"logits": 4096}
DEFAULT_SAMPLES = 64


def export_preset(preset, path):
    activations = {}
    for dtype in (torch.float64, torch.float32):
        model = synthetic_model(preset, SEED, dtype)
        activations[dtype] = run(model, TOKENS)
        del model
    tensors, sampled = samples(activations[torch.float64], lambda name: SAMPLES.get(name, DEFAULT_SAMPLES))
    header = trace_header(TOKENS, activations[torch.float64], activations[torch.float32])
    header |= {"sampled": sampled, "synthetic": {"preset": preset, "seed": SEED}}
    write_tensors(path, tensors, header)
