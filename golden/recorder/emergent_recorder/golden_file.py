"""Writes golden files. src/verify/golden.ts of emergent-semantics reads them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from .errors import BadInput

FORMAT = 1  # the version of the golden file format


def check_out(out: Path) -> None:
    """Refuses a path that cannot be written, or that holds something other than a golden file."""
    if not out.parent.is_dir():
        raise BadInput(f"{out}: the folder {out.parent} does not exist")
    if out.is_dir():
        raise BadInput(f"{out} is a folder")
    if out.exists() and not is_golden(out):
        raise BadInput(f"{out} exists and is not a golden file: it is not replaced")


def is_golden(path: Path) -> bool:
    try:
        with safe_open(path, "np") as file:
            return "emergent" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def write_golden(out: Path, activations: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Writes beside the old file and swaps at the end, so that a failure loses nothing."""
    check_out(out)
    tensors = {name: np.ascontiguousarray(value.double().cpu().numpy()) for name, value in activations.items()}
    data = save(tensors, {"emergent": json.dumps(header)})
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, out)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise BadInput(f"{out} cannot be written: {error.strerror}") from error


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
