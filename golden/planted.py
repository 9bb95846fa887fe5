"""Plants bugs in the PyTorch model and records what it then computes:  golden/run.sh planted

Writes fixtures-planted/: one small checkpoint, and a golden file for each bug. `emergent verify` must name every bug from
its file. The bugs are written in PyTorch and share no code with the verdict.
"""

import re
from contextlib import ExitStack
from unittest.mock import patch

import torch
from torch import nn
from torch.nn import functional as F

import cases
import model as golden_model
from export import build_model
from files import sha256, trace_header, write_json, write_tensors, write_weights
from model import Block, Model, load, run

TOKENS = [5, 11, 3, 11, 17]
CONFIG = {
    **{"vocab_size": 24, "block_size": 16, "n_embed": 4, "d_model": 12, "n_layer": 2, "n_head": 2, "pad_id": 0},
    **{"architectures": ["BVVForCausalLM"], "model_type": "planted", "torch_dtype": "float32"},
}
BIASES = Model.UPSTREAM_BIASES | {"self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj"}


def attention(scale=None, mask="causal", split="THD", join="THD", rotate=None, dropout=0.0):
    """The forward method of Attention, written again with room for a bug."""

    def forward(self, x, cos, sin, trace, attn_weights):
        B, T, C = x.shape
        H = self.config["n_head"]
        D = C // H

        def heads(y):
            if split == "TDH":
                return y.view(B, T, D, H).permute(0, 3, 1, 2)
            if split == "HTD":
                return y.view(B, H, T, D)
            return y.view(B, T, H, D).transpose(1, 2)

        def joined(y):
            if split == "TDH":
                return y.permute(0, 2, 3, 1).reshape(B, T, C)
            return y.transpose(1, 2).reshape(B, T, C)

        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        trace("q", q), trace("k", k), trace("v", v)
        turn = rotate or (lambda y, cos, sin, which: golden_model.rotate(y, cos, sin, self.config["rope_pairing"]))
        q, k = turn(heads(q), cos, sin, "q"), turn(heads(k), cos, sin, "k")
        trace("q_rot", joined(q)), trace("k_rot", joined(k))
        scores = q @ k.transpose(-1, -2) / {None: D**0.5, "none": 1, "D": D, "C": C**0.5, "half": D**0.5 / 2}[scale]
        ones = torch.ones(T, T, dtype=torch.bool)
        future = {"causal": ones.triu(1), "next": ones.triu(2), "none": ~ones, "itself": ones.triu(0)}.get(
            mask, ones.triu(1)
        )
        if mask == "itself":
            future[0, 0] = False  # a row without any score would be NaN
        if mask == "zero":
            weights = scores.masked_fill(future, 0.0).softmax(-1)
        elif mask == "late":
            weights = scores.softmax(-1).masked_fill(future, 0.0)
        else:
            weights = scores.masked_fill(future, float("-inf")).softmax(-1)
        if attn_weights:
            trace("attn_weights", weights)
        y = weights @ heads(v)
        y = y.reshape(B, T, C) if join == "HTD" else joined(y)
        trace("attn", y)
        y = F.dropout(self.o_proj(y), dropout, training=True)
        trace("attn_out", y)
        return y

    return patch.object(golden_model.Attention, "forward", forward)


def rotating(function):
    """Replaces `rotate(y, cos, sin, which)`, which is called for which = q and k."""
    return attention(rotate=function)


def block(add_attention=lambda x, normed, y: x + y, add_ffn=lambda x, normed, y: x + y):
    """The forward method of a pre-norm Block with other residual sums."""

    def forward(self, x, cos, sin, trace, attn_weights):
        normed = self.input_layernorm(x)
        trace("attn_norm", normed)
        x = add_attention(x, normed, self.self_attn(normed, cos, sin, trace, attn_weights))
        trace("resid_mid", x)
        normed = self.post_attention_layernorm(x)
        trace("ffn_norm", normed)
        x = add_ffn(x, normed, self.feed_forward(normed, trace))
        trace("resid", x)
        return x

    return patch.object(Block, "forward", forward)


class Norm(nn.Module):
    """A norm with a bug, around the weights of a LayerNorm."""

    def __init__(self, norm, formula):
        super().__init__()
        self.norm, self.formula = norm, formula

    def forward(self, x):
        return self.formula(x, self.norm.eps) * self.norm.weight + self.norm.bias


class Wrapped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def in_every_block(change):
    def apply(model):
        for layer in model.transformer_layers:
            change(layer)

    return apply


