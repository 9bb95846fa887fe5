"""The virtual environment golden/.venv with PyTorch, made from requirements.txt."""

import os
import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent
REQUIREMENTS = GOLDEN / "requirements.txt"
VENV = GOLDEN / ".venv"
INSTALLED = VENV / "installed.txt"  # the requirements that are installed; written last
PYTHON = VENV / "bin/python"


def enter(script, argv):
    """Starts the script again with the Python of the environment, unless it already runs there."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not INSTALLED.exists() or INSTALLED.read_bytes() != REQUIREMENTS.read_bytes():
        install()
    sys.stdout.flush()
    os.execv(PYTHON, [str(PYTHON), script, *argv])


def install():
    where = os.path.relpath(VENV)
    pip = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    run([sys.executable, "-m", "venv", VENV])
    cpu = cpu_build(pip)
    size = "250 MB to download, 1.2 GB on disk" if cpu else "up to 3 GB to download: this index has no CPU build of it"
    print(f"golden: installing PyTorch into {where}, {size}", file=sys.stderr, flush=True)
    run([*pip, "--requirement", REQUIREMENTS, *cpu])
    INSTALLED.write_bytes(REQUIREMENTS.read_bytes())


def cpu_build(pip):
    """PyTorch's CPU build as a requirement, if the package index offers it: without it pip may take one with CUDA."""
    torch = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("torch=="))
    found = subprocess.run([*pip, "--dry-run", "--no-deps", f"{torch}+cpu"], capture_output=True)
    return [f"{torch}+cpu"] if found.returncode == 0 else []


def run(command):
    if subprocess.run(command).returncode != 0:
        sys.exit(f"golden: cannot install {os.path.relpath(REQUIREMENTS)}")
