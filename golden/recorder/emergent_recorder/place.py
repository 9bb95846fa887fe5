"""Places the values of a watched pass: which one is which activation, and which parameter plays which role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from . import attention
from .attention import Core, heads_first, joined, projection_of
from .errors import BadInput, Unplaced
from .gelu import gelu_of
from .graph import Graph, Linear, ancestors, consumers, parameter, same
from .norms import norm_of
from .placement import ATTENTION, FEED_FORWARD, Placement, activation_order
from .watch import Value, Watch


def place(model: nn.Module, watch: Watch, ids: Tensor, output: Tensor) -> Placement:
    return Placer(model, watch, ids, output).run()


class Placer:
    def __init__(self, model: nn.Module, watch: Watch, ids: Tensor, output: Tensor):
        self.model, self.watch, self.output = model, watch, watch.value_of(output)
        self.graph = Graph(watch)
        self.found = Placement(tokens=ids.flatten().tolist())
        self.ids = watch.value_of(ids)
        self.T = ids.numel()

    def run(self) -> Placement:
        found = self.found
        lookup, table = self.find_lookup()
        cores = attention.find_cores(self.graph)
        if not cores:
            raise BadInput("the model has no attention that can be seen: no scaled_dot_product_attention, no softmax")
        found.n_layer = len(cores)
        self.keep("embedding", lookup)
        self.role("token_embeddings.weight", table)
        last = lookup
        for n, core in enumerate(cores):
            last = self.place_layer(n, core, last)
        self.place_end(last, table)
        self.list_unused()
        self.summarize()
        return found

    # What the placing of every part uses.

    def keep(self, name: str, value: Value | Tensor) -> None:
        tensor = value.tensor if isinstance(value, Value) else value
        if not name.endswith("attn_weights"):
            tensor = tensor.reshape(self.T, -1)
        self.found.activations[name] = tensor.detach()

    @contextmanager
    def placing(self, *names: str) -> Iterator[None]:
        """Lists the activations among `names` that the block does not place."""
        why = "the pass has no such step"
        try:
            yield
        except Unplaced as error:
            why = str(error)
        for name in names:
            if name not in self.found.activations:
                self.found.unplaced[name] = why

    def role(self, canonical: str, name: str | None) -> None:
        if name is not None:
            self.found.roles[canonical] = name

    def linear_role(self, canonical: str, linear: Linear) -> None:
        self.role(f"{canonical}.weight", linear.weight)
        self.role(f"{canonical}.bias", linear.bias)
        if linear.transposed and linear.weight not in self.found.transposed:
            self.found.transposed.append(linear.weight)

    def norm_role(self, canonical: str, value: Value, x: Value) -> None:
        norm = norm_of(self.graph, value, x, canonical)
        self.role(f"{canonical}.weight", norm.weight)
        self.role(f"{canonical}.bias", norm.bias)
        for step in self.graph.between(value, x):
            if step.op == "layer_norm":
                self.convention("layer_norm_eps", float(step.arg(4, "eps", 1e-5)))

    def convention(self, name: str, value: str | float) -> None:
        old = self.found.conventions.setdefault(name, value)
        if old != value:
            note = f"{name} differs between layers: {old} and {value}"
            if note not in self.found.notes:
                self.found.notes.append(note)

    # The parts, in the order of the pass.

    def find_lookup(self) -> tuple[Value, str]:
        """The row of a table for each token: of nn.Embedding, of a buffer or of a plain parameter."""
        for value in self.graph.values:
            if value.op not in ("embedding", "getitem", "index_select") or len(value.inputs) != 2:
                continue
            for table, index in (value.inputs, value.inputs[::-1]):
                named = parameter(table)
                if named and table.tensor.ndim == 2 and same(index) is same(self.ids):
                    return value, named[0]
        raise BadInput("the model looks up no table by the token ids: the embedding cannot be found")

    def place_layer(self, n: int, core: Core, before: Value) -> Value:
        """Places one layer. Returns its output, or its input where that is unplaced."""
        at, role = f"layers.{n}.", f"transformer_layers.{n}."
        qkv: dict[str, attention.Projection] = {}
        with self.placing(*(at + name for name in ATTENTION[:6])):
            qkv = self.place_attention(at, role, core)
        stream: Value | None = None
        with self.placing(at + "attn", at + "attn_out", at + "resid_mid", at + "attn_norm"):
            stream = self.place_attention_output(n, core, qkv, before)
        with self.placing(*(at + name for name in [*FEED_FORWARD, "ffn_norm"])):
            if stream is None:
                raise Unplaced(f"{at}resid_mid is unplaced")
            return self.place_feed_forward(n, stream)
        return before

    def place_attention(self, at: str, role: str, core: Core) -> dict[str, attention.Projection]:
        operands = {"q": core.q.tensor, "k": core.k.tensor, "v": core.v.tensor}
        if core.k_is_turned:
            operands["k"] = operands["k"].transpose(-1, -2)
        heads = {name: heads_first(x, self.T) for name, x in operands.items()}
        H, _, D = heads["q"].shape
        if heads["k"].shape[0] != H:
            raise BadInput(f"{at}k repeats its heads (grouped-query attention), which this family does not have")
        self.found.n_head = H
        found = {name: projection_of(self.graph, getattr(core, name), at + name) for name in "qkv"}
        for name, part in found.items():
            columns = part.linear.value.tensor.reshape(self.T, -1)[:, part.channels.to(heads["q"].device)]
            self.keep(at + name, columns)
        if not torch.equal(joined(heads["v"]), self.found.activations[at + "v"]):
            self.found.activations.pop(at + "v")
            self.found.unplaced[at + "v"] = "its columns are not in the order of the heads"
        for name in "qk":
            self.keep(f"{at}{name}_rot", joined(heads[name]))
        self.note_rotation(at, heads["q"], self.found.activations[at + "q"])
        weights, is_computed = attention.weights_of(core, self.T)
        self.keep(at + "attn_weights", weights)
        if is_computed:
            self.found.computed.append(at + "attn_weights")
        usual = abs(core.scale * D**0.5 - 1) < 1e-3
        self.convention("scale", "1/sqrt(D)" if usual else round(core.scale, 6))
        self.convention("mask", attention.mask_of(core, self.T))
        self.projection_roles(role, found)
        return found

    def note_rotation(self, at: str, rotated: Tensor, q: Tensor) -> None:
        H, T, D = rotated.shape
        pairing = attention.pairing_of(q.view(T, H, D).transpose(0, 1), rotated)
        if pairing:
            self.convention("rope_pairing", pairing)
        elif self.T > 1:
            self.found.notes.append(f"{at}q_rot is no rotation of {at}q in pairs: it is recorded as the scores take it")

    def projection_roles(self, role: str, found: dict[str, attention.Projection]) -> None:
        linears = [found[name].linear for name in "qkv"]
        if len({linear.weight for linear in linears}) == 3:
            for name, linear in zip("qkv", linears):
                self.linear_role(f"{role}self_attn.{name}_proj", linear)
            return
        channels = torch.cat([found[name].channels for name in "qkv"])
        if len({linear.weight for linear in linears}) == 1 and torch.equal(channels, torch.arange(channels.numel())):
            self.linear_role(f"{role}self_attn.qkv_proj", linears[0])
            return
        for name in sorted({linear.weight for linear in linears}):
            self.found.unplaced[name] = "it holds q, k and v in another order than q, then k, then v"

    def place_attention_output(self, n: int, core: Core, qkv: dict[str, attention.Projection], before: Value) -> Value:
        """Places what follows attention, up to the first residual sum; in post-norm layers up to its norm."""
        at, role = f"layers.{n}.", f"transformer_layers.{n}."
        self.keep(at + "attn", joined(heads_first(core.out.tensor, self.T)))
        output = next((x for x in self.graph.linears.values() if self.roots_are(x.x, core.out)), None)
        if output is None:
            raise Unplaced("no linear layer takes the output of attention")
        expected = output.x.tensor.reshape(self.T, -1)
        if not torch.equal(expected, self.found.activations[at + "attn"]):
            raise Unplaced("the model changes the output of attention before the projection")
        self.keep(at + "attn_out", output.value)
        self.linear_role(role + "self_attn.o_proj", output)
        mid, x = self.residual_sum(output.value, at + "attn_out")
        self.keep(at + "resid_mid", mid)
        if not qkv:
            raise Unplaced(f"{at}q is unplaced")
        inputs = [qkv[name].linear.x for name in "qkv"]
        if any(not torch.equal(inputs[0].tensor, other.tensor) for other in inputs[1:]):
            raise Unplaced("q, k and v are projections of different inputs")
        if n == 0:
            self.keep("expanded", same(x))
        is_pre = same(inputs[0]) is not same(x)
        self.convention("norm_position", "pre" if is_pre else "post")
        if is_pre:
            self.norm_role(role + "input_layernorm", inputs[0], same(x))
            self.keep(at + "attn_norm", inputs[0])
        self.check_stream(n, x, before)
        return mid

    def roots_are(self, value: Value, source: Value) -> bool:
        """Whether a value comes from `source` without a linear layer between."""
        if value.order <= source.order:
            return False
        return source in ancestors(value, lambda v: v is source or v in self.graph.linears)

    def check_stream(self, n: int, x: Value, before: Value) -> None:
        """Notes it if something happens between two layers, such as a position table."""
        if n == 0:
            expanded = self.found.activations["expanded"]
            embedding = self.found.activations["embedding"]
            repeats = expanded.shape[1] // embedding.shape[1]
            if not torch.equal(embedding.repeat_interleave(repeats, dim=-1), expanded):
                self.found.notes.append("expanded is not the embedding with each number repeated")
        elif same(x) is not same(before):
            self.found.notes.append(f"layers.{n} does not take the output of layers.{n - 1}")

    def residual_sum(self, branch: Value, name: str) -> tuple[Value, Value]:
        """The sum that adds a branch to the stream, and the stream before it."""
        for user in consumers(branch):
            others = [v for v in user.inputs if same(v) is not same(branch)]
            if user.op != "add" or len(user.inputs) != 2 or len(others) != 1 or user.arg(2, "alpha", 1) != 1:
                continue
            if others[0].tensor.shape == branch.tensor.shape and parameter(others[0]) is None:
                return user, others[0]
        raise Unplaced(f"{name} is not added to the stream directly")

    def place_feed_forward(self, n: int, mid: Value) -> Value:
        at, role = f"layers.{n}.", f"transformer_layers.{n}."
        is_pre = self.found.conventions.get("norm_position") == "pre"
        up = next((x for x in self.graph.linears.values() if x.value.order > mid.order), None)
        if up is None:
            raise Unplaced("no linear layer follows attention")
        norm = same(up.x)
        name = "post_attention_layernorm" if is_pre else "input_layernorm"
        self.norm_role(role + name, norm, mid)
        self.keep(at + ("ffn_norm" if is_pre else "attn_norm"), norm)
        self.found.unplaced.pop(at + "attn_norm", None)
        down = next((x for x in self.graph.linears.values() if self.roots_are(x.x, up.value)), None)
        if down is None:
            raise Unplaced("no linear layer takes the activation of the feed-forward layer")
        roots = self.graph.roots(down.x)
        if len(roots) > 1:
            names = " and ".join(linear.weight for linear in roots)
            raise BadInput(f"{at}ffn is gated ({names} lead to {down.weight}), which this family does not have")
        self.keep(at + "ffn_up", up.value)
        self.keep(at + "ffn_act", down.x)
        self.keep(at + "ffn_out", down.value)
        self.linear_role(role + "ffn.0", up)
        self.linear_role(role + "ffn.2", down)
        self.note_activation(up.value, down.x)
        total, x = self.residual_sum(down.value, at + "ffn_out")
        if same(x) is not same(mid if is_pre else norm):
            raise Unplaced("the feed-forward layer is added to another stream than the one that it reads")
        self.keep(at + "resid", total)
        if is_pre:
            return total
        return self.place_last_norm(n, total)

    def place_last_norm(self, n: int, total: Value) -> Value:
        """The norm that ends a post-norm layer: the first value after the sum that is one."""
        canonical = f"transformer_layers.{n}.post_attention_layernorm"
        width = total.tensor.shape[-1]
        for value in self.graph.values[total.order + 1 :]:
            if value.tensor.shape[-1:] != (width,) or value in self.graph.linears or not self.roots_are(value, total):
                continue
            try:
                self.norm_role(canonical, value, total)
            except Unplaced:
                continue
            followers = {same(user) for user in value.users}
            if any(user.op in ("mul", "add") and any(parameter(v) for v in user.inputs) for user in followers):
                continue  # a norm by hand before its weight or bias
            self.keep(f"layers.{n}.ffn_norm", value)
            return value
        raise Unplaced("no norm follows the second residual sum")

    def note_activation(self, up: Value, act: Value) -> None:
        approximate = gelu_of(self.graph, up, act)
        if approximate:
            self.convention("gelu_approximate", approximate)
        else:
            self.found.notes.append("the activation of the feed-forward layer is not GELU")

    def place_end(self, last: Value, table: str) -> None:
        value = same(self.output)
        head = self.graph.linears.get(value)
        V = self.watch_shape(table)[0]
        if head is None or head.shape[0] != V:
            self.found.unplaced["logits"] = "the model has no head: its output does not come from a linear layer"
            self.found.notes.append("no head: the model returns its hidden states")
            end = value
        else:
            self.keep("logits", head.value)
            self.linear_role("lm_head", head)
            if head.weight == table or self.is_shared(head.weight, table):
                self.found.notes.append(f"tied head: {head.weight} is the embedding {table}")
            end = same(head.x)
        if end is same(last):
            self.found.notes.append("no final norm")
            return
        with self.placing("final_norm"):
            self.norm_role("final_layernorm", end, same(last))
            self.keep("final_norm", end)

    def watch_shape(self, name: str) -> torch.Size:
        return next(v.tensor.shape for v in self.graph.values if v.name == name)

    def is_shared(self, one: str, other: str) -> bool:
        named = {v.name: v.tensor for v in self.graph.values if v.name in (one, other)}
        return len({t.data_ptr() for t in named.values()}) == 1

    def list_unused(self) -> None:
        placed = set(self.found.roles.values())
        for names in self.watch.names.values():
            if not placed.intersection(names) and self.watch.is_parameter[names[0]]:
                self.found.unplaced.setdefault(names[0], "a parameter without a role")

    def summarize(self) -> None:
        order = {name: at for at, name in enumerate(activation_order(self.found))}
        self.found.activations = dict(sorted(self.found.activations.items(), key=lambda item: order[item[0]]))
