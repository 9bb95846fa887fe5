"""Writes the golden fixtures, PyTorch's results that the tests check the TypeScript against.

    golden/run.sh write        (npm run golden)

Truth is PyTorch in float64 on float32 inputs and weights. PyTorch's float32 results are written beside it. README.md
shows the layout. One machine writes the same bytes every time.
"""

from pathlib import Path

import mpmath
import numpy as np
import torch
from tokenizers import Tokenizer

import cases
from constants import FORMAT
from files import is_input, samples, sha256, trace_header, write_json, write_tensors, write_weights
from model import Model, load, rope_tables, run
from ops import run_op

DEMO = Path(__file__).parent.parent / "models/demo"
DEMO_PROMPTS = [
    "Question: What is the capital of Japan?\nAnswer:",
    "Question: Which currency is used in Brazil?\nAnswer:",
    "Question: name the capital of são tomé and príncipe\nAnswer:",
    "Question: Is the United States landlocked?\nAnswer:",
    "It was a bright cold day in April",
]
GREEDY_TOKENS = 40
DEMO_SAMPLES = 512


def export_ops(out):
    inputs, truth, float32, manifest = {}, {}, {}, {}
    for op, op_cases in cases.op_cases().items():
        for case, (arrays, attributes) in op_cases.items():
            name = f"{op}/{case}"
            manifest.setdefault(op, {})[case] = {"inputs": list(arrays), "attributes": attributes}
            if op == "ropeTables":
                D, positions = attributes["D"], torch.arange(attributes["start"], attributes["start"] + attributes["T"])
                tables = rope_tables({"d_model": D, "n_head": 1, "rope_theta": attributes["theta"]}, positions)
                for part, table in zip(("cos", "sin"), tables):
                    truth[f"{name}/{part}"] = table.numpy()
                    float32[f"{name}/{part}"] = table.float().numpy()
                continue
            inputs |= {f"{name}/{argument}": value for argument, value in arrays.items()}
            truth[name] = run_op(op, arrays, attributes, torch.float64).numpy()
            float32[name] = run_op(op, arrays, attributes, torch.float32).numpy()
    grid = erf_grid()
    for function in ("erf", "erfc"):
        manifest[function] = {"grid": {"inputs": ["x"], "attributes": {}}}
        inputs[f"{function}/grid/x"] = grid
        truth[f"{function}/grid"] = np.array([float(getattr(mpmath, function)(mpmath.mpf(x))) for x in grid.tolist()])
    write_tensors(out / "ops/inputs.safetensors", inputs)
    write_tensors(out / "ops/truth.safetensors", truth)
    write_tensors(out / "ops/float32.safetensors", float32)
    return manifest


def erf_grid():
    """Float64 arguments across the range of erf and erfc, dense where erf is below 1, and the extremes."""
    dense = cases.Source(1).random.random_sample(3000) * 13 - 6.5
    far = cases.Source(2).random.random_sample(500) * 21 + 5.5
    small = 10.0 ** -np.arange(1, 300, 7)
    return np.concatenate([dense, far, small, -small, [0.0, 0.5, 1.0, 1.3, 2.0, 5e-324, 100.0]])


def table(kind, V, E, source):
    """An embedding table [V, E], built as the family builds it."""
    if kind == "trained":
        return source.uniform(V, E)
    if kind == "index":
        return (np.arange(V)[:, None] >> np.arange(E) & 1).astype(np.float32)
    if kind == "glyph":
        bits = source.uniform(V, E) > 0.3  # dark pixels
    else:
        distinct = source.random.permutation(2**8)[:V, None] >> np.arange(8) & 1  # makes each row unique
        bits = np.concatenate([distinct, source.uniform(V, E - 8) > 0], axis=1)
    if kind == "bits":
        return bits.astype(np.float32)
    centered = bits - bits.mean(0)
    axes = np.linalg.svd(centered, full_matrices=False)[2]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])[:, None]  # SVD leaves the signs open
    codes = centered @ axes.T
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    return np.round(codes, 6).astype(np.float32)  # the SVDs of different machines agree on these digits


