#!/usr/bin/env bash
# All there is to know of a GPU, in one run of at most eight minutes; a part that takes too long is cut off and said so.
#   bash benchmarks/gpu.sh                with `python` of an environment that has ssl3d_tf, and torch for the comparison
#   bash benchmarks/gpu.sh --dry-run      the same parts, small, where there is no GPU: do they run?
# TORCH_PYTHON is the one that has torch, if another. Each part's output is shown, and kept in $OUT (runs/gpu); the table at the end says what ran, how it ended, how long.
set -uo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-runs/gpu}
PYTHON=${PYTHON:-python}
TORCH_PYTHON=${TORCH_PYTHON:-$PYTHON}
mkdir -p "$OUT"
export PYTHONUNBUFFERED=1 TF_FORCE_GPU_ALLOW_GROWTH=true
table=()

part() { # NAME SECONDS COMMAND…
  local name=$1 limit=$2 began=$SECONDS code
  shift 2
  printf '\n== %s\n' "$name"
  timeout --signal=TERM --kill-after=5 "$limit" "$@" 2>&1 | tee "$OUT/$name.txt"
  code=${PIPESTATUS[0]}
  case $code in 0) said=ran ;; 124 | 137) said="cut off after $limit s" ;; *) said="failed ($code)" ;; esac
  table+=("$(printf '%-14s %-22s %4d s' "$name" "$said" $((SECONDS - began)))")
}

if [ "${1:-}" = --dry-run ]; then
  part convolutions 60 "$PYTHON" benchmarks/convolutions.py --size=8 --repeats=1
  part loop 150 "$PYTHON" benchmarks/loop.py --size=tiny --task=rotation_3d --views_on=device --views_on=host --rounds=1 --steps=3
  part step 120 "$PYTHON" benchmarks/step.py --python="$TORCH_PYTHON" --task=rotation_3d --rounds=1 --seconds=0
  part tests 120 env CUDA_VISIBLE_DEVICES=-1 "$PYTHON" -m pytest tests/command/test_kernels.py
  part variants 150 "$PYTHON" benchmarks/variants.py --gin_param=STEPS=2 --gin_param=VIEW_SIZE=16 --gin_param=LEVELS=1
else
  part convolutions 45 "$PYTHON" benchmarks/convolutions.py
  part loop 150 "$PYTHON" benchmarks/loop.py --size=real --precision=float32 --precision=mixed_bfloat16 \
    --views_on=device --views_on=host --rounds=5 --steps=10 --limit_s=125
  part step 100 "$PYTHON" benchmarks/step.py --python="$TORCH_PYTHON" --size=real --rounds=3 --seconds=.3
  part variants 100 "$PYTHON" benchmarks/variants.py
  part tests 85 env CUDA_VISIBLE_DEVICES=0 "$PYTHON" -m pytest tests -n 8 --maxfail=20
fi

printf '\n%-14s %-22s %s\n' part ended took
printf '%s\n' "${table[@]}"
! printf '%s\n' "${table[@]}" | grep -q 'failed'
