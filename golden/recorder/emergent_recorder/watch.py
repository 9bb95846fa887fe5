"""Watches a forward pass: every call of a PyTorch function becomes a value with its inputs.

A TorchFunctionMode sees the calls that Python makes, also those between modules, and none of the calls inside them:
`scaled_dot_product_attention` is one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

LOW = (torch.float32, torch.float16, torch.bfloat16)
CASTS = {"to", "type", "softmax", "sum", "mean"}
SYNONYMS = {
    "true_divide": "div",
    "divide": "div",
    "truediv": "div",
    "multiply": "mul",
    "subtract": "sub",
    "bmm": "matmul",
    "mm": "matmul",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "permute_dims": "permute",
}
REVERSED = {"radd": "add", "rmul": "mul", "rsub": "rsub", "rtruediv": "rdiv", "rmatmul": "rmatmul"}
IN_PLACE = {"iadd": "add", "imul": "mul", "isub": "sub", "itruediv": "div", "setitem": "setitem"}


class Value:
    """A tensor at one moment of the pass: the function that made it, and that function's arguments as values."""

    def __init__(self, op: str, tensor: Tensor, order: int, call: Call | None = None, index: int | None = None):
        self.op = op
        self.tensor = tensor
        self.order = order
        self.call = call
        self.index = index  # of functions with several results
        self.inputs: list[Value] = call.inputs if call else []
        self.users: list[Value] = []
        self.name: str | None = None  # of a parameter or buffer
        for value in self.inputs:
            value.users.append(self)

    def arg(self, position: int, keyword: str, default: Any = None) -> Any:
        assert self.call is not None
        args, kwargs = self.call.args, self.call.kwargs
        return args[position] if position < len(args) else kwargs.get(keyword, default)


class Call:
    """A call whose arguments contain values in place of tensors."""

    def __init__(self, func: Callable[..., Any], args: Any, kwargs: Any):
        self.func, self.args, self.kwargs = func, args, kwargs
        self.inputs: list[Value] = []
        map_tree((args, kwargs), Value, self.inputs.append)


def map_tree(tree: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Replaces every instance of `kind` in nested tuples, lists, dicts and slices."""
    if isinstance(tree, kind):
        return change(tree)
    if isinstance(tree, tuple) and type(tree) is not torch.Size:
        return tuple(map_tree(item, kind, change) for item in tree)
    if isinstance(tree, list):
        return [map_tree(item, kind, change) for item in tree]
    if isinstance(tree, dict):
        return {key: map_tree(item, kind, change) for key, item in tree.items()}
    if isinstance(tree, slice):
        return slice(*(map_tree(item, kind, change) for item in (tree.start, tree.stop, tree.step)))
    return tree


def name_of(func: Callable[..., Any]) -> tuple[str, bool]:
    """The plain name of a function (`add` for `__iadd__` and `add_`) and whether it works in place."""
    name = getattr(func, "__name__", "unknown")
    if name == "__get__":  # a property, such as x.T
        return getattr(getattr(func, "__self__", None), "__name__", "unknown"), False
    if name.startswith("__"):
        name = name.strip("_")
        if name in IN_PLACE:
            return IN_PLACE[name], True
        return SYNONYMS.get(name, REVERSED.get(name, name)), False
    in_place = name.endswith("_")
    name = name.strip("_")
    return SYNONYMS.get(name, name), in_place


class Watch(TorchFunctionMode):
    """Records a pass of `model`. `widen` keeps float64 where the model's code asks for fewer bits."""

    def __init__(self, model: nn.Module, widen: bool = False):
        super().__init__()
        self.widen = widen
        self.values: list[Value] = []
        self.now: dict[int, Value] = {}  # by the id of a tensor
        self.storages: dict[int, list[Tensor]] = {}  # also keeps tensors alive, so that ids stay unique
        self.names: dict[int, list[str]] = {}
        self.is_parameter: dict[str, bool] = {}
        for named, is_parameter in (
            (model.named_parameters(remove_duplicate=False), True),
            (model.named_buffers(remove_duplicate=False), False),
        ):
            for name, tensor in named:
                self.names.setdefault(id(tensor), []).append(name)
                self.is_parameter[name] = is_parameter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        op, in_place = name_of(func)
        if self.widen and is_narrowing(op, args):
            return args[0]
        if self.widen:
            args, kwargs = widened(op, args, kwargs)
        call = Call(func, *map_tree((args, kwargs), Tensor, self.value_of))
        if in_place and isinstance(args[0], Tensor):
            self.keep_copies(args[0])
        result = func(*args, **kwargs)
        if in_place and isinstance(args[0], Tensor):
            self.overwrite(args[0], op, call)
        elif isinstance(result, Tensor):
            self.add(op, result, call)
        elif isinstance(result, (tuple, list)):
            for index, item in enumerate(result):
                if isinstance(item, Tensor):
                    self.add(op, item, call, index)
        return result

    def add(self, op: str, tensor: Tensor, call: Call | None = None, index: int | None = None) -> Value:
        value = Value(op, tensor, len(self.values), call, index)
        self.values.append(value)
        self.now[id(tensor)] = value
        self.storages.setdefault(storage_of(tensor), []).append(tensor)
        return value

    def value_of(self, tensor: Tensor) -> Value:
        value = self.now.get(id(tensor))
        if value is None:
            names = self.names.get(id(tensor))
            value = self.add("parameter" if names else "input", tensor)
            value.name = names[0] if names else None
        return value

    def keep_copies(self, tensor: Tensor) -> None:
        """Copies what an in-place operation is about to overwrite."""
        for other in self.storages.get(storage_of(tensor), []):
            value = self.now[id(other)]
            if value.tensor is other:
                value.tensor = other.clone()

    def overwrite(self, tensor: Tensor, op: str, call: Call) -> None:
        new = self.add(op, tensor, call)
        for other in list({id(x): x for x in self.storages[storage_of(tensor)]}.values()):
            if other is not tensor:  # a view of the same memory
                old = self.now[id(other)]
                self.add("overwritten", other, Call(func=id, args=(old, new), kwargs={}))


def storage_of(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def is_wide(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype in (torch.float64, torch.complex128)


def is_narrowing(op: str, args: Any) -> bool:
    """Whether a call would only round its float64 argument."""
    if not args or not is_wide(args[0]):
        return False
    if op in ("float", "half", "bfloat16"):
        return True
    return op in ("to", "type_as") and len(args) > 1 and isinstance(args[1], Tensor) and args[1].dtype in LOW


def widened(op: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a call on float64 tensors, with float64 in place of smaller types."""
    if not args or not is_wide(args[0]):
        return args, kwargs
    if op in CASTS:
        wide = map_tree([args, kwargs], torch.dtype, lambda x: torch.float64 if x in LOW else x)
        return wide[0], wide[1]
    if op == "scaled_dot_product_attention":  # a float mask must have the type of q

        def cast(x: Tensor) -> Tensor:
            return x.double() if x.dtype in LOW else x

        wide = map_tree([args, kwargs], Tensor, cast)
        return wide[0], wide[1]
    return args, kwargs
