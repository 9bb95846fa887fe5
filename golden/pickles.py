"""Writes fixtures-pickles/: files of torch.save, and beside each what torch.load reads from it, as safetensors.

    golden/.venv/bin/python golden/pickles.py
"""

import io
import os
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

GOLDEN = Path(__file__).resolve().parent
OUT = GOLDEN / "fixtures-pickles"


def expect(name, tensors):
    save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, OUT / f"{name}.safetensors")


def every_dtype():
    torch.manual_seed(1)
    floats = {str(dtype)[6:]: torch.randn(3, 5).to(dtype) for dtype in FLOATS}
    ints = {str(dtype)[6:]: torch.randint(0, 100, (2, 3)).to(dtype) for dtype in INTS}
    special = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-45, 3.4e38])
    others = {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 5), "special": special, "parameter": parameter()}
    return OrderedDict({**floats, **ints, **others})


FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def parameter():
    return torch.nn.Parameter(torch.randn(4))


def strided():
    base = torch.arange(60, dtype=torch.float32).reshape(6, 10)
    cube = torch.arange(24, dtype=torch.bfloat16).reshape(2, 3, 4)
    return {
        "whole": base,
        "tied": base,
        "transposed": base.T,
        "rows": base[2:5],
        "columns": base[:, 3:7],
        "steps": base[::2, ::3],
        "diagonal": base.diagonal(),
        "permuted": cube.permute(2, 0, 1),
        "one_expanded": torch.ones(1, 1).expand(1, 1),
        "double": torch.arange(12, dtype=torch.float64).reshape(3, 4).T,
        "half": torch.arange(12).to(torch.float16).reshape(3, 4)[:, 1],
        "int": torch.arange(12).reshape(3, 4).T,
    }


def nested(tensors):
    wrapped = {f"module._orig_mod.block._checkpoint_wrapped_module.{key}": value for key, value in tensors.items()}
    return {
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.95)}]},
        "model": wrapped,
        "config": {"n_layer": 2, "bias": False, "name": "x", "dropout": 0.0, "none": None},
        "best_val_loss": torch.tensor(1.5),
        "seed": 2**62 + 1,
        "epoch": -3,
    }


class Malicious:
    def __reduce__(self):
        return os.system, ("touch /tmp/emergent-was-here",)


def rewritten(source, edit, **options):
    """The archive with its files edited and written again; `options` are those of a ZipFile."""
    target = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **options) as new:
        for info in old.infolist():
            new.writestr(info.filename, edit(info.filename, old.read(info)))
    return target.getvalue()


def big_endian(path):
    """What torch.save writes on a big-endian machine."""
    tensors = torch.load(path, weights_only=True)

    class Recorder:
        sizes = {}

    for value in tensors.values():
        Recorder.sizes[value.untyped_storage().nbytes()] = value.element_size()

    def edit(name, data):
        if name.endswith("/byteorder"):
            return b"big"
        if "/data/" not in name:
            return data
        size = Recorder.sizes[len(data)]
        return b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))

    return rewritten(path, edit)


def zip64(path):
    """The archive with 64-bit sizes, as it would be beyond 4 GB."""
    limits = zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT
    zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = -1
    try:
        return rewritten(path, lambda name, data: data)
    finally:
        zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = limits


def check(name, tensors):
    """torch.load must read the same from a file that was made from another."""
    loaded = torch.load(OUT / f"{name}.pt", weights_only=True)
    assert all(torch.equal(value, loaded[key]) for key, value in tensors.items()), name


# The names that another program gives to the tensors of a block.
FOREIGN = {
    "token_embeddings": "wte",
    "transformer_layers": "h",
    "input_layernorm": "ln_1",
    "post_attention_layernorm": "ln_2",
    "self_attn": "attn",
    "final_layernorm": "ln_f",
}


def foreign(weights):
    """A model of golden/fixtures in bfloat16, as a training program keeps it: other names, nested, beside its options."""

    def rename(name):
        for ours, theirs in FOREIGN.items():
            name = name.replace(ours, theirs)
        return f"_orig_mod.{name}"

    model = {rename(name): value.to(torch.bfloat16) for name, value in weights.items()}
    options = {"n_layers": 2, "num_heads": 2, "hidden_size": 16, "max_position_embeddings": 16}
    return {"model": model, "model_args": {**options, "activation_function": "gelu_new"}, "iter_num": 100}


def main():
    OUT.mkdir(exist_ok=True)
    tensors = every_dtype()
    plain = OrderedDict((key, value) for key, value in tensors.items())
    for name, options in [("zip", {}), ("protocol5", {"pickle_protocol": 5})]:
        torch.save(plain, OUT / f"{name}.pt", **options)
        expect(name, plain)
    torch.save(strided(), OUT / "strided.pt")
    expect("strided", strided())
    inner = {"a.weight": torch.randn(2, 2), "b.weight": torch.randn(2)}
    torch.save(nested(inner), OUT / "nested.pt")
    expect("nested", inner)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    torch.save(module.state_dict(), OUT / "module.pt")
    expect("module", module.state_dict())

    numbers = {"a": torch.randn(7), "b": torch.randn(5).double(), "c": torch.randn(6).half(), "d": torch.arange(9)}
    torch.save(numbers, OUT / "little.pt")
    expect("big", numbers)
    (OUT / "big.pt").write_bytes(big_endian(OUT / "little.pt"))
    check("big", numbers)
    expect("zip64", numbers)
    (OUT / "zip64.pt").write_bytes(zip64(OUT / "little.pt"))
    check("zip64", numbers)
    compressed = rewritten(OUT / "little.pt", lambda name, data: data, compression=zipfile.ZIP_DEFLATED)
    (OUT / "refused-compressed.pt").write_bytes(compressed)
    (OUT / "little.pt").unlink()

    torch.save(inner, OUT / "refused-legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"model": inner, "more": Malicious()}, OUT / "refused-malicious.pt")
    torch.save({"model": inner, "more": Malicious()}, OUT / "refused-malicious5.pt", pickle_protocol=5)
    torch.save(module, OUT / "refused-module.pt")
    torch.save({"model": inner, "seen": {1, 2}}, OUT / "refused-set.pt", pickle_protocol=5)
    torch.save({"model": inner, "raw": b"bytes"}, OUT / "refused-bytes.pt", pickle_protocol=5)
    torch.save({"a": torch.ones(1).expand(1000)}, OUT / "refused-expanded.pt")
    torch.save({"a": torch.ones(2, dtype=torch.complex64)}, OUT / "refused-complex.pt")
    torch.save([1, 2], OUT / "refused-list.pt")
    torch.save({"ema_a": inner, "ema_b": inner}, OUT / "refused-several.pt")

    weights = load_file(GOLDEN / "fixtures/models/tanh/model.safetensors")
    torch.save(foreign(weights), OUT / "model.pt")
    expect("model", {name: value.to(torch.bfloat16) for name, value in weights.items()})
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"wrote {OUT}: {total / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
