"""Records a golden file from any model that transformers can load, with the author's own code:

    golden/run.sh record --model ID_OR_FOLDER --prompt TEXT --out FILE.safetensors

Hooks find the modules by what they are, not by name: the embedding and the head by their sizes, the layers as the
longest list of modules, linear layers by their shapes, norms by when they run. A hook cannot see what happens between
two modules, such as the rotation, so the file leaves that out. `emergent verify` compares what the file holds.
"""

import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, logging

from files import sha256, trace_header, write_tensors
from outputs import BadInput, replacing_file

MAX_MESSAGE = 240  # characters of an error that is passed on


class Roles:
    """The role of each module. A first run records the order of calls, which tells modules of one shape apart."""

    def __init__(self, model, ids):
        self.embedding = first((m for m in model.modules() if isinstance(m, nn.Embedding)), "embedding")
        V = self.embedding.num_embeddings
        heads = (m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == V)
        self.head = first(heads, f"linear layer with {V} outputs, its head")
        C = self.head.in_features
        lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m)]
        self.layers = first(sorted(lists, key=len, reverse=True), "list of layers")
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
        qkv = next((m for m in linears if m.out_features == 3 * C), None)
        if len(norms) != 2 or len(square) != (4 if qkv is None else 1):
            raise BadInput(f"cannot record a layer with {len(norms)} norms and {len(square)} square projections")
        parts = {
            "qkv": qkv,
            "up": first((m for m in linears if m.out_features == 4 * C), f"feed-forward layer with {4 * C} outputs"),
            "down": first((m for m in linears if m.in_features == 4 * C), f"feed-forward layer with {4 * C} inputs"),
            "output": square[-1],
            "norms": norms,
        }
        if qkv is None:
            parts |= dict(zip("qkv", square[:3]))
        parts["pre_norm"] = order.index(norms[0]) < order.index(qkv or parts["q"])
        return parts


def first(modules, what):
    for module in modules:
        return module
    raise BadInput(f"cannot record the model: it has no {what}")


def is_norm(module, C):
    weight = getattr(module, "weight", None)
    return not list(module.children()) and weight is not None and tuple(weight.shape) == (C,)


def trace(model, ids, roles):
    """Every activation that enters or leaves a module, by our names, each [T, width]."""
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
    """All tensors of a checkpoint folder, from one file or several."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    for path in [] if weights else sorted(folder.glob("pytorch_model*.bin")):
        weights |= torch.load(path, weights_only=True, map_location="cpu")
    if not weights:
        raise BadInput(f"{folder} has neither *.safetensors nor pytorch_model*.bin")
    return weights


def load_model(folder):
    """Builds the model with the author's code, then fills it.

    `from_pretrained` would build it without memory first. Tables that the author's constructor computes but does not
    save, such as the rotary ones, would then hold garbage.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=True).float()
    missing, unexpected = model.load_state_dict(load_weights(folder), strict=False)
    if missing or unexpected:
        print(f"golden: not in the checkpoint: {missing}; not in the model: {unexpected}", file=sys.stderr)
    return model.eval()


def encode(folder, prompt):
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    if not ids:
        raise BadInput("--prompt has no tokens")
    return ids


def check_length(ids, config):
    limit = getattr(config, "block_size", None) or getattr(config, "max_position_embeddings", None)
    if limit and len(ids) > limit:
        raise BadInput(f"--prompt has {len(ids)} tokens, but the model has {limit} positions")


@contextmanager
def blaming(what):
    """Turns any error of libraries and of the author's code into one line about `what`."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        message = textwrap.shorten(str(error), MAX_MESSAGE, placeholder=" ...")
        raise BadInput(f"{what}: {type(error).__name__}: {message}") from error


def record(source, prompt, out):
    logging.set_verbosity_error()
    with blaming(f"--model {source} cannot be downloaded"):
        folder = Path(source if Path(source).is_dir() else snapshot_download(source))
    with blaming(f"--model {source} cannot be loaded"):
        ids = encode(folder, prompt)
        model = load_model(folder)
    check_length(ids, model.config)
    with blaming(f"--model {source} cannot be run"):
        roles = Roles(model, ids)
        float32 = trace(model, ids, roles)
        truth = trace(model.double(), ids, roles)
    weights = folder / "model.safetensors"
    header = trace_header(ids, truth, float32, sha256(weights) if weights.exists() else None)
    header["producer"] += f", {type(model).__name__}"
    with replacing_file(out) as new:
        write_tensors(new, {name: x.double().numpy() for name, x in truth.items()}, header)
    print(f"golden: {len(truth)} activations of {len(ids)} tokens written to {out}")
