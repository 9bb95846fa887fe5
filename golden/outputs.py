"""Which files and folders the programs of golden/ may replace, and how they replace them.

A program replaces only what it can prove it wrote. It writes beside the old output and swaps at the end, so a failure
loses nothing. Imports no package, so that outputs are checked before PyTorch is loaded.
"""

import itertools
import json
import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path

from constants import COMPUTED_FIXTURES, CONVENTIONS, DEMO_MODEL_TYPE, FORMAT


class BadInput(Exception):
    """An option or a file that cannot be used. The message is one line."""


def check_folder(path, find_fault):
    """Refuses an output folder unless it is absent, empty, or `find_fault(folder)` is None."""
    check_parent(path)
    if not os.path.exists(path):
        return
    if not os.path.isdir(path):
        raise BadInput(f"--out {path} is a file, not a folder")
    try:
        fault = find_fault(path) if os.listdir(path) else None
    except OSError as error:
        raise BadInput(f"--out {path} cannot be read: {error.strerror}") from error
    if fault:
        raise BadInput(f"--out {path} would be overwritten, but {fault}; remove it or choose another folder")


def check_file(path, is_own, kind):
    """Refuses an output file that exists, unless `is_own(path)`."""
    check_parent(path)
    if os.path.isdir(path):
        raise BadInput(f"--out {path} is a folder, not a file")
    if os.path.lexists(path) and not is_own(path):
        raise BadInput(f"--out {path} would be overwritten, but is not {kind}; remove it or choose another file")


def check_parent(path):
    parent = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(parent):
        raise BadInput(f"--out {path}: the folder {parent} does not exist")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BadInput(f"--out {path}: the folder {parent} is not writable")


def manifest_fault(folder):
    """Why the manifest of a folder is not that of golden fixtures of this format, or None."""
    manifest = read_json(folder / "manifest.json")
    if not isinstance(manifest.get("inputs_sha256"), dict):
        return "it has no manifest.json of golden fixtures"
    if manifest.get("format") != FORMAT:
        return f"its manifest.json has format {manifest.get('format')}, not {FORMAT}"
    return None


def fixtures_fault(folder):
    """Why a folder does not consist of golden fixtures alone, or None."""
    fault = manifest_fault(folder)
    if fault:
        return fault
    inputs = set(read_json(folder / "manifest.json")["inputs_sha256"])
    folders = {str(Path(name).parent) for name in inputs} | {"demo/activations"}

    def is_fixture(name):
        computed = Path(name).name in COMPUTED_FIXTURES and str(Path(name).parent) in folders
        return name == "manifest.json" or name in inputs or computed

    return foreign_file_fault(folder, is_fixture)


def conventions_fault(folder):
    """Why a folder does not consist of the models of train_conventions.py and their text alone, or None."""
    names = ["-".join(choice) for choice in itertools.product(*CONVENTIONS.values())]
    for name in names:
        if (folder / name).exists() and read_json(folder / name / "config.json").get("model_type") != name:
            return f"{name}/config.json is not that of the model {name}"
    if not any((folder / name).exists() for name in names):
        return "it holds no model of train-conventions"
    files = {f"{name}/{file}" for name in names for file in ("config.json", "model.safetensors")}
    return foreign_file_fault(folder, lambda name: name in files or name == "text.txt")


def planted_fault(folder):
    """Why a folder does not consist of the files of planted.py alone, or None."""
    if read_json(folder / "config.json").get("model_type") != "planted":
        return "its config.json is not that of the planted model"

    def is_own(name):
        return name in ("config.json", "model.safetensors") or re.fullmatch(r"truth/[A-Za-z0-9-]+\.safetensors", name)

    return foreign_file_fault(folder, is_own)


def demo_fault(folder):
    """Why a folder is not one that train_demo.py wrote, or None. It may hold other files: they are kept."""
    if read_json(folder / "config.json").get("model_type") != DEMO_MODEL_TYPE:
        return f"its config.json is not that of a {DEMO_MODEL_TYPE} model"
    return None if "exact answers" in read_json(folder / "training.json") else "it has no training.json of train-demo"


def foreign_file_fault(folder, is_own):
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and not is_own(name):
            return f"{name} is not one of its files"
    return None


def is_full_size_truth(path, preset):
    synthetic = golden_header(path).get("synthetic")
    return isinstance(synthetic, dict) and synthetic.get("preset") == preset


def is_recorded(path):
    """Whether record.py wrote a file: the producer in its header is then "PyTorch VERSION, CLASS OF THE MODEL"."""
    return ", " in str(golden_header(path).get("producer"))


def golden_header(path):
    """The header of a golden file; {} for any other file."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > os.path.getsize(path):
                return {}
            header = json.loads(json.loads(file.read(length))["__metadata__"]["emergent"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}


def read_json(path):
    """The object in a JSON file; {} where there is none."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextmanager
def replacing_folder(path):
    """Gives an empty folder, which takes the place of `path` when the block ends without an error."""
    path = Path(os.path.realpath(path))
    with folder_beside(path) as temporary:
        new, old = temporary / "new", temporary / "old"
        new.mkdir()
        yield new
        try:
            if path.exists():
                path.rename(old)
            new.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise


@contextmanager
def replacing_file(path):
    """Gives the path of a new file, which takes the place of `path` when the block ends without an error."""
    path = Path(os.path.realpath(path))
    with folder_beside(path) as temporary:
        yield temporary / path.name
        (temporary / path.name).replace(path)


@contextmanager
def folder_beside(path):
    """A temporary folder on the same disk as `path`, so that what is in it can be moved there at once."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-", suffix=".unfinished") as temporary:
        yield Path(temporary)
