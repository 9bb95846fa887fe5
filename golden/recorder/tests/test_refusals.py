"""What cannot be recorded is refused or listed, with the reason. Nothing is guessed."""

import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from emergent_recorder import BadInput, Recorder, record  # noqa: E402
from emergent_recorder.__main__ import main  # noqa: E402

IDS = [5, 0, 31, 7, 7, 12]
V, C, H = 48, 24, 3


class Tiny(nn.Module):
    """One pre-norm layer without rotation. Tests replace its parts."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.emb = nn.Embedding(V, C)
        self.n1, self.n2, self.nf = (self.norm() for _ in range(3))
        self.q, self.k, self.v, self.o = (nn.Linear(C, C) for _ in range(4))
        self.up, self.down, self.head = nn.Linear(C, 4 * C), nn.Linear(4 * C, C), nn.Linear(C, V)

    def norm(self):
        return nn.LayerNorm(C)

    def split(self, x):
        return x.unflatten(-1, (-1, C // H)).transpose(1, 2)

    def attend(self, x):
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)

    def feed(self, x):
        return self.down(F.gelu(self.up(x)))

    def body(self, x):
        x = x + self.o(self.attend(self.n1(x)))
        return x + self.feed(self.n2(x))

    def end(self, x):
        return self.head(self.nf(x))

    def forward(self, ids):
        return self.end(self.body(self.emb(ids)))


class RootMeanSquare(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(C) + 0.5)

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.gain


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.out = self.folder / "golden.safetensors"

    def record(self, model, ids=IDS):
        return record(model.eval(), ids, self.out)

    def refuses(self, pattern, model, ids=IDS):
        with self.assertRaisesRegex(BadInput, pattern) as caught:
            self.record(model, ids)
        self.assertNotIn("\n", str(caught.exception))
        self.assertEqual(list(self.folder.iterdir()), [], "nothing is written")


class Refused(Case):
    def test_rms_norm_by_torch_and_by_hand(self):
        for kind in (lambda: nn.RMSNorm(C), RootMeanSquare):
            model = type("Rms", (Tiny,), {"norm": lambda self, kind=kind: kind()})()
            self.refuses("input_layernorm is RMSNorm, which this family does not have", model)

    def test_gated_feed_forward(self):
        class Gated(Tiny):
            def __init__(self):
                super().__init__()
                self.gate = nn.Linear(C, 4 * C)

            def feed(self, x):
                return self.down(F.silu(self.gate(x)) * self.up(x))

        self.refuses("layers.0.ffn is gated", Gated())

    def test_grouped_queries(self):
        class Grouped(Tiny):
            def __init__(self):
                super().__init__()
                self.k, self.v = nn.Linear(C, C // H), nn.Linear(C, C // H)

            def split(self, x):
                x = super().split(x)
                return x.expand(-1, H, -1, -1) if x.shape[1] == 1 else x

        self.refuses("layers.0.k repeats its heads .grouped-query attention.", Grouped())

    def test_training_mode(self):
        with self.assertRaisesRegex(BadInput, r"training mode.*model.eval\(\)"):
            record(Tiny().train(), IDS, self.out)

    def test_models_without_attention_or_table(self):
        self.refuses("no attention", type("Flat", (Tiny,), {"attend": lambda self, x: self.v(x)})())
        one_hot = type("OneHot", (Tiny,), {"forward": lambda self, ids: self.end(F.one_hot(ids, V) @ self.emb.weight)})
        self.refuses("the embedding cannot be found|cannot be run", one_hot())

    def test_ids(self):
        self.refuses(r"shape \[2, 3\]; record one sequence", Tiny(), torch.zeros(2, 3, dtype=torch.long))
        self.refuses("must be a list of token ids", Tiny(), [])
        self.refuses("must be a list of token ids", Tiny(), torch.rand(3))
        self.refuses("cannot be run: IndexError", Tiny(), [V])

    def test_torch_script_and_other_things(self):
        with self.assertRaisesRegex(BadInput, "TorchScript"):
            Recorder(torch.jit.trace(Tiny().eval(), torch.tensor([IDS])))
        with self.assertRaisesRegex(BadInput, "must be an nn.Module, got int"):
            Recorder(3)

    def test_numbers_that_are_not_finite(self):
        model = Tiny()
        model.up.bias.data[0] = float("inf")
        self.refuses("layers.0.ffn_up contains numbers that are not finite", model)

    def test_one_call_is_recorded_not_none_or_two(self):
        model = Tiny().eval()
        for count in (0, 2):
            with self.assertRaisesRegex(BadInput, f"called {count} times"), Recorder(model):
                for _ in range(count):
                    model(torch.tensor([IDS]))
        with self.assertRaisesRegex(BadInput, "nothing is recorded yet"):
            Recorder(model).save(self.out)

    def test_an_error_in_the_model_is_passed_on_and_the_hooks_removed(self):
        model = Tiny().eval()
        with self.assertRaises(IndexError), Recorder(model):
            model(torch.tensor([[V]]))
        self.assertEqual(len(model._forward_hooks), 0)
        self.assertTrue(torch.is_grad_enabled())


class Unplaced(Case):
    def test_a_position_table(self):
        class Positions(Tiny):
            def __init__(self):
                super().__init__()
                self.wpe = nn.Embedding(64, C)

            def body(self, x):
                return super().body(x + self.wpe(torch.arange(x.shape[1])))

        report = self.record(Positions())
        self.assertEqual(report.unplaced["wpe.weight"], "a parameter without a role")
        self.assertIn("expanded is not the embedding with each number repeated", str(report))

    def test_a_scaled_branch(self):
        class Scaled(Tiny):
            def body(self, x):
                x = x + 0.5 * self.o(self.attend(self.n1(x)))
                return x + self.feed(self.n2(x))

        report = self.record(Scaled())
        self.assertIn("layers.0.attn_out is not added to the stream directly", report.unplaced["layers.0.resid_mid"])
        self.assertIn("layers.0.resid", report.unplaced)
        self.assertIn("unplaced: layers.0.resid_mid", str(report))
        with safe_open(self.out, "pt") as file:
            names = set(file.keys())
            header = json.loads(file.metadata()["emergent"])
        self.assertEqual(header["unplaced"], report.unplaced)
        self.assertLessEqual({"layers.0.q_rot", "layers.0.attn", "layers.0.attn_out"}, names)
        self.assertFalse({"layers.0.resid_mid", "layers.0.resid"} & names)

    def test_a_parallel_layer(self):
        class Parallel(Tiny):
            def body(self, x):
                y = self.n1(x)
                return x + self.o(self.attend(y)) + self.feed(y)

        report = self.record(Parallel())
        self.assertIn("layers.0.ffn_norm", report.unplaced)
        self.assertIn("layers.0.resid", report.unplaced)
        self.assertNotIn("layers.0.attn", report.unplaced)

    def test_a_layer_norm_of_another_formula(self):
        class Odd(nn.LayerNorm):
            def forward(self, x):
                return super().forward(x) * 1.5

        report = self.record(type("OddNorm", (Tiny,), {"norm": lambda self: Odd(C)})())
        self.assertIn("not a LayerNorm", report.unplaced["layers.0.attn_norm"])

    def test_no_head(self):
        report = self.record(type("Headless", (Tiny,), {"end": lambda self, x: self.nf(x)})())
        self.assertIn("no head: the model returns its hidden states", str(report))
        self.assertIn("logits", report.unplaced)
        self.assertIn("final_norm", report.placement.activations)

    def test_another_activation_and_no_rotation_are_said(self):
        report = self.record(type("Relu", (Tiny,), {"feed": lambda self, x: self.down(F.relu(self.up(x)))})())
        self.assertIn("not GELU", str(report))
        self.assertIn("layers.0.q_rot is no rotation", str(report))
        self.assertNotIn("rope_pairing", report.header["conventions"])


class Files(Case):
    def test_only_a_golden_file_is_replaced(self):
        self.record(Tiny())
        first = self.out.read_bytes()
        record(Tiny().eval(), IDS[:3], self.out)
        self.assertNotEqual(self.out.read_bytes(), first)
        save_file({"x": torch.zeros(2)}, self.out)
        before = self.out.read_bytes()
        with self.assertRaisesRegex(BadInput, "is not a golden file: it is not replaced"):
            self.record(Tiny())
        self.assertEqual(self.out.read_bytes(), before)
        self.assertEqual(len(list(self.folder.iterdir())), 1, "no temporary file is left")

    def test_folders(self):
        with self.assertRaisesRegex(BadInput, "nowhere does not exist"):
            record(Tiny().eval(), IDS, self.folder / "nowhere" / "x")
        with self.assertRaisesRegex(BadInput, "is a folder"):
            record(Tiny().eval(), IDS, self.folder)

    def test_the_hash_of_the_weights(self):
        weights = self.folder / "w"
        weights.write_bytes(b"abc")
        header = record(Tiny().eval(), IDS, self.out, weights=weights).header
        self.assertEqual(header["weights_sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")

    def test_the_model_stays_as_it_was(self):
        model = Tiny().eval()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        self.record(model)
        for name, value in model.state_dict().items():
            self.assertEqual(value.dtype, torch.float32)
            self.assertTrue(torch.equal(value, before[name]), name)
        self.assertEqual(len(model._forward_hooks), 0)


class Command(Case):
    def run_main(self, *argv):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main([str(x) for x in argv])
        return status, err.getvalue()

    def test_bad_options_give_one_line(self):
        for argv, words in (
            ((), "--hf, --prompt, --out"),
            (("--hf", self.folder, "--prompt", "x", "--out", self.out), "has no config.json"),
            (("--hf", self.folder, "--prompt", "x", "--out", self.folder), "is a folder"),
        ):
            status, err = self.run_main(*argv)
            self.assertEqual(status, 2)
            self.assertIn(words, err)
            self.assertEqual(err.count("\n"), 1, err)


if __name__ == "__main__":
    unittest.main()
