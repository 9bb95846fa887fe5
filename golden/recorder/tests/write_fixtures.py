"""Writes golden/fixtures-recorded/: models in the styles of other authors, with foreign names, and their recordings.

Each folder has a checkpoint, and golden.safetensors as `record` writes it. bfloat16.safetensors and float16.safetensors hold
the same pass as the model computes it in these types. TwiceModel cannot run in them.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from test_styles import CONFIG, IDS, STYLES, pair
from emergent_recorder import Recorder
from emergent_recorder.golden_file import sha256, write_golden
from emergent_recorder.recorder import name_of

OUT = Path(__file__).resolve().parents[2] / "fixtures-recorded"


def write(name: str) -> None:
    _, model = pair(name)
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    # A tied parameter has two names in a state_dict; a checkpoint holds it once.
    once = {value.data_ptr(): key for key, value in reversed(model.state_dict().items())}
    save_file({key: model.state_dict()[key].contiguous() for key in sorted(once.values())}, weights)
    conventions = {key: value for key, value in STYLES[name][1].items() if key not in ("biases", "final_norm")}
    config = {**CONFIG, "block_size": 64, **conventions, "model_type": "foreign"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    ids = torch.tensor(IDS)
    with Recorder(model) as recorder:
        model(ids if name == "twice" else ids[None])
    print(recorder.save(folder / "golden.safetensors", weights=weights))
    for dtype in () if name == "twice" else (torch.bfloat16, torch.float16):
        found = recorder.rerun(dtype)
        header = {
            "format": 1,
            "producer": f"PyTorch {torch.__version__.split('+')[0]}, {type(model).__name__}",
            "precision": name_of(dtype),
            "tokens": IDS,
            "weights_sha256": sha256(weights),
            "roles": recorder.roles,
            "transposed": found.transposed,
            "conventions": found.conventions,
        }
        write_golden(folder / f"{name_of(dtype)}.safetensors", found.activations, header)


if __name__ == "__main__":
    for name in sys.argv[1:] or ("complex", "hand", "twice"):
        write(name)
