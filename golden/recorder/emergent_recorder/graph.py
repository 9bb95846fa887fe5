"""Questions about a watched pass: what is a copy of what, which values are linear layers, where a value comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .watch import Value, Watch, map_tree

# Functions that keep every element, in the same order.
COPIES = {"contiguous", "to", "type", "type_as", "float", "double", "half", "bfloat16", "clone", "detach", "alias"}
COPIES |= {"dropout", "cpu", "cuda"}
SHAPES = {"view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as", "reshape_as", "atleast_3d"}
# Functions that move elements or leave some out.
MOVES = {"transpose", "permute", "movedim", "moveaxis", "t", "T", "mT", "adjoint", "chunk", "split", "tensor_split"}
MOVES |= {"unbind", "getitem", "narrow", "select", "index_select", "expand", "expand_as", "repeat", "repeat_interleave"}
MOVES |= {"split_with_sizes", "tile"}


@dataclass(eq=False)
class Linear:
    """A value that is a linear layer of another: `x W^T + b`."""

    value: Value
    x: Value
    weight: str
    shape: tuple[int, int]  # [out, in]
    bias: str | None
    transposed: bool  # the file holds [in, out]


def same(value: Value) -> Value:
    """The first value that holds the same elements in the same order."""
    while value.op in COPIES | SHAPES and value.inputs and value.tensor.numel() == value.inputs[0].tensor.numel():
        value = value.inputs[0]
    return value


def consumers(value: Value) -> list[Value]:
    """What uses a value, or a copy of it."""
    found = []
    for user in value.users:
        if user.op in COPIES | SHAPES and user.inputs[0] is value and user.tensor.numel() == value.tensor.numel():
            found += consumers(user)
        else:
            found.append(user)
    return sorted(set(found), key=lambda v: v.order)


def ancestors(value: Value, stop: Callable[[Value], bool]) -> list[Value]:
    """Everything a value comes from, itself included. Does not look behind values where `stop` holds."""
    seen: dict[int, Value] = {}
    open_values = [value]
    while open_values:
        next_value = open_values.pop()
        if next_value.order in seen:
            continue
        seen[next_value.order] = next_value
        if not stop(next_value):
            open_values += next_value.inputs
    return sorted(seen.values(), key=lambda v: v.order)


def parameter(value: Value) -> tuple[str, bool] | None:
    """The name of the parameter or buffer that a value is, and whether it is turned around."""
    transposed = False
    while value.op != "parameter":
        if value.op in ("t", "T", "mT", "transpose", "permute"):
            transposed = not transposed
        elif value.op not in COPIES | SHAPES:
            return None
        if not value.inputs:
            return None
        value = value.inputs[0]
    assert value.name is not None
    return value.name, transposed


class Graph:
    def __init__(self, watch: Watch):
        self.values = watch.values
        self.linears: dict[Value, Linear] = {}
        for value in self.values:
            linear = self.as_linear(value)
            if linear:
                self.linears[value] = linear
                inner = same(value.inputs[0]) if value.op == "add" else None
                if inner is not None:
                    del self.linears[inner]

    def as_linear(self, value: Value) -> Linear | None:
        if value.op == "linear":
            bias = value.arg(2, "bias")
            return self.linear(value, value.arg(0, "input"), value.arg(1, "weight"), bias, True)
        if value.op == "addmm":
            bias, x, weight = value.inputs[:3]
            return self.linear(value, x, weight, bias, False)
        if value.op == "matmul" and len(value.inputs) == 2:
            return self.linear(value, value.inputs[0], value.inputs[1], None, False)
        if value.op == "add" and len(value.inputs) == 2:
            inner = self.linears.get(same(value.inputs[0]))
            bias = parameter(value.inputs[1])
            if inner and inner.bias is None and bias and value.inputs[1].tensor.shape == (inner.shape[0],):
                return Linear(value, inner.x, inner.weight, inner.shape, bias[0], inner.transposed)
        return None

    @staticmethod
    def linear(value: Value, x: Value, weight: Value, bias: Value | None, is_out_in: bool) -> Linear | None:
        matrix = parameter(weight)
        vector = parameter(bias) if bias else None
        if matrix is None or weight.tensor.ndim != 2 or (bias and vector is None):
            return None
        out, width = weight.tensor.shape if is_out_in else weight.tensor.shape[::-1]
        # F.linear takes [out, in] and matmul [in, out]; the file holds the matrix before any turn.
        transposed = matrix[1] if is_out_in else not matrix[1]
        return Linear(value, x, matrix[0], (out, width), vector[0] if vector else None, transposed)

    def roots(self, value: Value) -> list[Linear]:
        """The linear layers that a value comes from directly."""
        found = ancestors(value, lambda v: v in self.linears)
        return [self.linears[v] for v in found if v in self.linears]

    def between(self, value: Value, start: Value) -> list[Value]:
        """The values after `start` that lead to `value`, with the parameters that they use."""
        return [v for v in ancestors(value, lambda v: v is start or v in self.linears) if v is not start]


def moved_from(value: Value, source: Value) -> Tensor | None:
    """For each element of a value, its place in the flattened source; None if it was computed, not moved."""
    if value is source:
        return torch.arange(source.tensor.numel()).view(source.tensor.shape)
    if value.call is None or not value.inputs or value.op not in COPIES | SHAPES | MOVES:
        return None
    places = moved_from(value.inputs[0], source)
    if places is None:
        return None
    if value.op in COPIES:
        return places
    first = value.inputs[0]

    def index(v: Value) -> Tensor:
        return places if v is first else v.tensor.cpu()

    args, kwargs = map_tree((value.call.args, value.call.kwargs), Value, index)
    result = value.call.func(*args, **kwargs)
    moved: Tensor = result if value.index is None else result[value.index]
    return moved


def factor_of(value: Value) -> float | None:
    """The factor by which a multiplication or division with one number scales its input."""
    assert value.call is not None
    numbers = [x for x in value.call.args if isinstance(x, (int, float))]
    numbers += [float(v.tensor) for v in value.inputs if v.tensor.numel() == 1]
    if len(numbers) != 1:
        return None
    return 1 / numbers[0] if value.op == "div" else float(numbers[0])