def build_model(case, source):
    """The weights of a random model, large enough that a wrong mask, pairing or scale changes the logits."""
    config = case["config"]
    with torch.device("meta"):
        model = Model(config, case.get("biases", cases.UPSTREAM), case.get("final_norm", True))
    weights = {}
    for name, p in model.state_dict().items():
        if name == "token_embeddings.weight":
            if case["table"] is None:
                continue  # computed from the config
            weights[name] = table(case["table"], *p.shape, source)
        elif p.dim() == 2:
            weights[name] = source.uniform(*p.shape, limit=2.5 / p.shape[1] ** 0.5)
        elif "norm" in name and name.endswith("weight"):
            weights[name] = source.uniform(*p.shape, center=1, limit=0.5)
        else:
            weights[name] = source.uniform(*p.shape, limit=0.3)
        if case.get("outliers") and name != "token_embeddings.weight":
            flat = weights[name].reshape(-1)
            flat[source.integers(flat.size, 1 + flat.size // 500)] *= 50 if p.dim() == 2 else 20
    return {name: torch.from_numpy(value) for name, value in weights.items()}


def export_models(out):
    manifest = {}
    for number, (name, case) in enumerate(cases.model_cases().items()):
        source = cases.Source(cases.SEED + 1 + number)
        config = {"architectures": ["BVVForCausalLM"], "model_type": name, **case["config"]}
        weights = build_model(case, source)
        dtype = case.get("dtype", "float32")
        config = {**config, "pad_id": 0, "torch_dtype": dtype}
        if case.get("spelling"):
            config = {case["spelling"] if key == "n_embed" else key: value for key, value in config.items()}
        folder = out / "models" / name
        write_json(folder / "config.json", config)
        write_weights(folder / "model.safetensors", weights, getattr(torch, dtype))

        T = case.get("T", 1 if name == "one_token" else 12)
        tokens = source.integers(config["vocab_size"], T)
        if T > 4:
            tokens[3] = tokens[1]
        write_json(folder / "inputs.json", {"tokens": tokens})
        traced = case.get("trace", False)
        truth, float32 = (run(load(folder, dtype), tokens, traced) for dtype in (torch.float64, torch.float32))
        if not traced:
            truth, float32 = ({"logits": activations["logits"]} for activations in (truth, float32))
        header = trace_header(tokens, truth, float32, sha256(folder / "model.safetensors"))
        write_tensors(folder / "truth.safetensors", {key: x.numpy() for key, x in truth.items()}, header)
        write_tensors(folder / "float32.safetensors", {key: x.numpy() for key, x in float32.items()})
        manifest[name] = {"about": case["about"], "activations": "all" if traced else ["logits"]}
        manifest[name]["weights_sha256"] = sha256(folder / "model.safetensors")
    return manifest


def export_codes(out):
    """Writes random bits and their PCA by numpy's SVD, as frozen tables of floats are made: rows of length 1."""
    bits, truth = {}, {}
    for name, V, B, E in (("square", 200, 12, 12), ("fewer", 300, 20, 7), ("wide", 150, 40, 40)):
        source = cases.Source(cases.SEED + V)
        x = np.unique(source.uniform(2 * V, B) > 0.2, axis=0)  # sorted rows, so that the mean of a column differs
        x = x[source.random.permutation(len(x))[:V]].astype(np.float64)
        centered = x - x.mean(0)
        codes = centered @ np.linalg.svd(centered, full_matrices=False)[2][:E].T
        codes *= np.sign(codes[0])  # the signs are open
        bits[name] = x.astype(np.float32)
        truth[name] = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    write_tensors(out / "codes/inputs.safetensors", bits)
    write_tensors(out / "codes/truth.safetensors", truth)


def export_demo(out):
    """Writes the logits after five prompts (all positions of the first) and the greedy tokens that follow."""
    tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
    models = {"truth": load(DEMO, torch.float64), "float32": load(DEMO, torch.float32)}
    prompts = [{"text": text, "tokens": tokenizer.encode(text).ids} for text in DEMO_PROMPTS]
    write_json(out / "demo/inputs.json", {"prompts": prompts})
    for precision, model in models.items():
        logits = {}
        for n, prompt in enumerate(prompts):
            all_positions = run(model, prompt["tokens"])["logits"].numpy()
            logits[f"prompt{n}"] = all_positions if n == 0 else all_positions[-1:]
        write_tensors(out / f"demo/{precision}.safetensors", logits)
    write_json(out / "demo/greedy.json", [greedy(models["truth"], prompt["tokens"]) for prompt in prompts])
    export_demo_activations(out / "demo/activations/truth.safetensors", prompts[0]["tokens"], models)
    return {"weights_sha256": sha256(DEMO / "model.safetensors"), "prompts": len(prompts)}


def export_demo_activations(path, tokens, models):
    """Writes samples of every activation of the first prompt, for `emergent verify`."""
    truth, float32 = (run(models[precision], tokens) for precision in ("truth", "float32"))
    tensors, sampled = samples(truth, lambda name: DEMO_SAMPLES)
    header = trace_header(tokens, truth, float32, sha256(DEMO / "model.safetensors"))
    write_tensors(path, tensors, {**header, "sampled": sampled})


def greedy(model, ids):
    """The greedy tokens after a prompt, also past `</s>`, and the smallest margin over the second best."""
    ids, margins = list(ids), []
    for _ in range(GREEDY_TOKENS):
        best = run(model, ids)["logits"][-1].topk(2)
        margins.append((best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return {"tokens": ids[-GREEDY_TOKENS:], "smallest_margin": round(min(margins), 4)}


def export(out):
    torch.set_num_threads(1)  # fixes the order of sums
    mpmath.mp.dps = 50
    export_codes(out)
    manifest = {
        "format": FORMAT,
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
        "seed": cases.SEED,
        "ops": export_ops(out),
        "models": export_models(out),
        "demo": export_demo(out),
    }
    files = sorted(path for path in out.rglob("*") if path.is_file())
    manifest["inputs_sha256"] = {str(path.relative_to(out)): sha256(path) for path in files if is_input(path)}
    write_json(out / "manifest.json", manifest)
