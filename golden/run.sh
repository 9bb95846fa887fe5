#!/usr/bin/env bash
# Runs a program of golden/ (--help lists them). The first use installs PyTorch into golden/.venv.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$(dirname "$0")/commands.py" "$@"
