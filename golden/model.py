"""The architecture in PyTorch: our own reading of it, and the truth for the TypeScript.

Runs in float32, as PyTorch's users do, and in float64, which we take as the truth. The modules have the canonical
names of the checkpoint's tensors, so `state_dict()` is a checkpoint. Letters: T tokens, V vocabulary, E embedding
width, C model width, H heads, D head width, L layers.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

DEFAULTS = {
    "rope_pairing": "half",
    "rope_theta": 10000.0,
    "gelu_approximate": "none",
    "norm_position": "pre",
    "layer_norm_eps": 1e-5,
}


def no_trace(name, value):
    """Ignores an activation. Every trace takes the name of an activation and its value."""


def rope_tables(config, positions):
    """The cosine and sine of every rotary angle: two tensors [T, D/2] in float64.

    In both precisions the angles are float32 products of float32 numbers, as upstream computes them.
    """
    D = config["d_model"] // config["n_head"]
    inv_freq = 1.0 / config["rope_theta"] ** (torch.arange(0, D, 2).float() / D)
    angles = (positions.float()[:, None] * inv_freq[None, :]).double()
    return angles.cos(), angles.sin()


def rotate(x, cos, sin, pairing):
    """Rotates each pair of elements of a head by its angle. x [B, H, T, D], cos and sin [T, D/2]."""
    if pairing == "half":  # pairs (i, i + D/2)
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
    a, b = x[..., 0::2], x[..., 1::2]  # pairs (2i, 2i + 1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, config, biases):
        super().__init__()
        C = config["d_model"]
        self.config = config
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(C, C, bias=name in biases))

    def forward(self, x, cos, sin, trace, attn_weights):
        B, T, C = x.shape
        H = self.config["n_head"]

        def split(y):  # [B, T, C] -> [B, H, T, D]
            return y.view(B, T, H, C // H).transpose(1, 2)

        def join(y):  # [B, H, T, D] -> [B, T, C]
            return y.transpose(1, 2).reshape(B, T, C)

        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        trace("q", q), trace("k", k), trace("v", v)
        q, k = (rotate(split(y), cos, sin, self.config["rope_pairing"]) for y in (q, k))
        trace("q_rot", join(q)), trace("k_rot", join(k))

        scores = q @ k.transpose(-1, -2) / (C // H) ** 0.5  # [B, H, T, T]
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        if attn_weights:
            trace("attn_weights", weights)
        y = join(weights @ split(v))
        trace("attn", y)
        y = self.o_proj(y)
        trace("attn_out", y)
        return y


class Block(nn.Module):
    def __init__(self, config, biases):
        super().__init__()
        C, eps = config["d_model"], config["layer_norm_eps"]
        self.config = config
        self.input_layernorm = nn.LayerNorm(C, eps, bias="input_layernorm" in biases)
        self.self_attn = Attention(config, {name.removeprefix("self_attn.") for name in biases})
        self.post_attention_layernorm = nn.LayerNorm(C, eps, bias="post_attention_layernorm" in biases)
        self.ffn = nn.Sequential(
            nn.Linear(C, 4 * C, bias="ffn.0" in biases),
            nn.GELU(config["gelu_approximate"]),
            nn.Linear(4 * C, C, bias="ffn.2" in biases),
        )

    def feed_forward(self, x, trace):
        for layer, name in zip(self.ffn, ("ffn_up", "ffn_act", "ffn_out")):
            x = layer(x)
            trace(name, x)
        return x

    def forward(self, x, cos, sin, trace, attn_weights):
        def norm(layer, name, y):
            y = layer(y)
            trace(name, y)
            return y

        if self.config["norm_position"] == "pre":
            x = x + self.self_attn(norm(self.input_layernorm, "attn_norm", x), cos, sin, trace, attn_weights)
            trace("resid_mid", x)
            x = x + self.feed_forward(norm(self.post_attention_layernorm, "ffn_norm", x), trace)
            trace("resid", x)
            return x
        x = x + self.self_attn(x, cos, sin, trace, attn_weights)
        trace("resid_mid", x)
        x = norm(self.input_layernorm, "attn_norm", x)
        x = x + self.feed_forward(x, trace)
        trace("resid", x)
        return norm(self.post_attention_layernorm, "ffn_norm", x)


class Model(nn.Module):
    """`biases` names the modules with a bias: {"ffn.0", "lm_head", ...}. A name inside a block means every block."""

    UPSTREAM_BIASES = frozenset(
        ["input_layernorm", "post_attention_layernorm", "ffn.0", "ffn.2", "final_layernorm", "lm_head"]
    )

    def __init__(self, config, biases=UPSTREAM_BIASES, final_norm=True):
        super().__init__()
        self.config = config = {**DEFAULTS, **config}
        V, E, C = config["vocab_size"], config["n_embed"], config["d_model"]
        self.token_embeddings = nn.Embedding(V, E)
        self.token_embeddings.weight.requires_grad = False
        self.transformer_layers = nn.ModuleList([Block(config, biases) for _ in range(config["n_layer"])])
        self.final_layernorm = (
            nn.LayerNorm(C, config["layer_norm_eps"], bias="final_layernorm" in biases) if final_norm else None
        )
        self.lm_head = nn.Linear(C, V, bias="lm_head" in biases)

    def forward(self, ids, trace=no_trace, attn_weights=False):
        """ids [B, T] -> logits [B, T, V]. `attn_weights` traces the attention weights as well, [B, H, T, T]."""
        C, E = self.config["d_model"], self.config["n_embed"]
        x = self.token_embeddings(ids)  # [B, T, E]
        trace("embedding", x)
        x = x.repeat_interleave(C // E, dim=-1)  # [B, T, C]
        trace("expanded", x)
        cos, sin = (t.to(x) for t in rope_tables(self.config, torch.arange(ids.shape[1])))
        for n, block in enumerate(self.transformer_layers):
            x = block(x, cos, sin, lambda name, value, n=n: trace(f"layers.{n}.{name}", value), attn_weights)
        if self.final_layernorm is not None:
            x = self.final_layernorm(x)
            trace("final_norm", x)
        x = self.lm_head(x)
        trace("logits", x)
        return x


def computed_table(config):
    """The codes of a model without a table, by the key `codes` of its config. [V, E]

    `affine` is A bin(t) xor b over GF(2), of which `binary` is the case A = 1, b = 0.
    """
    codes, V, E = config["codes"], config["vocab_size"], config["n_embed"]
    bits = torch.arange(V)[:, None] >> torch.arange(max(1, (V - 1).bit_length())) & 1  # lowest bit first
    if codes["kind"] == "binary":
        return F.pad(bits, (0, E - bits.shape[1])).float()
    matrix = torch.tensor([[int(bit) for bit in row] for row in codes["matrix"]])
    offset = torch.tensor([int(bit) for bit in codes["offset"]])
    return ((bits @ matrix.T + offset) % 2).float()


def load(folder, dtype=torch.float32):
    """Loads a checkpoint folder with canonical tensor names. The names show which biases and norms the model has."""
    folder = Path(folder)
    config = json.loads((folder / "config.json").read_text())
    config.setdefault("n_embed", config.get("n_embd"))  # the spelling of one sibling
    weights = load_file(folder / "model.safetensors")
    if "token_embeddings.weight" not in weights and "codes" in config:
        weights["token_embeddings.weight"] = computed_table(config)
    biases = {
        name.removesuffix(".bias").removeprefix("transformer_layers.0.") for name in weights if name.endswith(".bias")
    }
    model = Model(config, biases, "final_layernorm.weight" in weights).to(dtype)
    model.load_state_dict({name: value.to(dtype) for name, value in weights.items()})
    return model.eval()


def run(model, ids, attn_weights=False):
    """Every activation of one sequence by name, in the order of execution, without the batch dimension."""
    activations = {}
    with torch.no_grad():
        model(torch.tensor([ids]), lambda name, value: activations.__setitem__(name, value[0]), attn_weights)
    return activations
