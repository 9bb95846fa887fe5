"""Computes the golden fixtures again and compares them with the committed ones.

    golden/run.sh check        (npm run golden:check)

- Inputs, weights and the manifest must be identical, byte for byte.
- Float64 truth must agree to 1e-12 of each tensor's rms: PyTorch's sums differ slightly between processors.
- PyTorch's float32 results differ more between processors. Their distance to the truth must equal that of the committed
  ones within a factor of 4, plus one unit of float32 (6e-8 of the rms).
- Greedy tokens must be identical: their margins are far larger than all these differences.
- Of the truths at full size one is recomputed, which takes 5 GB and ten seconds; `golden/run.sh full` writes the others.

Exits with 1 if anything differs.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from export import export
from export_full import export_preset

TRUTH_BOUND = 1e-12
FLOAT32_UNIT = 2.0**-24
MAX_SHOWN = 10

FULL = Path(__file__).parent / "full"
FULL_SIZE = "model_64_float.safetensors"
FULL_SIZE_MEMORY = 7e9  # bytes


class Comparison:
    def __init__(self):
        self.compared, self.faults = 0, []

    def fault(self, what):
        self.faults.append(what)


def rms(values):
    finite = values[np.isfinite(values)].astype(np.float64)
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def distance(a, b):
    """The elementwise distance: 0 where both are NaN or the same infinity, infinite where only one is."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
    return np.where(np.isnan(difference), np.inf, difference)


def compare_truth(comparison, where, committed, fresh):
    difference = distance(committed, fresh)
    bound = TRUTH_BOUND * rms(committed)
    if difference.size and difference.max() > bound:
        worst = np.unravel_index(difference.argmax(), difference.shape)
        at = ", ".join(map(str, worst))
        comparison.fault(f"{where} at [{at}]: committed {committed[worst]!r}, now {fresh[worst]!r}, bound {bound:.1e}")


def compare_float32(comparison, where, committed, fresh, truth):
    finite = np.isfinite(truth)
    if not np.array_equal(np.isfinite(committed), np.isfinite(fresh)):
        comparison.fault(f"{where}: non-finite elements are not where the committed ones are")
        return
    before, now = (rms(distance(x[finite], truth[finite])) for x in (committed, fresh))
    if max(before, now) > 4 * min(before, now) + FLOAT32_UNIT * rms(truth):
        comparison.fault(f"{where}: distance to the truth {now:.2e}, committed {before:.2e}")


def compare_tensors(comparison, name, committed, fresh, compare):
    a, b = load_file(committed / name), load_file(fresh / name)
    for key in sorted(a.keys() | b.keys()):
        comparison.compared += 1
        where = f"{name}: {key}"
        if key not in a or key not in b:
            comparison.fault(f"{where} is in only one of the two files")
        elif a[key].shape != b[key].shape or a[key].dtype != b[key].dtype:
            comparison.fault(f"{where}: committed {a[key].dtype} {a[key].shape}, now {b[key].dtype} {b[key].shape}")
        else:
            compare(comparison, where, key, a[key], b[key])


def compare_folders(committed, fresh):
    comparison = Comparison()
    names = [{str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} for root in (committed, fresh)]
    for name in sorted(names[0] ^ names[1]):
        where = "committed but not written" if name in names[0] else "written but not committed"
        comparison.fault(f"{name} is {where}")
    for name in sorted(names[0] & names[1]):
        if name.endswith("truth.safetensors"):
            compare_tensors(
                comparison, name, committed, fresh, lambda c, where, key, a, b: compare_truth(c, where, a, b)
            )
        elif name.endswith("float32.safetensors"):
            truth = load_file(committed / name.replace("float32", "truth"))
            compare_tensors(
                comparison,
                name,
                committed,
                fresh,
                lambda c, where, key, a, b, truth=truth: compare_float32(c, where, a, b, truth[key]),
            )
        elif name.endswith("greedy.json"):
            comparison.compared += 1
            a, b = (json.loads((root / name).read_text()) for root in (committed, fresh))
            if [x["tokens"] for x in a] != [x["tokens"] for x in b]:
                comparison.fault(f"{name}: different greedy tokens")
        else:
            comparison.compared += 1
            if (committed / name).read_bytes() != (fresh / name).read_bytes():
                comparison.fault(f"{name} differs")
    return comparison


def check_full(comparison, folder):
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < FULL_SIZE_MEMORY:
        print(f"golden: {FULL_SIZE} was not recomputed: it needs {FULL_SIZE_MEMORY / 1e9:.0f} GB of memory", file=sys.stderr)
        return
    export_preset(FULL_SIZE.removesuffix(".safetensors"), folder / FULL_SIZE)
    compare_tensors(comparison, FULL_SIZE, FULL, folder, lambda c, where, key, a, b: compare_truth(c, where, a, b))


def check(committed):
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder) / "fixtures")
        comparison = compare_folders(committed, Path(folder) / "fixtures")
        check_full(comparison, Path(folder))
    for fault in comparison.faults[:MAX_SHOWN]:
        print(f"golden: {fault}", file=sys.stderr)
    if len(comparison.faults) > MAX_SHOWN:
        print(f"golden: and {len(comparison.faults) - MAX_SHOWN} more", file=sys.stderr)
    print(f"golden: {comparison.compared} tensors and files compared, {len(comparison.faults)} differ")
    sys.exit(1 if comparison.faults else 0)

