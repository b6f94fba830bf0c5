#!/usr/bin/env bash
# The environment, then ruff and pyright as pyproject.toml sets them. Exit status: 1 if either finds something.
set -euo pipefail

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  cat <<'TEXT'
usage: bash scripts/lint.sh [FILE...]

Checks style (ruff) and types (pyright), everywhere or in the files named. Needs no network and no Node.js of the
system: pyright comes with its own in the environment. What ruff can repair by itself:

  .venv/bin/ruff check --fix . && .venv/bin/ruff format .
TEXT
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac

bash "$ROOT/scripts/setup_env.sh"
cd "$ROOT"
# Always the Node.js of the pins, whatever the system has; and no question to a registry about newer versions.
export PYRIGHT_PYTHON_GLOBAL_NODE=0 PYRIGHT_PYTHON_IGNORE_WARNINGS=1
# Both run, so that one round of mending is enough.
status=0
.venv/bin/ruff check --output-format concise "${@:-.}" || status=1
.venv/bin/ruff format --check "${@:-.}" || status=1
.venv/bin/pyright "$@" || status=1
exit "$status"
