"""Writes a golden file from any checkpoint that transformers can load, the author's own code included:

    golden/run.sh write --hf ID_OR_FOLDER --prompt TEXT --out FILE

Its modules are hooked by what they are and not by what they are called: the embedding and the head by their size, the
layers as the longest list of modules, linear layers by their shapes, norms by when they run. What happens between two
modules (the rotation) is not seen and is left out of the file; `emergent verify` works with what is there.
"""

import sys
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from files import sha256, trace_header, write_tensors


class Roles:
    """Which module of a model plays which part, found by a first run that records the order of calls."""

    def __init__(self, model, ids):
        self.embedding = next(m for m in model.modules() if isinstance(m, nn.Embedding))
        V = self.embedding.num_embeddings
        self.head = next(m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == V)
        C = self.head.in_features
        self.layers = max((m for m in model.modules() if isinstance(m, nn.ModuleList)), key=len)
        order = self.record_calls(model, ids)
        inside = {m for layer in self.layers for m in layer.modules()}
        outside_norms = [m for m in order if is_norm(m, C) and m not in inside]
        self.final_norm = outside_norms[-1] if outside_norms else None
        self.parts = [self.parts_of([m for m in order if m in set(layer.modules())], C) for layer in self.layers]

    @staticmethod
    def record_calls(model, ids):
        order = []
        hooks = [m.register_forward_hook(lambda m, *_: order.append(m)) for m in model.modules()]
        with torch.no_grad():
            model(torch.tensor([ids]))
        for hook in hooks:
            hook.remove()
        return order

    @staticmethod
    def parts_of(order, C):
        """The modules of one layer by role. Square projections run in the order q, k, v, output."""
        linears = [m for m in order if isinstance(m, nn.Linear)]
        square = [m for m in linears if (m.in_features, m.out_features) == (C, C)]
        norms = [m for m in order if is_norm(m, C)]
        parts = {
            "qkv": next((m for m in linears if m.out_features == 3 * C), None),
            "up": next(m for m in linears if m.out_features == 4 * C),
            "down": next(m for m in linears if m.in_features == 4 * C),
            "output": square[-1],
            "norms": norms,
        }
        if parts["qkv"] is None:
            parts |= dict(zip("qkv", square[:3]))
        if len(norms) != 2 or len(square) != (1 if parts["qkv"] else 4):
            raise SystemExit(f"golden: a layer with {len(norms)} norms and {len(square)} square projections is not known")
        first_projection = order.index(parts["qkv"] or parts["q"])
        parts["pre_norm"] = order.index(norms[0]) < first_projection
        return parts


def is_norm(module, C):
    weight = getattr(module, "weight", None)
    return not list(module.children()) and weight is not None and tuple(weight.shape) == (C,)


def trace(model, ids, roles):
    """Every activation that passes in or out of a module, by our names, [T, width]."""
    found, hooks = {}, []

    def keep(name, value):
        value = value[0] if isinstance(value, tuple) else value
        found[name] = value.detach().reshape(-1, value.shape[-1])

    def out(module, *names):
        def hook(_, __, y):
            for name, part in zip(names, y.chunk(len(names), dim=-1)):
                keep(name, part)

        hooks.append(module.register_forward_hook(hook))

    def into(module, name):
        hooks.append(module.register_forward_pre_hook(lambda _, args: keep(name, args[0])))

    out(roles.embedding, "embedding")
    into(roles.layers[0], "expanded")
    for n, (layer, parts) in enumerate(zip(roles.layers, roles.parts)):
        at = f"layers.{n}."
        if parts["qkv"]:
            out(parts["qkv"], at + "q", at + "k", at + "v")
        else:
            for name in "qkv":
                out(parts[name], at + name)
        into(parts["output"], at + "attn")
        out(parts["output"], at + "attn_out")
        out(parts["up"], at + "ffn_up")
        into(parts["down"], at + "ffn_act")
        out(parts["down"], at + "ffn_out")
        for norm, name in zip(parts["norms"], ("attn_norm", "ffn_norm")):
            out(norm, at + name)
        if parts["pre_norm"]:
            into(parts["norms"][1], at + "resid_mid")
            hooks.append(layer.register_forward_hook(lambda _, __, y, at=at: keep(at + "resid", y)))
        else:
            into(parts["norms"][0], at + "resid_mid")
            into(parts["norms"][1], at + "resid")
    if roles.final_norm is not None:
        out(roles.final_norm, "final_norm")
    out(roles.head, "logits")
    with torch.no_grad():
        model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return {name: value.cpu() for name, value in found.items()}


def load_weights(folder):
    """All tensors of a checkpoint folder, from however many files."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    for path in [] if weights else sorted(folder.glob("pytorch_model*.bin")):
        weights |= torch.load(path, weights_only=True, map_location="cpu")
    if not weights:
        raise SystemExit(f"golden: {folder} holds neither *.safetensors nor pytorch_model*.bin")
    return weights


def load_model(folder):
    """Makes the model with the author's code and fills it.

    Not by `from_pretrained`, which makes models without memory first: tables that an author's constructor computes and
    does not save, such as rotary ones, would then hold whatever was there.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True).float()
    missing, unexpected = model.load_state_dict(load_weights(folder), strict=False)
    if missing or unexpected:
        print(f"golden: not in the checkpoint: {missing}; not in the model: {unexpected}", file=sys.stderr)
    return model.eval()


def export_hf(source, prompt, out):
    folder = Path(source if Path(source).is_dir() else snapshot_download(source))
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    model = load_model(folder)
    roles = Roles(model, ids)
    float32 = trace(model, ids, roles)
    truth = trace(model.double(), ids, roles)
    weights = folder / "model.safetensors"
    header = trace_header(ids, truth, float32, sha256(weights) if weights.exists() else None)
    header["producer"] += f", {type(model).__name__}"
    write_tensors(out, {name: x.double().numpy() for name, x in truth.items()}, header)
    print(f"golden: {len(truth)} activations of {len(ids)} tokens written to {out}")
