#!/bin/sh
# Compares a model with its golden file on two backends, then the backends with each other. Needs the package installed.
#   MODEL=my-model GOLDEN=golden.safetensors REPORTS=reports sh verify.sh
set -u
EMERGENT=${EMERGENT:-npx emergent}
mkdir -p "$REPORTS"
failed=0
for backend in simd reference; do
  $EMERGENT verify --model "$MODEL" --golden "$GOLDEN" --backend "$backend" --junit "$REPORTS/$backend.xml" || failed=$?
  $EMERGENT trace --model "$MODEL" --tokens 1,2,3 --backend "$backend" --out "$REPORTS/$backend.safetensors" || failed=$?
done
$EMERGENT compare "$REPORTS/simd.safetensors" "$REPORTS/reference.safetensors" --junit "$REPORTS/compare.xml" || failed=$?
exit "$failed"
