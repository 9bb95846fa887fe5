"""Runs the experiment: every arm with every seed, one after another, all arms of a seed before the next seed."""

import json
import platform
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import demo_data
from ablation import arms, train
from ablation.data import ROOT, Data
from outputs import BadInput, replacing_file

SEEDS = (1, 2, 3, 4, 5)
KEPT_SEED, KEPT_ARMS = 1, ("float-20", "trainable", "glyph")  # whose weights are written
FORMAT = 1


def settings():
    """What must not change between the runs of one file of results."""
    return {
        "format": FORMAT,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "data": f"world-countries {demo_data.version()}, bible-kjv-text",
        "steps": train.STEPS,
        "rows": train.ROWS,
        "peak_lr": train.PEAK_LR,
        "config": train.CONFIG,
    }


def read_results(file):
    """The runs in a file of results. Raises BadInput if they were made with other settings."""
    if not file.exists():
        return []
    content = json.loads(file.read_text())
    if content.get("settings") != settings():
        raise BadInput(f"{file} holds runs with other settings: move it away, or run with those")
    return content["runs"]


def write_results(file, runs):
    """One run a line, so that a difference between two files shows which run it is."""
    lines = ",\n".join(json.dumps(rounded(run)) for run in runs)
    with replacing_file(file) as new:
        new.write_text(f'{{"settings": {json.dumps(settings())},\n"runs": [\n{lines}\n]}}\n')


def rounded(value):
    """Floats to six digits after the point: far below the spread between seeds."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def write_model(folder, arm, model):
    """A checkpoint folder in float16, as the demo's."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing_file(folder / "model.safetensors") as new:
        save_file({name: value.half().contiguous() for name, value in model.state_dict().items()}, new)
        new.chmod(0o644)
    config = {**train.CONFIG, "n_embed": arm.width}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "models/demo" / name, folder / name)


def run(out: Path, arm_names, seeds):
    """Trains what is missing in OUT/results.json."""
    torch.set_num_threads(1)  # sums depend on the number of threads
    file = out / "results.json"
    runs = read_results(file)
    done = {(run["arm"], run["seed"]) for run in runs}
    waiting = [(arms.ARMS[name], seed) for seed in seeds for name in arm_names if (name, seed) not in done]
    if not waiting:
        print("golden: nothing to do: every run is in the file", file=sys.stderr)
        return
    data = Data()
    out.mkdir(parents=True, exist_ok=True)
    for n, (arm, seed) in enumerate(waiting):
        model, result = train.train(arm, seed, data)
        if seed == KEPT_SEED and arm.name in KEPT_ARMS:
            write_model(out / "models" / arm.name, arm, model)
        runs = [*read_results(file), result]
        write_results(file, runs)
        print(
            f"{n + 1} of {len(waiting)}: {arm.name}, seed {seed}: {result['bpc']:.4f} bits a character, "
            f"{result['seconds']:.0f} s",
            file=sys.stderr,
            flush=True,
        )
