"""Every op in PyTorch."""

import math

import torch
from torch.nn import functional as F

from model import rope_tables, rotate


def run_op(op, inputs, attributes, dtype):
    """The result of one op on inputs {argument: array}."""
    x = {name: torch.from_numpy(value).to(dtype) for name, value in inputs.items()}
    a = attributes
    if op == "embedding":
        return F.embedding(torch.tensor(a["ids"]), x["table"])
    if op == "repeatInterleave":
        return x["x"].repeat_interleave(a["repeats"], dim=-1)
    if op == "layerNorm":
        return F.layer_norm(x["x"], x["x"].shape[-1:], x["weight"], x.get("bias"), a["eps"])
    if op == "linear":
        return exact_linear(x) if dtype == torch.float64 else F.linear(x["x"], x["weight"], x.get("bias"))
    if op == "rope":
        return run_rope(x["x"], **a)
    if op == "attention":
        return run_attention(x["q"], x["k"], x["v"], a["heads"])
    if op == "softmax":
        return x["x"].softmax(-1)
    if op == "gelu":
        if a["approximate"] == "none" and dtype == torch.float64:
            # PyTorch's 1 + erf cancels for x below -5, even in float64.
            return x["x"] * 0.5 * torch.special.erfc(-x["x"] / 2**0.5)
        return F.gelu(x["x"], approximate=a["approximate"])
    if op == "feedForward":
        up = F.linear(x["x"], x["up.weight"], x["up.bias"])
        return F.linear(F.gelu(up, approximate=a["approximate"]), x["down.weight"], x["down.bias"])
    raise KeyError(op)


def exact_linear(x):
    """Rounds each sum once. Products of float32 numbers are exact in float64.

    Processors add in different orders, and where a sum cancels, even a float64 result depends on the order.
    """
    N = x["weight"].shape[0]
    products = x["x"][:, None] * x["weight"]  # [T, N, K]
    biases = x["bias"].tolist() if "bias" in x else [0.0] * N
    sums = [[math.fsum([*row, bias]) for row, bias in zip(rows, biases)] for rows in products.tolist()]
    return torch.tensor(sums, dtype=torch.float64)


def run_rope(x, heads, pairing, theta, start):
    T, C = x.shape
    config = {"d_model": C, "n_head": heads, "rope_theta": theta}
    cos, sin = (table.to(x) for table in rope_tables(config, torch.arange(start, start + T)))
    return rotate(x.view(T, heads, -1).transpose(0, 1)[None], cos, sin, pairing)[0].transpose(0, 1).reshape(T, C)


def run_attention(q, k, v, heads):
    """The T queries are the last T of S positions, so the triangle of the mask ends in the corner."""
    (T, C), S = q.shape, k.shape[0]
    q, k, v = (x.view(len(x), heads, -1).transpose(0, 1) for x in (q, k, v))
    future = torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)
    scores = (q @ k.transpose(1, 2) / (C // heads) ** 0.5).masked_fill(future, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(T, C)
