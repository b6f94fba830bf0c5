#!/usr/bin/env bash
# From one text to its style, in one command: the environment, then scripts/imitate.py. See --help.
set -euo pipefail

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$ROOT/.venv/bin/python
if [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
  [ ! -x "$python" ] || exec "$python" "$ROOT/scripts/imitate.py" --help
  # Its options are told once the environment is there.
  printf 'usage: bash scripts/imitate.sh FILE|FOLDER [--minutes M] [--prompt TEXT]... [--to DIR]\n\n'
  sed -n '/^"""/,/^"""$/p' "$ROOT/scripts/imitate.py" | tr -d '"'
  exit 0
fi
bash "$ROOT/scripts/setup_env.sh"
exec "$python" "$ROOT/scripts/imitate.py" "$@"
