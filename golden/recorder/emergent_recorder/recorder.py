"""Records one forward pass of a model: as it runs, and again in float32 and float64 on copies."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from .errors import BadInput
from .golden_file import FORMAT, check_out, sha256, write_golden
from .place import place
from .placement import Placement
from .watch import Watch, map_tree

MAX_MESSAGE = 240  # characters of an error that is passed on


class Recorder:
    """Watches one call of a model:

    with Recorder(model) as recorder:
        model(ids)
    recorder.save("golden.safetensors")
    """

    def __init__(self, model: nn.Module):
        if isinstance(model, torch.jit.ScriptModule):
            raise BadInput("the model is a TorchScript module, which hides its steps: record the Python model")
        if not isinstance(model, nn.Module):
            raise BadInput(f"the model must be an nn.Module, got {type(model).__name__}")
        if model.training:
            raise BadInput("the model is in training mode, where dropout changes its numbers: call model.eval() first")
        self.model = model
        self.calls: list[tuple[Any, Any, Any]] = []
        self.placement: Placement | None = None

    def __enter__(self) -> Recorder:
        self.calls = []
        self._hook = self.model.register_forward_hook(self._keep_call, with_kwargs=True)
        self._watch = Watch(self.model)
        self._modes = ExitStack()
        self._modes.enter_context(torch.no_grad())
        self._modes.enter_context(self._watch)
        return self

    def _keep_call(self, _: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self.calls.append((args, kwargs, output))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._modes.close()
        self._hook.remove()
        if error is None:
            if len(self.calls) != 1:
                raise BadInput(f"the model was called {len(self.calls)} times while it was recorded; call it once")
            args, kwargs, output = self.calls[0]
            self.placement = place(self.model, self._watch, ids_of(args, kwargs), output_of(output))

    @property
    def found(self) -> Placement:
        """What was found in the pass as it ran."""
        if self.placement is None:
            raise BadInput("nothing is recorded yet: call the model inside `with Recorder(model)`")
        return self.placement

    @property
    def roles(self) -> dict[str, str | list[str]]:
        """The canonical name of each parameter that has a role; two names for a tied one."""
        roles: dict[str, str | list[str]] = {}
        for canonical, name in self.found.roles.items():
            old = roles.get(name)
            roles[name] = canonical if old is None else [*([old] if isinstance(old, str) else old), canonical]
        return roles

    def rerun(self, dtype: torch.dtype) -> Placement:
        """The same pass on a copy of the model with parameters of another type."""
        args, kwargs, _ = self.calls[0]
        with blaming(f"the model cannot be run in {name_of(dtype)}"):
            model = copy.deepcopy(self.model)
            convert(model, dtype, set(self.found.roles.values()))
            args, kwargs = map_tree((args, kwargs), Tensor, lambda x: x.to(dtype) if x.is_floating_point() else x)
            with torch.no_grad(), Watch(model, widen=dtype == torch.float64) as watch:
                output = model(*args, **kwargs)
            return place(model, watch, ids_of(args, kwargs), output_of(output))

    def save(
        self, out: str | Path, weights: str | Path | None = None, trained_dtype: torch.dtype | None = None
    ) -> Report:
        """Writes the golden file. `weights` is the checkpoint's file, whose hash `emergent verify` then checks.

        `trained_dtype` is the type that the model was trained in, if its parameters do not show it.
        """
        out = Path(out)
        check_out(out)
        found = self.found
        ran_in = next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)
        float32 = found if ran_in == torch.float32 else self.rerun(torch.float32)
        truth = found if ran_in == torch.float64 else self.rerun(torch.float64)
        check_truth(found, truth)
        header: dict[str, Any] = {
            "format": FORMAT,
            "producer": f"PyTorch {torch.__version__.split('+')[0]}, {type(self.model).__name__}",
            "precision": "float64",
            "tokens": found.tokens,
        }
        if weights is not None:
            header["weights_sha256"] = sha256(Path(weights))
        header["float32_distance"] = distances(truth, float32)
        trained = trained_dtype or ran_in
        if trained not in (torch.float32, torch.float64):
            low = found if ran_in == trained else self.rerun(trained)
            header["trained_dtype"] = name_of(trained)
            header["trained_distance"] = distances(truth, low)
        header |= {
            "roles": self.roles,
            "transposed": truth.transposed,
            "conventions": truth.conventions,
            "computed": truth.computed,
            "unplaced": truth.unplaced,
        }
        write_golden(out, truth.activations, header)
        return Report(out, truth, header)


class Report:
    """What was recorded, in words."""

    def __init__(self, out: Path, placement: Placement, header: dict[str, Any]):
        self.out, self.placement, self.header = out, placement, header
        self.unplaced = placement.unplaced

    def __str__(self) -> str:
        found, header = self.placement, self.header
        lines = [
            f"{len(found.activations)} activations of {len(found.tokens)} tokens written to {self.out}",
            f"the model: {found.n_layer} layers of {found.n_head} heads",
            "conventions: " + ", ".join(f"{name} {value}" for name, value in found.conventions.items()),
        ]
        lines += [
            f"largest distance from float64: {name} {max(header[key].values()):.1e}"
            for name, key in (("float32", "float32_distance"), (header.get("trained_dtype"), "trained_distance"))
            if header.get(key)
        ]
        if found.computed:
            lines.append("attention weights: computed from q_rot and k_rot, because the model's kernel hides them")
        lines += [f"note: {note}" for note in found.notes]
        lines += [f"unplaced: {name}: {why}" for name, why in found.unplaced.items()]
        return "\n".join(lines)


def record(
    model: nn.Module,
    ids: Sequence[int] | Tensor,
    out: str | Path,
    weights: str | Path | None = None,
    trained_dtype: torch.dtype | None = None,
) -> Report:
    """Runs a model on token ids and writes the golden file."""
    check_out(Path(out))
    device = next((p.device for p in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    batch = torch.as_tensor(ids, device=device)
    if batch.numel() == 0 or batch.is_floating_point():
        raise BadInput("the ids must be a list of token ids")
    recorder = Recorder(model)
    with blaming("the model cannot be run"), recorder:
        model(batch if batch.ndim == 2 else batch[None])
    return recorder.save(out, weights, trained_dtype)


def convert(model: nn.Module, dtype: torch.dtype, roles: set[str]) -> None:
    """Converts the parameters, and the buffers that play a role. Tables of angles keep the bits that they have."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    for name, buffer in list(model.named_buffers(remove_duplicate=False)):
        if name in roles and buffer.is_floating_point():
            path, _, own = name.rpartition(".")
            model.get_submodule(path)._buffers[own] = buffer.to(dtype)


