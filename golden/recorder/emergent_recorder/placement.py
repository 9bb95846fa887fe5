"""What was found in a pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

ATTENTION = ["q", "k", "v", "q_rot", "k_rot", "attn_weights", "attn", "attn_out", "resid_mid"]
FEED_FORWARD = ["ffn_up", "ffn_act", "ffn_out", "resid"]


@dataclass
class Placement:
    """What was found. Activations are [T, width], attention weights [H, T, T]."""

    tokens: list[int] = field(default_factory=list)
    activations: dict[str, Tensor] = field(default_factory=dict)
    computed: list[str] = field(default_factory=list)  # activations that the model's kernel hides
    roles: dict[str, str] = field(default_factory=dict)  # canonical name -> parameter name
    transposed: list[str] = field(default_factory=list)  # parameters stored as [in, out]
    conventions: dict[str, str | float] = field(default_factory=dict)
    unplaced: dict[str, str] = field(default_factory=dict)  # name -> why
    notes: list[str] = field(default_factory=list)
    n_layer: int = 0
    n_head: int = 0


def activation_order(found: Placement) -> list[str]:
    within = ["attn_norm", *ATTENTION, "ffn_norm", *FEED_FORWARD]
    if found.conventions.get("norm_position") == "post":
        within = [*ATTENTION, "attn_norm", *FEED_FORWARD, "ffn_norm"]
    layers = [f"layers.{n}.{name}" for n in range(found.n_layer) for name in within]
    return ["embedding", "expanded", *layers, "final_norm", "logits"]
