#!/usr/bin/env bash
# Prepares the comparison: npm packages, a virtual environment, the checkpoint and its ONNX export (the last in .cache).
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .cache
[ -d node_modules/node-llama-cpp ] || npm ci --ignore-scripts --no-audit --no-fund --silent # their install scripts fetch GPU builds
if ! cmp -s requirements.txt .cache/installed.txt; then
  echo "peers: installing PyTorch and onnx" >&2
  python3 -m venv .cache/venv
  .cache/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt .cache/installed.txt
fi
checkpoint=../../checkpoints/model_64_float
[ -f $checkpoint/model.safetensors ] ||
  npm run --silent --prefix ../.. emergent -- make-checkpoint --preset model_64_float --out "$PWD/$checkpoint"
if [ ! -f .cache/model.onnx ]; then
  echo "peers: exporting to ONNX" >&2
  .cache/venv/bin/python model.py $checkpoint --export .cache/export.onnx >/dev/null
  mv .cache/export.onnx .cache/model.onnx
fi
for type in f32 q8_0 q4_0; do
  [ -f .cache/model-$type.gguf ] ||
    npm run --silent --prefix ../.. emergent -- convert --model "$PWD/$checkpoint" --to gguf --dtype $type \
      --drop-head-bias --out "$PWD/.cache/model-$type.gguf"
done
