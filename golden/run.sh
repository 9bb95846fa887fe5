#!/usr/bin/env bash
# Runs what needs PyTorch, in a virtual environment of its own:  golden/run.sh write | full | check | check-hf | train-demo | ...
set -euo pipefail
cd "$(dirname "$0")/.."
venv=golden/.venv
python=$venv/bin/python
if ! cmp -s golden/requirements.txt "$venv/installed.txt"; then
  echo "golden: installing PyTorch into $venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement golden/requirements.txt
  cp golden/requirements.txt "$venv/installed.txt"
fi
export PYTHONDONTWRITEBYTECODE=1
command=${1:?usage: golden/run.sh write | full | check | check-hf | train-demo | train-conventions | fit-gelu}
shift
case $command in
  write) "$python" golden/export.py --out golden/fixtures "$@" ;;
  full) "$python" golden/export_full.py --out golden/full "$@" ;;
  check) "$python" golden/check.py "$@" ;;
  check-hf) "$python" golden/check_hf.py "$@" ;;
  train-demo) "$python" golden/train_demo.py --out models/demo "$@" ;;
  train-conventions) "$python" golden/train_conventions.py --out golden/conventions "$@" ;;
  fit-gelu) "$python" golden/fit_gelu.py "$@" ;;
  *) echo "golden/run.sh: unknown command '$command': write, full, check, check-hf, train-demo, train-conventions or fit-gelu" >&2 && exit 2 ;;
esac
