"""Tests the command line of golden/ and what it may replace:  golden/run.sh test    (npm run golden:test)

Needs no PyTorch. The tests run `python -S`, which hides every installed package, so a command fails here if it loads
PyTorch before it has checked its options.
"""

import ast
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from graphlib import TopologicalSorter
from pathlib import Path

import commands
import outputs
from ablation.test_report import invented
from constants import FORMAT
from outputs import BadInput

GOLDEN = Path(__file__).resolve().parent


class InTemporaryFolder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()

    def write(self, name, content="content"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def contents(self):
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}

    def assert_refused(self, reason, *argv):
        """The command ends with status 2 and one line that contains `reason`, and changes no file."""
        before = self.contents()
        command = [sys.executable, "-S", GOLDEN / "commands.py", *argv]
        result = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=60)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertRegex(result.stderr, r"\Agolden: [^\n]+\n\Z")
        self.assertIn(reason, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(self.contents(), before)

    def assert_accepted(self, *argv):
        return commands.parse([str(word) for word in argv])

    def assert_fault(self, reason, *argv):
        with self.assertRaises(BadInput) as raised:
            commands.parse([str(word) for word in argv])
        self.assertIn(reason, str(raised.exception))
        self.assertNotIn("\n", str(raised.exception))

    def golden_file(self, name, header):
        header = json.dumps({"__metadata__": {"emergent": json.dumps(header)}})
        path = self.folder / name
        path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
        return path

    def fixtures(self, **changes):
        """A folder that looks like the fixtures."""
        inputs = {"ops/inputs.safetensors": "hash", "models/tanh/config.json": "hash"}
        self.write("out/manifest.json", {"format": FORMAT, "inputs_sha256": inputs, **changes})
        for name in (*inputs, "ops/truth.safetensors", "demo/activations/truth.safetensors"):
            self.write(f"out/{name}")
        return self.folder / "out"


class Options(InTemporaryFolder):
    def test_unknown_commands_and_stray_options(self):
        self.assert_refused("unknown command 'wirte'; choose one of: write, full, record", "wirte")
        self.assert_refused("COMMAND")
        self.write("kept/note.txt")
        self.assert_refused("--prompt", "write", "--prompt", "text", "--out", "kept")
        self.assert_refused("--hf", "write", "--hf", "model", "--prompt", "text", "--out", "kept")
        for command in ("check-hf", "fit-gelu", "train-conventions", "full", "check", "test"):
            self.assert_fault("stray", command, "stray")

    def test_an_option_must_be_spelled_out(self):
        self.assert_fault("--ou", "write", "--ou", "x")

    def test_message_is_one_line_even_if_the_argument_is_not(self):
        self.assert_refused("a b", "check", "a\nb")

    def test_numbers(self):
        for value in ("0", "-1", "1.5", "many", ""):
            self.assert_fault("--steps", "train-demo", f"--steps={value}", "--out", self.folder / "new")
        self.assert_fault("--seed", "train-demo", "--seed=-1", "--out", self.folder / "new")
        arguments = self.assert_accepted("train-demo", "--steps", "7", "--seed", "0", "--out", self.folder / "new")
        self.assertEqual((arguments.steps, arguments.seed), (7, 0))

    def test_presets(self):
        self.assert_fault("model_8_bit", "full", "--preset", "model_8_bit", "--out", self.folder)

    def test_check_needs_fixtures_of_this_format(self):
        self.assert_refused("no manifest.json", "check", "--fixtures", "absent")
        self.fixtures(format=FORMAT + 1)
        self.assert_refused(f"format {FORMAT + 1}, not {FORMAT}", "check", "--fixtures", "out")


class Record(InTemporaryFolder):
    def record(self, model="model", prompt="text", out="new.safetensors"):
        return "record", "--model", model, "--prompt", prompt, "--out", out

    def model(self):
        self.write("model/config.json", {})
        self.write("model/model.safetensors")

    def test_every_option_is_needed(self):
        words = self.record()
        for n, option in ((1, "--model"), (3, "--prompt"), (5, "--out")):
            self.assert_refused(option, *words[:n], *words[n + 2 :])
        self.assert_refused("--prompt", *self.record(prompt=""))

    def test_output(self):
        self.model()
        self.assert_refused("absent does not exist", *self.record(out="absent/new.safetensors"))
        self.assert_refused("is a folder", *self.record(out="model"))
        self.assert_refused("is not a recorded golden file", *self.record(out="model/model.safetensors"))
        truth = self.golden_file("truth.safetensors", {"format": FORMAT, "producer": "PyTorch 2.13.0"})
        self.assert_refused("is not a recorded golden file", *self.record(out=truth.name))
        header = {"format": FORMAT, "producer": "PyTorch 2.13.0, StandinForCausalLM"}
        recorded = self.golden_file("recorded.safetensors", header)
        self.assert_accepted(*self.record(model=self.folder / "model", out=recorded))
        self.assert_accepted(*self.record(model=self.folder / "model", out=self.folder / "new.safetensors"))

    def test_model(self):
        self.assert_refused("neither a local folder nor the id", *self.record(model="../model"))
        self.write("file")
        self.assert_refused("neither a local folder nor the id", *self.record(model="file"))
        self.write("model/weights.txt")
        self.assert_refused("has no config.json", *self.record())
        self.write("model/config.json", {})
        self.assert_refused("has neither *.safetensors nor pytorch_model*.bin", *self.record())
        self.assert_accepted(*self.record(model="org/name", out=self.folder / "new.safetensors"))


class Ablation(InTemporaryFolder):
    def test_options(self):
        self.assert_fault("'ternary'", "ablation", "--arm", "ternary", "--out", self.folder / "new")
        self.assert_fault("--seed", "ablation", "--seed=-1", "--out", self.folder / "new")
        words = ("ablation", "--arm", "glyph", "--arm", "binary", "--seed", "0", "--out", self.folder / "new")
        arguments = self.assert_accepted(*words)
        self.assertEqual((arguments.arm, arguments.seed, arguments.resume), (["glyph", "binary"], [0], False))

    def test_earlier_results_are_only_added_to(self):
        self.write("out/results.json", {})
        self.write("file")
        self.assert_refused("give --resume", "ablation", "--out", "out")
        self.assert_refused("is a file", "ablation", "--out", "file", "--resume")
        self.assert_refused("does not exist", "ablation", "--out", "absent/out")
        self.assert_accepted("ablation", "--out", self.folder / "out", "--resume")

    def test_report(self):
        self.assert_refused("absent.json holds no results", "ablation-report", "--results", "absent.json")
        self.write("results.json", {"runs": []})
        self.assert_refused("holds no results", "ablation-report", "--results", "results.json", "--out", ".")
        self.write("results.json", invented())
        self.write("ablation.md", "somebody's")
        self.assert_refused("is not a report", "ablation-report", "--results", "results.json", "--out", ".")


class Replacing(InTemporaryFolder):
    def test_write_replaces_only_fixtures(self):
        out = self.fixtures()
        self.assert_accepted("write", "--out", out)
        self.assert_accepted("write", "--out", self.folder / "absent")
        (self.folder / "empty").mkdir()
        self.assert_accepted("write", "--out", self.folder / "empty")
        self.write("out/ops/note.txt")
        self.assert_refused("ops/note.txt is not one of its files", "write", "--out", "out")

    def test_write_refuses_every_other_folder(self):
        self.write("photos/truth.safetensors")
        self.assert_refused("it has no manifest.json", "write", "--out", "photos")
        self.write("photos/manifest.json", {"name": "a web page"})
        self.assert_refused("it has no manifest.json of golden fixtures", "write", "--out", "photos")
        self.write("photos/manifest.json", "[")
        self.assert_refused("it has no manifest.json of golden fixtures", "write", "--out", "photos")
        self.fixtures(format=FORMAT + 1)
        self.assert_refused(f"format {FORMAT + 1}, not {FORMAT}", "write", "--out", "out")
        self.assert_refused("is a file", "write", "--out", "out/manifest.json")
        self.assert_refused("does not exist", "write", "--out", "absent/out")

    def test_a_computed_name_elsewhere_is_no_fixture(self):
        out = self.fixtures()
        self.write("out/mine/truth.safetensors")
        self.assert_fault("mine/truth.safetensors", "write", "--out", out)

    def test_full_replaces_only_its_own_files(self):
        command = ("full", "--preset", "model_16_bit", "--out", self.folder)
        self.write("note.txt")
        self.assert_accepted(*command)
        self.golden_file("model_16_bit.safetensors", {"synthetic": {"preset": "model_16_bit", "seed": 1}})
        self.assert_accepted(*command)
        self.golden_file("model_16_bit.safetensors", {"synthetic": {"preset": "model_64_bit", "seed": 1}})
        self.assert_fault("model_16_bit.safetensors would be overwritten", *command)
        self.write("model_16_bit.safetensors", "a model of somebody's")
        self.assert_refused("is not the truth of model_16_bit", "full", "--preset", "model_16_bit", "--out", ".")

    def test_training_replaces_only_its_own_models(self):
        self.write("model/config.json", {"model_type": "llama"})
        self.write("model/training.json", {"exact answers": {}})
        self.assert_refused("its config.json is not that of a demo_12_float model", "train-demo", "--out", "model")
        self.write("model/config.json", {"model_type": "demo_12_float"})
        self.assert_accepted("train-demo", "--out", self.folder / "model")
        self.write("model/training.json", {})
        self.assert_refused("no training.json", "train-demo", "--out", "model")

        self.assert_refused("no model of train-conventions", "train-conventions", "--out", "model")
        self.write("conventions/half-none-pre/config.json", {"model_type": "half-none-pre"})
        self.write("conventions/text.txt")
        self.assert_accepted("train-conventions", "--out", self.folder / "conventions")
        self.write("conventions/half-none-pre/note.txt")
        self.assert_refused("half-none-pre/note.txt", "train-conventions", "--out", "conventions")
        self.write("conventions/half-none-pre/config.json", {"model_type": "llama"})
        self.assert_refused("half-none-pre/config.json is not", "train-conventions", "--out", "conventions")

    def test_the_committed_files_may_be_replaced(self):
        for command in ("write", "full", "train-demo", "train-conventions"):
            self.assert_accepted(command)

    def test_a_folder_is_replaced_at_the_end(self):
        out = self.fixtures()
        with outputs.replacing_folder(out) as new:
            (new / "new.txt").write_text("new")
            self.assertTrue((out / "manifest.json").exists())
        self.assertEqual(self.contents(), {"out/new.txt": b"new"})
        with outputs.replacing_folder(self.folder / "absent") as new:
            (new / "new.txt").write_text("new")
        self.assertEqual(self.contents(), {"out/new.txt": b"new", "absent/new.txt": b"new"})

    def test_a_failure_keeps_the_old_folder_and_file(self):
        out = self.fixtures()
        before = self.contents()
        with self.assertRaises(KeyboardInterrupt), outputs.replacing_folder(out) as new:
            (new / "new.txt").write_text("new")
            raise KeyboardInterrupt
        self.assertEqual(self.contents(), before)
        with self.assertRaises(FileNotFoundError), outputs.replacing_folder(out) as new:
            shutil.rmtree(new)  # the swap itself fails
        self.assertEqual(self.contents(), before)
        with self.assertRaises(KeyboardInterrupt), outputs.replacing_file(out / "manifest.json") as new:
            new.write_text("half of i")
            raise KeyboardInterrupt
        self.assertEqual(self.contents(), before)
        self.assertEqual(list(self.folder.iterdir()), [out])

    def test_a_link_keeps_its_place(self):
        out = self.fixtures()
        (self.folder / "link").symlink_to(out)
        with outputs.replacing_folder(self.folder / "link") as new:
            (new / "new.txt").write_text("new")
        self.assertTrue((self.folder / "link").is_symlink())
        self.assertEqual([p.name for p in out.iterdir()], ["new.txt"])


class Imports(unittest.TestCase):
    def test_no_import_circle(self):
        """Counts the imports inside functions, too. `TopologicalSorter` raises CycleError."""
        files = {path.stem: path for path in GOLDEN.glob("*.py")}
        files |= {f"ablation.{path.stem}": path for path in (GOLDEN / "ablation").glob("*.py")}
        graph = {}
        for name, path in files.items():
            found = set()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            graph[name] = found & files.keys()
        self.assertIn("files", graph["export"])
        self.assertEqual({"ablation.arms", "ablation.measure"} - graph["ablation.train"], set())
        TopologicalSorter(graph).prepare()


if __name__ == "__main__":
    unittest.main()
