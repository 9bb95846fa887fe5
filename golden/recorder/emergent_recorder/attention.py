"""Finds attention in a watched pass, and in it q, k and v, the rotation, the scale, the mask and the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import BadInput, Unplaced
from .graph import Graph, Linear, consumers, factor_of, moved_from
from .watch import Value

PAIRINGS = ("half", "interleaved")
MASKED = -1e4  # a score below this is masked: models use -inf or the smallest number of their type


@dataclass(eq=False)
class Core:
    """One attention: operands [B, H, T, D], in the order of canonical names."""

    out: Value
    q: Value
    k: Value  # [B, H, T, D]; where `k_is_turned`, [B, H, D, T]
    v: Value
    k_is_turned: bool
    weights: Value | None  # the softmax; None for scaled_dot_product_attention, which hides it
    scale: float
    scores: Value | None = None  # what the softmax takes


def find_cores(graph: Graph) -> list[Core]:
    cores = []
    for value in graph.values:
        core = None
        if value.op == "scaled_dot_product_attention":
            core = fused_core(value)
        elif value.op == "softmax":
            core = manual_core(graph, value)
        if core:
            cores.append(core)
    return cores


def fused_core(value: Value) -> Core:
    q, k, v = (value.arg(at, name) for at, name in enumerate(("query", "key", "value")))
    given = value.arg(6, "scale")
    scale = 1 / math.sqrt(q.tensor.shape[-1]) if given is None else float(given)
    return Core(value, q, k, v, False, None, scale)


def manual_core(graph: Graph, softmax: Value) -> Core | None:
    """softmax(q k^T * scale + mask) v, with the steps between in any order."""
    value, scale = softmax.inputs[0], 1.0
    while value.op != "matmul":
        if not value.inputs or value in graph.linears:
            return None
        if value.op in ("mul", "div"):
            factor = factor_of(value)
            scale = math.nan if factor is None else scale * factor
        operands = [v for v in value.inputs if v.tensor.shape[-2:] == softmax.tensor.shape[-2:] and graph.roots(v)]
        if len(operands) != 1:
            return None
        value = operands[0]
    users = [v for v in consumers(softmax) if v.op == "matmul"]
    if len(users) != 1 or len(value.inputs) != 2:
        return None
    q, k = value.inputs
    q, q_scale = unscaled(q)
    k, k_scale = unscaled(k)
    return Core(users[0], q, k, users[0].inputs[1], True, softmax, scale * q_scale * k_scale, softmax.inputs[0])


def unscaled(value: Value) -> tuple[Value, float]:
    """A value before its last multiplications with one number, and their product."""
    factor = 1.0
    while value.op in ("mul", "div") and len([v for v in value.inputs if v.tensor.numel() > 1]) == 1:
        own = factor_of(value)
        if own is None:
            break
        factor *= own
        value = next(v for v in value.inputs if v.tensor.numel() > 1)
    return value, factor


def heads_first(tensor: Tensor, T: int) -> Tensor:
    """[B, H, T, D] or [H, T, D] -> [H, T, D]"""
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[1] != T:
        raise Unplaced(f"attention takes {list(tensor.shape)}, not [1, heads, {T}, width]")
    return tensor


def joined(tensor: Tensor) -> Tensor:
    """[H, T, D] -> [T, C]"""
    return tensor.transpose(0, 1).flatten(1)


@dataclass
class Projection:
    """Which outputs of a linear layer are q, k or v."""

    linear: Linear
    value: Value  # the last value that was only moved
    channels: Tensor  # [C], sorted


def projection_of(graph: Graph, operand: Value, name: str) -> Projection:
    """Follows an operand of attention back to the linear layer that it comes from, through the rotation."""
    roots = graph.roots(operand)
    if len(roots) != 1:
        raise Unplaced(f"{name} comes from {len(roots)} linear layers")
    linear = roots[0]
    T = linear.value.tensor.numel() // linear.shape[0]
    best = None
    for value in graph.between(operand, linear.value) + [linear.value]:
        if value.tensor.numel() != operand.tensor.numel() or value.tensor.is_complex():
            continue
        places = moved_from(value, linear.value)
        if places is not None and (best is None or value.order > best[0].order):
            best = value, places
    if best is None:
        width = linear.shape[0]
        raise Unplaced(
            f"{name} mixes parts of {linear.weight}, which has {width} outputs, before it is as wide as them"
        )
    value, places = best
    channels = torch.unique(places.flatten() % linear.shape[0])
    if channels.numel() * T != operand.tensor.numel():
        raise BadInput(f"{name} repeats its heads (grouped-query attention), which this family does not have")
    return Projection(linear, value, channels)


def weights_of(core: Core, T: int) -> tuple[Tensor, bool]:
    """The attention weights [H, T, T], and whether they were computed here because the model's kernel hides them."""
    if core.weights is not None:
        weights = core.weights.tensor
        weights = weights[0] if weights.ndim == 4 and weights.shape[0] == 1 else weights
        return weights, False
    q, k = (heads_first(v.tensor, T) for v in (core.q, core.k))
    scores = q @ k.transpose(1, 2) * core.scale
    mask: Any = core.out.arg(3, "attn_mask")
    if core.out.arg(5, "is_causal", False):
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)
    if mask is not None:
        m = mask.tensor
        scores = scores.masked_fill(~m, -math.inf) if m.dtype == torch.bool else scores + m
        scores = scores.reshape(q.shape[0], T, T)
    return scores.softmax(-1), True


def mask_of(core: Core, T: int) -> str:
    """Which positions the mask hides, in words."""
    if core.scores is None:
        mask = core.out.arg(3, "attn_mask")
        if core.out.arg(5, "is_causal", False):
            return "causal"
        hidden = torch.zeros(T, T, dtype=torch.bool)
        if mask is not None:
            m = mask.tensor.cpu()
            hidden = (~m if m.dtype == torch.bool else m < MASKED).expand(*m.shape[:-2], T, T).reshape(-1, T, T)[0]
    else:
        hidden = (core.scores.tensor.cpu() < MASKED).reshape(-1, T, T)[0]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    if torch.equal(hidden, future):
        return "causal"
    seen, lost = int((future & ~hidden).sum()), int((~future & hidden).sum())
    parts = [f"shows {seen} positions of the future"] * (seen > 0) + [f"hides {lost} of the past"] * (lost > 0)
    return "not causal: " + " and ".join(parts)


def pairing_of(q: Tensor, rotated: Tensor) -> str | None:
    """Which pairs keep their length: (i, i + D/2) is half, (2i, 2i + 1) is interleaved. Takes [H, T, D]."""
    q, rotated = q.double(), rotated.double()
    if q.shape[-1] % 2 or (q - rotated).abs().max() <= 1e-6 * q.abs().max():
        return None

    def lengths(x: Tensor, pairing: str) -> Tensor:
        a, b = x.chunk(2, -1) if pairing == "half" else (x[..., ::2], x[..., 1::2])
        return torch.hypot(a, b)

    room = 1e-2 * q.abs().max()
    fits = [p for p in PAIRINGS if (lengths(q, p) - lengths(rotated, p)).abs().max() <= room]
    return fits[0] if len(fits) == 1 else None