def set_eps(names, eps):
    def apply(model):
        for name, module in model.named_modules():
            if isinstance(module, nn.LayerNorm) and name.split(".")[-1] in names:
                module.eps = eps

    return apply


def drop_bias(path):
    def apply(model):
        module = model.get_submodule(path)
        module.bias = None

    return apply


def round_weights(function, *suffixes):
    def apply(model):
        for name, parameter in model.named_parameters():
            is_wanted = name.endswith(suffixes) if suffixes else parameter.dim() == 2 and "embeddings" not in name
            if name.endswith("weight") and is_wanted:
                parameter.data = function(parameter.data)

    return apply


def int8_rows(weight):
    scale = weight.abs().amax(1, keepdim=True).float() / 127
    return torch.clamp(torch.round(weight.float() / scale), -127, 127).double() * scale.double()


def swap(a, b):
    def change(layer):
        first, second = layer.get_submodule(a), layer.get_submodule(b)
        for name in ("weight", "bias"):
            x, y = getattr(first, name), getattr(second, name)
            setattr(first, name, y), setattr(second, name, x)

    return in_every_block(change)


def transpose(path):
    def change(layer):
        module = layer.get_submodule(path)
        module.weight.data = module.weight.data.T.contiguous()

    return in_every_block(change)


def fuse_per_head(layer):
    """Splits one matrix of q, k and v, stored one after the other, as if it were stored head by head."""
    attn = layer.self_attn
    H, C = attn.config["n_head"], attn.config["d_model"]
    parts = [attn.q_proj, attn.k_proj, attn.v_proj]
    fused = torch.cat([part.weight.data for part in parts]).view(H, 3, C // H, C)
    for n, part in enumerate(parts):
        part.weight.data = fused[:, n].reshape(C, C).contiguous()
        part.bias = None


def norms(formula, *names):
    def change(layer):
        for name in names:
            setattr(layer, name, Norm(getattr(layer, name), formula))

    return in_every_block(change)


def activation(function):
    return in_every_block(lambda layer: layer.ffn.__setitem__(1, Wrapped(function)))


def tables(shift=0):
    """Rotary tables of positions from `shift` on."""
    original = golden_model.rope_tables
    return patch.object(golden_model, "rope_tables", lambda config, positions: original(config, positions + shift))


def rope(y, cos, sin):
    return golden_model.rotate(y, cos, sin, "half")


def unbiased(x, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=True) + eps).sqrt()


def rms(x, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


def eps_outside(x, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False).sqrt() + eps)


def tiled():
    def repeat_interleave(x, repeats, dim):
        return x.repeat(*[1] * (x.dim() - 1), repeats)

    return patch.object(torch.Tensor, "repeat_interleave", repeat_interleave)


def bug(config=None, during=(), change=None):
    """`config` changes the configuration, `during` patches the code of the pass, `change` changes the built model."""
    return {"config": config or {}, "during": during, "change": change or (lambda model: None)}


NORMS = "input_layernorm", "post_attention_layernorm", "final_layernorm"

