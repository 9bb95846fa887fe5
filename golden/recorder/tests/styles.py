"""One model of the family, written four times in the styles of other authors. Each takes the weights of golden/model.py.

No style shares code or names with golden/model.py or with another style.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


def layer(weights, n):
    """The weights of one layer by their names inside it."""
    at = f"transformer_layers.{n}."
    return {name.removeprefix(at): w for name, w in weights.items() if name.startswith(at)}


def filled(module, weight, bias=None):
    module.weight.data = weight.clone()
    if bias is not None:
        module.bias.data = bias.clone()
    return module


def linear(w, name):
    N, K = w[f"{name}.weight"].shape
    has_bias = f"{name}.bias" in w
    return filled(nn.Linear(K, N, bias=has_bias), w[f"{name}.weight"], w.get(f"{name}.bias"))


class ComplexMixer(nn.Module):
    def __init__(self, w, heads, length):
        super().__init__()
        fused = torch.cat([w[f"self_attn.{x}_proj.weight"] for x in "qkv"])
        self.heads, self.wqkv = heads, linear({"f.weight": fused}, "f")
        self.wo = linear(w, "self_attn.o_proj")
        D = fused.shape[1] // heads
        angles = torch.outer(torch.arange(length).float(), 1.0 / 10000 ** (torch.arange(0, D, 2).float() / D))
        self.register_buffer("cis", torch.polar(torch.ones_like(angles), angles), persistent=False)

    def turn(self, x):  # [B, T, H, D]
        z = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(z * self.cis[: x.shape[1], None]).flatten(3).type_as(x)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (y.view(B, T, self.heads, -1) for y in self.wqkv(x).split(C, dim=-1))
        q, k, v = (y.transpose(1, 2) for y in (self.turn(q), self.turn(k), v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.wo(y.transpose(1, 2).contiguous().view(B, T, C))


class ComplexStage(nn.Module):
    def __init__(self, w, heads, length):
        super().__init__()
        C = w["input_layernorm.weight"].numel()
        self.ln_a, self.ln_b = nn.LayerNorm(C, bias=False), nn.LayerNorm(C, bias=False)
        filled(self.ln_a, w["input_layernorm.weight"]), filled(self.ln_b, w["post_attention_layernorm.weight"])
        self.mix = ComplexMixer(w, heads, length)
        self.wide, self.narrow = linear(w, "ffn.0"), linear(w, "ffn.2")
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = x + self.drop(self.mix(self.ln_a(x)))
        return x + self.drop(self.narrow(F.gelu(self.wide(self.ln_b(x)))))


class ComplexModel(nn.Module):
    """Table in a buffer, fused q, k, v, complex rotation, SDPA, norms without bias."""

    def __init__(self, weights, L, heads, length=64):
        super().__init__()
        self.register_buffer("codes", weights["token_embeddings.weight"].clone())
        self.stages = nn.Sequential(*(ComplexStage(layer(weights, n), heads, length) for n in range(L)))
        C = weights["final_layernorm.weight"].numel()
        self.ln_z = filled(nn.LayerNorm(C, bias=False), weights["final_layernorm.weight"])
        self.readout = linear(weights, "lm_head")
        self.repeats = C // self.codes.shape[1]

    def forward(self, tokens):
        x = self.codes[tokens].repeat_interleave(self.repeats, dim=-1)
        return self.readout(self.ln_z(self.stages(x)))


class ExactMixer(ComplexMixer):
    """Rotates by angles that are float32 products of a buffer, with their cosines in float64."""

    def __init__(self, w, heads, length):
        super().__init__(w, heads, length)
        D = self.wo.in_features // heads
        self.register_buffer("inv_freq", 1.0 / 10000 ** (torch.arange(0, D, 2).float() / D), persistent=False)

    def turn(self, x):
        angles = (torch.arange(x.shape[1]).float()[:, None] * self.inv_freq).double()
        z = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
        return torch.view_as_real(z * torch.polar(torch.ones_like(angles), angles)[:, None]).flatten(3).type_as(x)


class ExactModel(ComplexModel):
    def __init__(self, weights, L, heads):
        super().__init__(weights, L, heads)
        for n, stage in enumerate(self.stages):
            stage.mix = ExactMixer(layer(weights, n), heads, 64)


class FunctionalModel(nn.Module):
    """Plain parameters and functions only: no module inside. Heads hold q, k, v in turn; additive mask; dict output."""

    shift = 0  # of the mask; 1 is a bug that shows each position the next token

    def __init__(self, weights, L, heads, length=64):
        super().__init__()
        self.L, self.heads = L, heads
        self.table = nn.Parameter(weights["token_embeddings.weight"].clone(), requires_grad=False)
        for n in range(L):
            w = layer(weights, n)
            qkv = torch.stack([w[f"self_attn.{x}_proj.weight"] for x in "qkv"])  # [3, C, C]
            C = qkv.shape[1]
            qkv = qkv.view(3, heads, C // heads, C).transpose(0, 1).reshape(3 * C, C)
            own = {"qkv": qkv, "o": w["self_attn.o_proj.weight"]}
            own |= {"g1": w["input_layernorm.weight"], "b1": w["input_layernorm.bias"]}
            own |= {"g2": w["post_attention_layernorm.weight"], "b2": w["post_attention_layernorm.bias"]}
            own |= {"up": w["ffn.0.weight"], "upb": w["ffn.0.bias"], "dn": w["ffn.2.weight"], "dnb": w["ffn.2.bias"]}
            for name, value in own.items():
                self.register_parameter(f"l{n}_{name}", nn.Parameter(value.clone()))
        self.g, self.b = (nn.Parameter(weights[f"final_layernorm.{x}"].clone()) for x in ("weight", "bias"))
        self.out, self.outb = (nn.Parameter(weights[f"lm_head.{x}"].clone()) for x in ("weight", "bias"))
        D = C // heads
        angles = torch.arange(length).float()[:, None] / 10000 ** (torch.arange(0, D, 2).float() / D)
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin(), persistent=False)
        mask = torch.full((length, length), torch.finfo(torch.float32).min).triu(1 + self.shift)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens):
        C = self.g.numel()
        x = F.embedding(tokens, self.table)
        x = x[..., None].expand(*x.shape, C // x.shape[-1]).flatten(-2)
        for n in range(self.L):
            p = {name.removeprefix(f"l{n}_"): w for name, w in self.named_parameters() if name.startswith(f"l{n}_")}
            y = F.linear(F.layer_norm(x, (C,), p["g1"], p["b1"]), p["qkv"])
            B, T, _ = y.shape
            q, k, v = y.view(B, T, self.heads, 3, -1).permute(3, 0, 2, 1, 4).unbind(0)

            def spin(z):
                left, right = z.chunk(2, dim=-1)
                return z * self.cos[:T] + torch.cat([-right, left], dim=-1) * self.sin[:T]

            scores = torch.matmul(spin(q), spin(k).transpose(-2, -1)) / math.sqrt(q.shape[-1])
            mixed = F.softmax(scores + self.mask[:T, :T], dim=-1) @ v
            x = x + F.linear(mixed.transpose(1, 2).reshape(B, T, C), p["o"])
            y = F.layer_norm(x, (C,), p["g2"], p["b2"])
            x = x + F.linear(F.gelu(F.linear(y, p["up"], p["upb"])), p["dn"], p["dnb"])
        return {"logits": F.linear(F.layer_norm(x, (C,), self.g, self.b), self.out, self.outb)}


class HandNorm(nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.gain, self.offset = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

    def forward(self, x):
        x = x - x.mean(-1, keepdim=True)
        return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.gain + self.offset


class HandLinear(nn.Module):
    """Holds its matrix as [in, out]."""

    def __init__(self, w, name):
        super().__init__()
        self.kernel = nn.Parameter(w[f"{name}.weight"].t().clone())
        self.shift = nn.Parameter(w[f"{name}.bias"].clone()) if f"{name}.bias" in w else None

    def forward(self, x):
        y = x @ self.kernel
        return y if self.shift is None else y + self.shift


class HandBlock(nn.Module):
    def __init__(self, w, heads):
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (HandLinear(w, f"self_attn.{x}_proj") for x in "qkvo")
        self.n1 = HandNorm(w["input_layernorm.weight"], w["input_layernorm.bias"])
        self.n2 = HandNorm(w["post_attention_layernorm.weight"], w["post_attention_layernorm.bias"])
        self.f1, self.f2 = HandLinear(w, "ffn.0"), HandLinear(w, "ffn.2")

    def spin(self, x):  # [B, H, T, D]
        T, D = x.shape[-2:]
        freqs = 1.0 / 10000 ** (torch.arange(0, D, 2).float() / D)
        angles = torch.arange(T).float()[:, None] * freqs
        y = torch.empty_like(x)
        y[..., : D // 2] = x[..., : D // 2] * angles.cos() - x[..., D // 2 :] * angles.sin()
        y[..., D // 2 :] = x[..., D // 2 :] * angles.cos() + x[..., : D // 2] * angles.sin()
        return y

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (f(x).view(B, T, self.heads, -1).transpose(1, 2) for f in (self.wq, self.wk, self.wv))
        scores = (self.spin(q) * q.shape[-1] ** -0.5) @ self.spin(k).mT
        scores.masked_fill_(torch.ones(T, T).tril() == 0, float("-inf"))
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = self.n1(self.wo(mixed) + x)
        h = self.f1(x)
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        return self.n2(x + self.f2(h))


class HandModel(nn.Module):
    """Post-norm; norms, GELU and rotation by hand; matrices turned around; scaled q; masked in place."""

    def __init__(self, weights, L, heads):
        super().__init__()
        self.emb = filled(nn.Embedding(*weights["token_embeddings.weight"].shape), weights["token_embeddings.weight"])
        self.blocks = nn.ModuleDict({f"b{n}": HandBlock(layer(weights, n), heads) for n in range(L)})
        self.norm = HandNorm(weights["final_layernorm.weight"], weights["final_layernorm.bias"])
        self.head = HandLinear(weights, "lm_head")

    def forward(self, tokens):
        x = self.emb(tokens)
        x = x.repeat_interleave(self.norm.gain.numel() // x.shape[-1], dim=-1)
        for block in self.blocks.values():
            x = block(x)
        return self.head(self.norm(x))


class TwiceModel(nn.Module):
    """One norm called for q and again for k and v; sums in place; a head tied to the table; no final norm; 1-D ids."""

    def __init__(self, weights, L, heads):
        super().__init__()
        self.L, self.heads = L, heads
        self.tokens = filled(
            nn.Embedding(*weights["token_embeddings.weight"].shape), weights["token_embeddings.weight"]
        )
        for n in range(L):
            w = layer(weights, n)
            C = w["input_layernorm.weight"].numel()
            for name, module in {
                **{x: linear(w, f"self_attn.{x}_proj") for x in "qkvo"},
                **{x: filled(nn.LayerNorm(C), w[f"{y}.weight"], w[f"{y}.bias"]) for x, y in NORMS.items()},
                "mlp": nn.Sequential(linear(w, "ffn.0"), nn.GELU(), linear(w, "ffn.2")),
            }.items():
                self.add_module(f"{name}{n}", module)
        self.out = nn.Linear(C, len(weights["token_embeddings.weight"]), bias=False)
        self.out.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens)
        T, C = x.shape
        future = torch.ones(T, T, dtype=torch.bool).tril()
        for n in range(self.L):
            q, k, v, o, n1, n2, mlp = (getattr(self, f"{name}{n}") for name in ("q", "k", "v", "o", *NORMS, "mlp"))

            def split(y):
                return y.unflatten(-1, (self.heads, -1)).transpose(0, 1)[None]

            def spin(y):
                D = y.shape[-1]
                angles = torch.arange(T).float()[:, None] * (1.0 / 10000 ** (torch.arange(0, D, 2).float() / D))
                a, b, c, s = y[..., ::2], y[..., 1::2], angles.cos(), angles.sin()
                return torch.stack((a * c - b * s, a * s + b * c), dim=-1).flatten(-2)

            q_, k_, v_ = split(q(n1(x))), split(k(n1(x))), split(v(n1(x)))
            y = F.scaled_dot_product_attention(spin(q_), spin(k_), v_, attn_mask=future)
            x += o(y[0].transpose(0, 1).reshape(T, C))
            x += mlp(n2(x))
        return (self.out(x),)


NORMS = {"n1": "input_layernorm", "n2": "post_attention_layernorm"}
