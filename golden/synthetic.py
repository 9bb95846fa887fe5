"""Checkpoints of hashed weights: the same bits as src/checkpoint/synthetic.ts, which explains the formula."""

import numpy as np
import torch

from constants import EMBEDDING_WIDTHS
from model import Model

FAMILY = {"vocab_size": 65536, "block_size": 1024, "d_model": 1024, "n_layer": 16, "n_head": 32}


def mix(h):
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def fnv1a(name):
    h = 0x811C9DC5
    for byte in name.encode():
        h = (h ^ byte) * 0x01000193 % 2**32
    return h


def synthetic_tensor(name, shape, model_type, seed):
    key = mix(np.array([(seed + fnv1a(name)) % 2**32], np.uint32))[0]
    with np.errstate(over="ignore"):
        hashes = mix(np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B1) + key)
    if name == "token_embeddings.weight" and model_type.endswith("_bit"):
        return (hashes >> np.uint32(31)).astype(np.float32).reshape(shape)
    u = (hashes >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)
    if len(shape) == 2:
        center, limit = 0, 2 / np.sqrt(shape[1])
    elif "norm" in name and name.endswith("weight"):
        center, limit = 1, 0.5
    else:
        center, limit = 0, 0.25
    return (np.float32(center) + np.float32(limit) * u).reshape(shape)


def synthetic_model(preset, seed, dtype):
    config = {**FAMILY, "model_type": preset, "n_embed": EMBEDDING_WIDTHS[preset]}
    with torch.device("meta"):
        model = Model(config).to(dtype)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = {
        name: torch.from_numpy(synthetic_tensor(name, shape, preset, seed)).to(dtype) for name, shape in shapes.items()
    }
    model.load_state_dict(weights, assign=True)
    return model.eval()
