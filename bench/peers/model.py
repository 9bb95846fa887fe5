"""The full-size model in PyTorch, written for speed, with the KV cache as input and output. It is exported to ONNX and
also timed itself.

    python model.py CHECKPOINT --export model.onnx
    python model.py CHECKPOINT --time '{"tokens": [1, 2], "prefill": [16], "decode": [16], "steps": 8}' --threads 2
"""

import time

BEGUN = time.perf_counter()

import argparse
import json
import math
import resource
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, C: int, H: int, eps: float):
        super().__init__()
        self.H, self.D = H, C // H
        self.input_layernorm, self.post_attention_layernorm = nn.LayerNorm(C, eps), nn.LayerNorm(C, eps)
        self.self_attn = nn.ModuleDict({f"{name}_proj": nn.Linear(C, C, bias=False) for name in "qkvo"})
        self.ffn = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, past_k: Tensor, past_v: Tensor):
        B, T, C = x.shape

        def heads(a: Tensor) -> Tensor:
            return a.view(B, T, self.H, self.D).transpose(1, 2)

        def rotate(a: Tensor) -> Tensor:
            a1, a2 = a[..., : self.D // 2], a[..., self.D // 2 :]
            return torch.cat([a1 * cos - a2 * sin, a2 * cos + a1 * sin], -1)

        y = self.input_layernorm(x)
        q, k, v = (heads(self.self_attn[f"{name}_proj"](y)) for name in "qkv")
        k, v = torch.cat([past_k, rotate(k)], 2), torch.cat([past_v, v], 2)
        weights = torch.softmax(rotate(q) @ k.transpose(-1, -2) / math.sqrt(self.D) + mask, -1)
        x = x + self.self_attn["o_proj"]((weights @ v).transpose(1, 2).reshape(B, T, C))
        return x + self.ffn(self.post_attention_layernorm(x)), k, v


class Model(nn.Module):
    """ids [1, T], cos and sin [T, D/2], mask [1, 1, T, P + T], 2L past keys and values [1, H, P, D] -> logits [1, 1, V]
    after the last token, and 2L keys and values."""

    def __init__(self, config: dict):
        super().__init__()
        V, E, C, L, H = (config[key] for key in ("vocab_size", "n_embed", "d_model", "n_layer", "n_head"))
        assert (config["rope_pairing"], config["gelu_approximate"], config["norm_position"]) == ("half", "none", "pre")
        self.config, self.repeats = config, C // E
        self.token_embeddings = nn.Embedding(V, E)
        self.transformer_layers = nn.ModuleList([Block(C, H, config["layer_norm_eps"]) for _ in range(L)])
        self.final_layernorm, self.lm_head = nn.LayerNorm(C, config["layer_norm_eps"]), nn.Linear(C, V)

    def forward(self, ids: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, *past: Tensor):
        x = self.token_embeddings(ids)
        x = x.unsqueeze(-1).expand(-1, -1, -1, self.repeats).reshape(ids.shape[0], ids.shape[1], -1)
        held = []
        for n, layer in enumerate(self.transformer_layers):
            x, k, v = layer(x, cos, sin, mask, past[2 * n], past[2 * n + 1])
            held += [k, v]
        return (self.lm_head(self.final_layernorm(x[:, -1:])), *held)

    def empty(self) -> list[Tensor]:
        H, D = self.config["n_head"], self.config["d_model"] // self.config["n_head"]
        return [torch.zeros(1, H, 0, D)] * (2 * self.config["n_layer"])

    def inputs(self, ids: list[int], past: int) -> list[Tensor]:
        D, T = self.config["d_model"] // self.config["n_head"], len(ids)
        frequencies = 1 / self.config["rope_theta"] ** (torch.arange(0, D, 2).float() / D)
        angle = torch.outer(torch.arange(past, past + T).float(), frequencies)
        mask = torch.triu(torch.full((T, past + T), float("-inf")), 1 + past)[None, None]
        return [torch.tensor([ids]), angle.cos(), angle.sin(), mask]


def load(folder: Path) -> Model:
    model = Model(json.loads((folder / "config.json").read_text())).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model


def export(model: Model, file: Path) -> None:
    count = 2 * model.config["n_layer"]
    held = model(*model.inputs([1] * 8, 0), *model.empty())[1:]
    names = ["ids", "cos", "sin", "mask"] + [f"p{j}" for j in range(count)]
    axes = {"ids": {1: "T"}, "cos": {0: "T"}, "sin": {0: "T"}, "mask": {2: "T", 3: "S"}}
    axes |= {f"p{j}": {2: "P"} for j in range(count)}
    outputs = ["logits"] + [f"o{j}" for j in range(count)]
    example = (*model.inputs([1], 8), *held)
    torch.onnx.export(
        model, example, file, input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=17, dynamo=False
    )


def measure(folder: Path, plan: dict, threads: int, logits_file: Path) -> dict:
    torch.set_num_threads(threads)
    begun = time.perf_counter()
    model = load(folder)
    loaded = time.perf_counter()
    model(*model.inputs([1], 0), *model.empty())
    first = time.perf_counter()
    logits = model(*model.inputs(plan["tokens"], 0), *model.empty())[0]
    logits_file.write_bytes(logits.numpy().tobytes())
    result = {"version": torch.__version__, "load_ms": 1e3 * (loaded - begun), "first_token_ms": 1e3 * (first - BEGUN)}
    result |= {"prefill_tok_s": {}, "decode_ms": {}}

    def timed(*inputs: Tensor) -> float:
        start = time.perf_counter()
        model(*inputs)
        return 1e3 * (time.perf_counter() - start)

    for length in sorted({*plan["prefill"], *plan["decode"]}):
        prompt = model.inputs([(i * 7919) % model.config["vocab_size"] for i in range(length)], 0)
        if length in plan["prefill"]:
            times = [timed(*prompt, *model.empty()) for _ in range(3)]
            result["prefill_tok_s"][str(length)] = 1e3 * length / statistics.median(times)
        if length in plan["decode"]:
            held = model(*prompt, *model.empty())[1:]
            single = model.inputs([7], length)
            times = [timed(*single, *held) for _ in range(plan["steps"])]
            result["decode_ms"][str(length)] = statistics.median(times)
    return result | {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--export", type=Path)
    parser.add_argument("--time", type=json.loads)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--logits", type=Path)
    options = parser.parse_args()
    with torch.no_grad():
        if options.export:
            export(load(options.checkpoint), options.export)
        if options.time:
            print(json.dumps(measure(options.checkpoint, options.time, options.threads, options.logits)))