def ids_of(args: Any, kwargs: Any) -> Tensor:
    """The token ids among the arguments of the model: the first tensor of whole numbers."""
    tensors: list[Tensor] = []
    map_tree((args, kwargs), Tensor, tensors.append)
    ids = next((x for x in tensors if x.dtype in (torch.int64, torch.int32)), None)
    if ids is None:
        raise BadInput("the model was called without a tensor of token ids")
    if ids.ndim not in (1, 2) or (ids.ndim == 2 and ids.shape[0] != 1):
        raise BadInput(f"the ids have shape {list(ids.shape)}; record one sequence, [1, T]")
    return ids


def output_of(output: Any) -> Tensor:
    """The logits of a model: its output, the field `logits`, or the first tensor of a tuple."""
    for item in (output, getattr(output, "logits", None), *(output if isinstance(output, (tuple, list)) else ())):
        if isinstance(item, Tensor):
            return item
    logits = output.get("logits", output.get("last_hidden_state")) if isinstance(output, dict) else None
    if isinstance(logits, Tensor):
        return logits
    raise BadInput(f"the model returned {type(output).__name__}, in which no logits can be found")


def check_truth(found: Placement, truth: Placement) -> None:
    if set(found.activations) != set(truth.activations):
        names = sorted(set(found.activations) ^ set(truth.activations))
        raise BadInput(f"the model takes other steps in float64: {names[0]} differs")
    for name, value in truth.activations.items():
        if not value.isfinite().all():
            raise BadInput(f"{name} contains numbers that are not finite")
        if value.dtype != torch.float64 and name not in ("embedding", "expanded"):
            note = f"{name} and what follows ran in {name_of(value.dtype)}: the model casts to it, so the truth is less exact"
            truth.notes.append(note)
            return


def distances(truth: Placement, other: Placement) -> dict[str, float]:
    """The relative L2 distance of each activation from the truth."""
    return {
        name: float(f"{float((other.activations[name].double() - value).norm() / value.norm().clamp_min(1e-300)):.2g}")
        for name, value in truth.activations.items()
        if name in other.activations
    }


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turns any error of libraries and of the author's code into one line about `what`."""
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        message = textwrap.shorten(str(error), MAX_MESSAGE, placeholder=" ...")
        raise BadInput(f"{what}: {type(error).__name__}: {message}") from error
