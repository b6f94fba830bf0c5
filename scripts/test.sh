#!/usr/bin/env bash
# The environment, then the tests. Exit status: pytest's.
set -euo pipefail

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'TEXT'
usage: bash scripts/test.sh [--fast] [pytest arguments...]

Every test that this machine can run; --fast leaves out those marked slow. Tests that need a GPU or the
data folder beside the repository are skipped, with the reason, where there is none.

Examples:
  bash scripts/test.sh --fast
  bash scripts/test.sh tests/core -k gamma
  bash scripts/test.sh -n 0 --pdb tests/core/test_scale_grad.py
TEXT
}

options=()
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  --fast) options=(-m "not slow"); shift ;;
esac

bash "$ROOT/scripts/setup_env.sh"
cd "$ROOT"

# One thread per test process: tiny models are slower with more, and some promises are bit-exact on one.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false

# At most 4 processes: some tests start two trainings of their own.
processes=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
[ "$processes" -le 4 ] || processes=4

exec "$ROOT/.venv/bin/python" -m pytest -n "$processes" --dist worksteal "${options[@]+"${options[@]}"}" "$@"
