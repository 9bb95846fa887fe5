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
    if Path(sys.prefix).resolve() == VENV:
        return
    if not INSTALLED.exists() or INSTALLED.read_bytes() != REQUIREMENTS.read_bytes():
        install()
    sys.stdout.flush()
    os.execv(PYTHON, [str(PYTHON), script, *argv])


def install():
    print(f"golden: installing PyTorch into {os.path.relpath(VENV)}", file=sys.stderr, flush=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS]
    for command in ([sys.executable, "-m", "venv", VENV], pip):
        if subprocess.run(command).returncode != 0:
            sys.exit(f"golden: cannot install {os.path.relpath(REQUIREMENTS)}")
    INSTALLED.write_bytes(REQUIREMENTS.read_bytes())
