"""Reads and writes the files that the programs of golden/ share."""

import hashlib
import json

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_torch

from constants import COMPUTED_FIXTURES, FORMAT


def samples(activations, count_of):
    """Takes about `count_of(name)` elements of each activation, evenly spaced.

    Returns the elements, and what the header of the golden file says about them. The step is odd, so that the samples
    reach every column.
    """
    tensors, sampled = {}, {}
    for name, x in activations.items():
        step = max(1, x.numel() // count_of(name)) | 1
        tensors[name] = x.flatten()[::step].numpy()
        sampled[name] = {"shape": list(x.shape), "step": step, "norm": x.double().norm().item()}
    return tensors, sampled


def trace_header(tokens, truth, float32, weights_sha256=None):
    """What a golden file says about its activations, for `emergent verify`."""
    distance = {name: float((truth[name] - float32[name]).norm() / truth[name].norm()) for name in truth}
    header = {
        "format": FORMAT,
        "producer": f"PyTorch {torch.__version__.split('+')[0]}",
        "precision": "float64",
        "tokens": tokens,
    }
    if weights_sha256 is not None:
        header["weights_sha256"] = weights_sha256
    return {**header, "float32_distance": {name: float(f"{value:.2g}") for name, value in distance.items()}}


def write_tensors(path, tensors, header=None):
    """Writes a safetensors file. The header is one metadata entry: safetensors does not keep the order of several."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = None if header is None else {"emergent": json.dumps(header)}
    path.write_bytes(save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, metadata))


def write_weights(path, weights, dtype):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(save_torch({name: value.to(dtype) for name, value in weights.items()}, {"format": "pt"}))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_input(path):
    """Whether a fixture is an input or weights, and so the same bytes on every machine."""
    return path.name not in COMPUTED_FIXTURES
