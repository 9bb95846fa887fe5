"""Tells layer norms by what they compute, whoever wrote them: F.layer_norm, or means and roots by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .errors import BadInput, Unplaced
from .graph import Graph, parameter, same
from .watch import Value

RMS_OPS = {"rms_norm"}


@dataclass
class Norm:
    weight: str | None
    bias: str | None


def norm_of(graph: Graph, value: Value, x: Value, where: str) -> Norm:
    """The norm that makes `value` from `x`. Raises Unplaced if it is none, BadInput for RMSNorm."""
    steps = graph.between(value, x)
    if same(value) is same(x) or any(v in graph.linears for v in steps):
        raise Unplaced(f"{where} is not a function of its input alone")
    if any(v.op in RMS_OPS for v in steps):
        raise BadInput(f"{where} is RMSNorm, which this family does not have: its norms are LayerNorm")
    weight = bias = None
    for step in steps:
        if step.op == "layer_norm":
            weight, bias = (name_of_argument(step.arg(at, key)) for at, key in ((2, "weight"), (3, "bias")))
            continue
        for input_value in step.inputs:
            named = parameter(input_value)
            if named and step.op == "mul":
                weight = named[0]
            elif named and step.op in ("add", "addcmul"):
                bias = named[0]
    tensors: dict[str | None, torch.Tensor] = {v.name: v.tensor for v in steps if v.name}
    check(value, x, tensors.get(weight), tensors.get(bias), where)
    return Norm(weight, bias)


def name_of_argument(value: Value | None) -> str | None:
    named = parameter(value) if value else None
    return named[0] if named else None


def check(value: Value, x: Value, weight: torch.Tensor | None, bias: torch.Tensor | None, where: str) -> None:
    """Compares with both formulas in float64, with room for any usual eps and for bfloat16."""
    y = value.tensor.double().flatten(0, -2)
    if x.tensor.numel() != y.numel():
        raise Unplaced(f"{where} has another size than its input")
    x64 = x.tensor.double().reshape(y.shape)
    scale = 1.0 if weight is None else weight.double()
    shift = 0.0 if bias is None else bias.double()

    def agrees(centered: torch.Tensor, eps: float) -> bool:
        expected = centered / (centered.square().mean(-1, keepdim=True) + eps).sqrt() * scale + shift
        return bool((expected - y).abs().max() <= 0.02 * y.abs().max())

    candidates = (1e-5, 1e-6, 1e-12, 1e-3)
    if any(agrees(x64 - x64.mean(-1, keepdim=True), eps) for eps in candidates):
        return
    if any(agrees(x64, eps) for eps in candidates):
        raise BadInput(f"{where} is RMSNorm, which this family does not have: its norms are LayerNorm")
    raise Unplaced(f"{where} is not a LayerNorm of its input")
