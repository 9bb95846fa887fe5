"""Each style gives the activations of golden/model.py with the same weights, and the right roles."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

import styles  # noqa: E402
from emergent_recorder import Recorder, record  # noqa: E402
from model import Model, run  # noqa: E402

IDS = [5, 0, 31, 7, 7, 12, 40]
CONFIG = {"vocab_size": 48, "n_embed": 8, "d_model": 24, "n_layer": 3, "n_head": 3}
ROUNDING = 1e-6  # relative to the largest number: tables of angles are rounded to float32 in some styles
UPSTREAM = Model.UPSTREAM_BIASES


def golden_model(biases=UPSTREAM, final_norm=True, **config):
    torch.manual_seed(3)
    model = Model({**CONFIG, **config}, biases, final_norm)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * (1.3 / parameter.shape[-1] ** 0.5))
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
    return model.eval()


NO_NORM_BIAS = {"ffn.0", "ffn.2", "lm_head"}
STYLES = {
    "complex": (styles.ComplexModel, {"biases": NO_NORM_BIAS, "rope_pairing": "interleaved"}),
    "functional": (styles.FunctionalModel, {}),
    "hand": (styles.HandModel, {"norm_position": "post", "gelu_approximate": "tanh"}),
    "twice": (styles.TwiceModel, {"biases": UPSTREAM - {"lm_head"}, "final_norm": False, "n_embed": 24}),
}
STYLES["exact"] = (styles.ExactModel, STYLES["complex"][1])
STYLES["twice"][1]["rope_pairing"] = "interleaved"


def pair(name):
    """golden/model.py and a style with the same weights."""
    style, config = STYLES[name]
    golden = golden_model(**config)
    if name == "twice":
        golden.lm_head.weight = golden.token_embeddings.weight
    return golden, style(golden.state_dict(), CONFIG["n_layer"], CONFIG["n_head"]).eval()


def read(path):
    with safe_open(path, "pt") as file:
        return load_file(path), json.loads(file.metadata()["emergent"])


class Styles(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.out = Path(temporary.name) / "golden.safetensors"

    def save(self, name, model):
        ids = torch.tensor(IDS)
        with Recorder(model) as recorder:
            model(ids if name == "twice" else ids[None])
        return recorder, recorder.save(self.out)

    def assert_close(self, actual, expected, name, room):
        self.assertEqual(actual.shape, expected.shape, name)
        error = float((actual.double() - expected.double()).abs().max() / expected.double().abs().max())
        self.assertLessEqual(error, room, name)
        return error

    def check_style(self, name, room=ROUNDING):
        golden, model = pair(name)
        recorder, report = self.save(name, model)
        tensors, header = read(self.out)
        truth, float32 = run(golden.double(), IDS, True), run(golden.float(), IDS, True)
        self.assertEqual(set(tensors), set(truth))
        errors = [self.assert_close(tensors[key], value, key, room) for key, value in truth.items()]
        found = recorder.found.activations
        for key, value in float32.items():
            self.assert_close(found[key], value, key, 5e-6)
        self.assertEqual(list(found), list(truth), "the order of execution")
        self.assertEqual(header["tokens"], IDS)
        self.assertEqual(set(header["float32_distance"]), set(truth))
        for key, distance in header["float32_distance"].items():
            expected = float((found[key].double() - tensors[key]).norm() / tensors[key].norm())
            self.assertAlmostEqual(distance, expected, delta=0.06 * expected)  # two digits are kept
        self.assertGreater(header["float32_distance"]["logits"], 0)
        print(f"  {name}: {len(truth)} activations, largest error {max(errors):.1e}")
        return golden, model, header, report

    def check_roles(self, golden, model, header, but=()):
        """Each parameter has the name of the golden weight that it holds."""
        state = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
        expected = golden.state_dict()
        named = set()
        for name, roles in header["roles"].items():
            for role in roles if isinstance(roles, list) else [roles]:
                named.add(role)
                value = state[name].t() if name in header["transposed"] else state[name]
                if "qkv" in role:
                    parts = [expected[role.replace("qkv", x)] for x in "qkv"]
                    named |= {role.replace("qkv", x) for x in "qkv"}
                    self.assertTrue(torch.equal(value, torch.cat(parts)), role)
                else:
                    self.assertTrue(torch.equal(value, expected[role]), role)
        missing = {name for name in set(expected) - named if not any(part in name for part in but)}
        self.assertEqual(missing, set())

    def test_complex_rotation_table_in_a_buffer_fused_projections(self):
        golden, model, header, report = self.check_style("complex")
        self.check_roles(golden, model, header)
        self.assertEqual(header["roles"]["codes"], "token_embeddings.weight")
        self.assertEqual(header["conventions"]["rope_pairing"], "interleaved")
        self.assertEqual(header["computed"], [f"layers.{n}.attn_weights" for n in range(3)])
        self.assertEqual(report.unplaced, {})

    def test_float64_stays_float64_where_the_model_casts_to_float32(self):
        self.check_style("exact", room=1e-13)

    def test_functions_alone_additive_mask_heads_hold_qkv_in_turn(self):
        golden, model, header, report = self.check_style("functional")
        self.check_roles(golden, model, header, but=("q_proj", "k_proj", "v_proj"))
        self.assertEqual(set(report.unplaced), {f"l{n}_qkv" for n in range(3)})
        self.assertIn("another order", report.unplaced["l0_qkv"])
        self.assertEqual(
            header["conventions"],
            {"rope_pairing": "half", "scale": "1/sqrt(D)", "mask": "causal", "norm_position": "pre"}
            | {"layer_norm_eps": 1e-5, "gelu_approximate": "none"},
        )
        self.assertEqual(header["computed"], [])

    def test_everything_by_hand_post_norm_turned_matrices(self):
        golden, model, header, report = self.check_style("hand")
        self.check_roles(golden, model, header)
        self.assertIn("blocks.b0.wq.kernel", header["transposed"])
        self.assertEqual(header["conventions"]["gelu_approximate"], "tanh")
        self.assertEqual(header["conventions"]["norm_position"], "post")
        self.assertEqual(header["conventions"]["scale"], "1/sqrt(D)")
        self.assertEqual(report.unplaced, {})

    def test_a_norm_called_twice_a_tied_head_no_final_norm(self):
        golden, model, header, report = self.check_style("twice")
        self.check_roles(golden, model, header)
        self.assertIn("tied head: tokens.weight is the embedding tokens.weight", str(report))
        self.assertIn("no final norm", str(report))
        self.assertEqual(report.unplaced, {})

    def test_a_mask_that_is_off_by_one_shows(self):
        class Shifted(styles.FunctionalModel):
            shift = 1

        golden = golden_model()
        model = Shifted(golden.state_dict(), 3, 3).eval()
        report = record(model, IDS, self.out)
        tensors, header = read(self.out)
        truth = run(golden.double(), IDS, True)
        self.assert_close(tensors["layers.0.q_rot"], truth["layers.0.q_rot"], "layers.0.q_rot", ROUNDING)
        for name in ("attn_weights", "attn"):
            difference = (tensors[f"layers.0.{name}"] - truth[f"layers.0.{name}"]).abs().max()
            self.assertGreater(difference, 1e-2, name)
        self.assertGreater(float(tensors["layers.0.attn_weights"][:, 0, 1].min()), 0)
        self.assertEqual(header["conventions"]["mask"], "not causal: shows 6 positions of the future")
        self.assertIn("shows 6 positions of the future", str(report))

    def test_the_type_it_was_trained_in_has_its_own_distance(self):
        golden, model = pair("functional")
        for dtype in (torch.bfloat16, torch.float16):
            low = styles.FunctionalModel(golden.state_dict(), 3, 3).eval()
            low = low.to(dtype)
            with self.subTest(dtype):
                record(low, IDS, self.out)
                header = read(self.out)[1]
                self.assertEqual(header["trained_dtype"], str(dtype).removeprefix("torch."))
                distance = header["trained_distance"]["logits"]
                # Half a unit in the last place is 2^-9 and 2^-12; float32 has 2^-25.
                self.assertGreater(distance, 2.0**-9 / 4 if dtype == torch.bfloat16 else 2.0**-12 / 4)
                self.assertLess(distance, 0.1)
                self.assertLess(header["float32_distance"]["logits"], 1e-5)


if __name__ == "__main__":
    unittest.main()