# README.md says what `emergent verify` must answer to each.
BUGS = {
    "rotation backward": bug(during=[rotating(lambda y, cos, sin, _: rope(y, cos, -sin))]),
    "rotation backward, keys only": bug(
        during=[rotating(lambda y, cos, sin, which: rope(y, cos, -sin if which == "k" else sin))]
    ),
    "no rotation": bug(during=[rotating(lambda y, *_: y)]),
    "queries not rotated": bug(during=[rotating(lambda y, cos, sin, which: y if which == "q" else rope(y, cos, sin))]),
    "pairing": bug({"rope_pairing": "interleaved"}),
    "pairing and direction": bug(
        during=[rotating(lambda y, cos, sin, _: golden_model.rotate(y, cos, -sin, "interleaved"))]
    ),
    "positions from 1": bug(during=[tables(1)]),
    "theta": bug({"rope_theta": 500000.0}),
    "theta and pairing": bug({"rope_theta": 500000.0, "rope_pairing": "interleaved"}),
    "no scale": bug(during=[attention(scale="none")]),
    "scale 1/D": bug(during=[attention(scale="D")]),
    "scale 1/sqrt(C)": bug(during=[attention(scale="C")]),
    "direction and scale": bug(
        during=[attention(scale="C", rotate=lambda y, cos, sin, _: rope(y, cos, -sin))]
    ),
    "mask off by one, next": bug(during=[attention(mask="next")]),
    "mask off by one, itself": bug(during=[attention(mask="itself")]),
    "no mask": bug(during=[attention(mask="none")]),
    "mask of zeros": bug(during=[attention(mask="zero")]),
    "mask after softmax": bug(during=[attention(mask="late")]),
    "mask and scale": bug(during=[attention(mask="next", scale="none")]),
    "heads interleaved": bug(during=[attention(split="TDH")]),
    "heads joined without transpose": bug(during=[attention(join="HTD")]),
    "GELU tanh": bug({"gelu_approximate": "tanh"}),
    "GELU quick": bug(change=activation(lambda x: x * torch.sigmoid(1.702 * x))),
    "ReLU": bug(change=activation(F.relu)),
    "eps of every norm": bug(change=set_eps(NORMS, 1e-3)),
    "eps of 1e-12": bug(change=set_eps(NORMS, 1e-12)),
    "eps of one norm": bug(change=set_eps(["post_attention_layernorm"], 1e-3)),
    "eps of the final norm": bug(change=set_eps(["final_layernorm"], 1e-3)),
    "RMSNorm": bug(change=norms(rms, "input_layernorm", "post_attention_layernorm")),
    "unbiased variance": bug(change=norms(unbiased, "input_layernorm")),
    "post-norm": bug({"norm_position": "post"}),
    "swapped norms": bug(change=swap("input_layernorm", "post_attention_layernorm")),
    "no residual after attention": bug(during=[block(add_attention=lambda x, normed, y: y)]),
    "residual from the norm": bug(during=[block(add_ffn=lambda x, normed, y: normed + y)]),
    "bias of q": bug(change=in_every_block(drop_bias("self_attn.q_proj"))),
    "bias of one ffn.0": bug(change=drop_bias("transformer_layers.1.ffn.0")),
    "biases of q, v, ffn.0 and ffn.2": bug(
        change=lambda model: [
            in_every_block(drop_bias(path))(model) for path in ("self_attn.q_proj", "self_attn.v_proj", "ffn.0", "ffn.2")
        ]
    ),
    "bias of the head": bug(change=drop_bias("lm_head")),
    "tiled codes": bug(during=[tiled()]),
    "q and k swapped": bug(change=swap("self_attn.q_proj", "self_attn.k_proj")),
    "k and v swapped": bug(change=swap("self_attn.k_proj", "self_attn.v_proj")),
    "output transposed": bug(change=transpose("self_attn.o_proj")),
    "weights in bfloat16": bug(change=round_weights(lambda w: w.bfloat16().double())),
    "weights in float16": bug(change=round_weights(lambda w: w.half().double(), "ffn.0.weight")),
    "weights in int8": bug(change=round_weights(int8_rows)),
    "dropout": bug(during=[attention(dropout=0.25)]),
    "GELU and direction": bug(
        {"gelu_approximate": "tanh"}, [rotating(lambda y, cos, sin, _: rope(y, cos, -sin))]
    ),
    # Nothing that `emergent verify` knows: it must not name a wrong cause.
    "unknown eps": bug(change=set_eps(NORMS, 3e-3)),
    "unknown theta": bug({"rope_theta": 12345.0}),
    "unknown scale": bug(during=[attention(scale="half")]),
    "unknown weights": bug(change=in_every_block(lambda layer: layer.ffn[2].weight.data.mul_(1.01))),
}


def planted_model(folder, config, change):
    model = load(folder, torch.float64)
    changed = Model({**model.config, **config}, BIASES).to(torch.float64)
    changed.load_state_dict(model.state_dict())
    change(changed)
    return changed.eval()


def plant(folder, name):
    """Every activation of a model with a bug; the name `none` stands for no bug."""
    planted = BUGS.get(name, bug())
    with ExitStack() as stack:
        for replacement in planted["during"]:
            stack.enter_context(replacement)
        torch.manual_seed(1)
        return run(planted_model(folder, planted["config"], planted["change"]), TOKENS, attn_weights=True)


def file_name(bug_name):
    return re.sub("[^A-Za-z0-9]+", "-", bug_name).strip("-") + ".safetensors"


def export_planted(out):
    torch.set_num_threads(1)  # fixes the order of sums
    weights = build_model({"config": CONFIG, "table": "trained", "biases": BIASES}, cases.Source(cases.SEED))
    write_json(out / "config.json", CONFIG)
    write_weights(out / "model.safetensors", weights, torch.float32)
    weights_sha256 = sha256(out / "model.safetensors")
    for name in ["none", *BUGS]:
        activations = plant(out, name)
        header = trace_header(TOKENS, activations, activations, weights_sha256)
        del header["float32_distance"]
        tensors = {key: value.contiguous().numpy() for key, value in activations.items()}
        write_tensors(out / "truth" / file_name(name), tensors, header)
