"""Loads a Hugging Face checkpoint with the code that comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from .errors import BadInput
from .recorder import Report, blaming, record


def record_hf(folder: Path, prompt: str, out: Path, name: str | None = None) -> Report:
    """Records a checkpoint folder. Messages call it `name`."""
    name = name or f"--hf {folder}"
    if not (folder / "config.json").is_file():
        raise BadInput(f"{name} has no config.json")
    try:
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, logging
    except ImportError as error:
        raise BadInput(f"{name} needs transformers: pip install 'emergent-recorder[hf]'") from error
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    with blaming(f"{name} cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
        # `from_pretrained` builds a model without memory first; computed tables that are not saved would hold garbage.
        model: Any = AutoModelForCausalLM
        model = model.from_config(config, trust_remote_code=True).float()
        weights = load_weights(folder)
        missing, unexpected = fill(model, weights)
    if not ids:
        raise BadInput("--prompt has no tokens")
    limit = getattr(config, "block_size", None) or getattr(config, "max_position_embeddings", None)
    if limit and len(ids) > limit:
        raise BadInput(f"--prompt has {len(ids)} tokens, but the model has {limit} positions")
    single = folder / "model.safetensors"
    trained = next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32)
    report = record(model.eval(), ids, out, single if single.exists() else None, trained)
    names = [("not in the checkpoint", missing), ("not in the model", unexpected)]
    report.placement.notes += [f"{what}: {', '.join(found)}" for what, found in names if found]
    return report


def fill(model: Any, weights: dict[str, Any]) -> tuple[list[str], list[str]]:
    result = model.load_state_dict(weights, strict=False)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    return list(result.missing_keys), list(result.unexpected_keys)


def load_weights(folder: Path) -> dict[str, Any]:
    """All tensors of a checkpoint folder, from one file or several."""
    weights: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    for path in [] if weights else sorted(folder.glob("pytorch_model*.bin")):
        weights |= torch.load(path, weights_only=True, map_location="cpu")
    if not weights:
        raise BadInput(f"{folder} has neither *.safetensors nor pytorch_model*.bin")
    return weights
