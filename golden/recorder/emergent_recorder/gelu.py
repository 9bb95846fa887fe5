"""Tells the two forms of GELU apart, called or written by hand."""

from __future__ import annotations

from torch.nn import functional as F

from .graph import Graph
from .watch import Value

FORMS = ("none", "tanh")  # the values of PyTorch's argument `approximate`


def gelu_of(graph: Graph, up: Value, act: Value) -> str | None:
    """The form of the GELU that makes `act` from `up`, or None if it is another function."""
    calls = [v for v in graph.between(act, up) if v.op == "gelu"]
    if calls:
        return str(calls[0].arg(1, "approximate", "none"))
    x = up.tensor.double()
    y = act.tensor.double().reshape(x.shape)
    exact, tanh = (F.gelu(x, approximate=form) for form in FORMS)
    room = (exact - tanh).abs().max() / 4
    errors = {form: (value - y).abs().max() for form, value in zip(FORMS, (exact, tanh))}
    return next((form for form, error in errors.items() if error < room), None)
