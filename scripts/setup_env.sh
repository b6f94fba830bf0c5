#!/usr/bin/env bash
# Build, check or repair the environment in .venv. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: bash scripts/setup_env.sh [--check | --deep]

Builds .venv from the exact versions in requirements/, or repairs it: every package's files are compared
with what was installed, and only what is missing or broken is installed again. Call it as often as you
like: where nothing is to be done it takes a second.

  --check   only say what is wrong (status 1), install nothing
  --deep    compare the bytes of every file too, not only names and sizes

Environment variables:
  PYTHON       the Python to build with; otherwise python3.11, python3.12 or python3, the first that fits
  TORCH_INDEX  address of an extra package index for torch alone. On Linux the default build of torch brings
               CUDA (several GB). For a CPU-only environment give the address of PyTorch's CPU index, as the
               install page of PyTorch shows it. An installed torch is kept: remove .venv to change builds.
  PIP_*        pip's own settings (index, proxy, certificates, cache) are passed on.
TEXT
}

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
LOG=$ROOT/.venv.log
child=

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

say() {
  printf 'setup_env: %s\n' "$*"
}

# An interrupted pip would go on in the background and hold the lock.
interrupted() {
  [ -z "$child" ] || kill -- "-$child" 2>/dev/null || true
  printf 'error: interrupted; run it again, it goes on from here\n' >&2
  exit 130
}
trap interrupted INT TERM HUP

# -S: no package of the environment is needed, so none can break it.
environment() {
  "$VENV/bin/python" -I -S "$ROOT/scripts/environment.py" "$@"
}

# --- finding what the build needs ---------------------------------------------------------------

# Print the full path of a Python 3.11 or 3.12 that can make environments, or end with the reason.
find_python() {
  local candidate found reason="no python3.11, python3.12 or python3 on the PATH"
  local -a candidates=(python3.11 python3.12 python3)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    found=$("$candidate" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $found in
      3.11 | 3.12) ;;
      *) reason="$candidate is Python $found"; continue ;;
    esac
    if ! "$candidate" -I -c 'import venv, ensurepip' 2>/dev/null; then
      reason="$candidate lacks the venv module (Debian and Ubuntu: install python$found-venv)"
      continue
    fi
    "$candidate" -I -c 'import sys; print(sys.executable)'
    return
  done
  [ -z "${PYTHON:-}" ] || [ "$reason" != "${reason#"$PYTHON"}" ] || reason="PYTHON=$PYTHON does not run"
  die "$reason; Python 3.11 or 3.12 is needed: install one, or name it, as in PYTHON=/path/to/python3.11 bash scripts/setup_env.sh"
}

# fairseq comes as source with C++ parts: name the missing piece before minutes of downloading.
check_compiler() {
  local cxx=${CXX:-} include
  if [ -z "$cxx" ]; then
    for cxx in g++ c++ clang++ ""; do
      [ -z "$cxx" ] || ! command -v "$cxx" >/dev/null 2>&1 || break
    done
  fi
  [ -n "$cxx" ] && command -v "${CC:-cc}" >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 && [ -n "$cxx" ] ||
    die "no C compiler (gcc and g++): fairseq is built from source; install one (Debian and Ubuntu: build-essential)"
  include=$("$1" -I -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
  [ -f "$include/Python.h" ] ||
    die "no Python headers ($include/Python.h): fairseq is built from source; install them (Debian and Ubuntu: $(basename "$include")-dev)"
}

check_disk() {
  local free
  free=$(df -Pk "$ROOT" | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge 2500 ] ||
    die "$ROOT has $free MB free; the environment needs 2500 (10000 with the CUDA build of torch): make room"
}

# --- installing -----------------------------------------------------------------------------------

# The one line that a failed step deserves: the log's own words, and the mend.
explain() {
  local title=$1 reason
  if said 'No space left on device|Errno 28|Disk quota exceeded'; then
    reason="the disk is full; make room in $ROOT and in ${TMPDIR:-/tmp}"
  elif said 'Failed to establish a new connection|[Nn]ame resolution|Name or service not known|Connection refused' ||
    said 'Network is unreachable|timed out|ProxyError|NewConnectionError|ConnectionResetError'; then
    reason="no network: the package index cannot be reached; check the connection, or pip's proxy and index settings"
  elif said 'CERTIFICATE_VERIFY_FAILED|SSLError'; then
    reason="the certificate of the package index is not trusted; set PIP_CERT to your authority's file"
  elif said 'No matching distribution found'; then
    reason="$(last 'No matching distribution found.*'): no network, or a package index without it for this Python"
  elif said "command '[^']*(gcc|g\+\+|cc|c\+\+|clang)[^']*' failed"; then
    reason="the compiler failed: $(last "(fatal )?error: .*")"
  else
    reason=$(last '(ERROR|[A-Za-z]*Error): .*')
    reason=${reason:-$(tail -n 1 "$LOG")}
  fi
  die "$title failed: $reason; then run it again, it goes on from here (log: $LOG)"
}

said() {
  grep -qE "$1" "$LOG"
}

last() {
  grep -oE "$1" "$LOG" | tail -n 1 || true
}

# step TITLE COMMAND...: one line with the time it took; the output goes to the log.
step() {
  local title=$1 start=$SECONDS
  shift
  printf 'setup_env: %s ... ' "$title"
  : >"$LOG" || die "cannot write $LOG"
  set -m  # a process group of its own, so that an interrupt ends pip's compilers too
  "$@" >>"$LOG" 2>&1 </dev/null &
  child=$!
  set +m
  if ! wait "$child"; then
    child=
    printf 'failed\n'
    explain "$title"
  fi
  child=
  printf '%d s\n' $((SECONDS - start))
}

# pip is not pinned: any pip that comes with Python 3.11 or 3.12 does what is asked here (exact versions,
# no resolving), and replacing a running pip is one more thing that can be interrupted.
pip() {
  "$VENV/bin/python" -I -m pip --no-input --disable-pip-version-check --retries "${PIP_RETRIES:-2}" \
    install --progress-bar off --no-build-isolation "$@"
}

packages() {
  local pins=$ROOT/requirements
  if [ -n "${TORCH_INDEX:-}" ]; then
    step "torch and build tools" pip --extra-index-url "$TORCH_INDEX" -r "$pins/build.txt"
  else
    step "torch and build tools" pip -r "$pins/build.txt"
  fi
  step "fairseq, from source (2-3 minutes on 2 cores)" pip --no-deps --no-binary fairseq-fixed -r "$pins/fairseq.txt"
  step "everything else" pip --no-deps -r "$pins/runtime.txt" -r "$pins/test.txt"
  step "the plugin" pip --no-deps -e "$ROOT"
}

check_import() {
  (cd / && "$VENV/bin/python" -I -c 'import torch, fairseq, fairseq_plugin')
}

# Remove what is broken, install what is missing, then look again: only what was seen whole is trusted.
repair() {
  local faults
  step "removing what is broken" environment mend "$VENV" "$@"
  environment_has_pip || step "pip" "$VENV/bin/python" -I -m ensurepip --upgrade --default-pip
  packages
  faults=$(environment faults "$VENV" "$@") ||
    die "still broken after installing: $(printf '%s' "$faults" | head -n 1); remove $VENV and run it again"
}

environment_has_pip() {
  "$VENV/bin/python" -I -m pip --version >/dev/null 2>&1
}

main() {
  local mode=${1:-} python='' reason start=$SECONDS
  case $mode in
    "" | --check | --deep) ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown option '$mode'; see bash scripts/setup_env.sh --help" ;;
  esac
  # Settings that would make pip install elsewhere, or Python look elsewhere.
  unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER PIP_ROOT
  lock
  [ -z "${PYTHON:-}" ] || python=$(find_python)
  if reason=$(usable "$python"); then
    if [ "$mode" != --deep ] && reason=$(environment ready "$VENV"); then
      say "ready (.venv, $("$VENV/bin/python" -I -S -c 'import sys; print("Python " + sys.version.split()[0])'))"
      return
    fi
  fi
  if [ "$mode" = --check ]; then
    printf '%s\n' "${reason:-.venv is not there}" >&2
    die ".venv is not ready: run bash scripts/setup_env.sh"
  fi
  make_ready "$mode" "$python"
  say "ready after $((SECONDS - start)) s: $VENV"
}

# Whether .venv is there and worth mending; prints the reason where not.
usable() {
  local version
  [ -d "$VENV" ] || return 1
  if ! "$VENV/bin/python" -I -S -c '' 2>/dev/null; then
    printf '.venv: its Python does not run'
    return 1
  fi
  if [ -n "$1" ]; then
    version='import sys; print(sys.version_info[:3])'
    if [ "$("$1" -I -c "$version")" != "$("$VENV/bin/python" -I -S -c "$version")" ]; then
      printf '.venv: its Python is not the one that PYTHON names'
      return 1
    fi
  fi
  environment mendable "$VENV"
}

# Make or mend the environment. $1: "" or --deep; $2: the Python that PYTHON names, or nothing.
make_ready() {
  local mode=$1 python=$2 reason faults
  rm -f "$VENV/stamp"
  if reason=$(usable "$python"); then
    faults=$(environment faults "$VENV" ${mode:+"$mode"}) || true
    case $faults in *fairseq-fixed:*) check_compiler "$VENV/bin/python" ;; esac
  else
    [ -z "$reason" ] || say "$reason: making it anew"
    [ -n "$python" ] || python=$(find_python)
    check_compiler "$python"
    check_disk
    step "a virtual environment with $python" "$python" -I -m venv --clear "$VENV"
  fi
  repair ${mode:+"$mode"}
  if ! check_import >/dev/null 2>&1; then
    say "the packages do not import: comparing every byte"
    repair --deep
  fi
  step "imports" check_import
  environment stamp "$VENV"
  rm -f "$LOG"
}

# One run at a time: the lock goes with the open file, so a killed run leaves none behind, and the pip of a
# killed run holds it until it has ended. Python's flock, as not every system has the command.
lock() {
  local python
  : 2>/dev/null >>"$ROOT/.venv.lock" || die "cannot write in $ROOT, where the environment is made"
  exec 9>>"$ROOT/.venv.lock"
  for python in "$VENV/bin/python" python3.11 python3.12 python3 "${PYTHON:-}"; do
    [ -n "$python" ] && "$python" -I -S -c 'import fcntl' 2>/dev/null && break
  done
  [ -n "$python" ] || { find_python >/dev/null; return; }
  "$python" -I -S -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
  say "waiting for another setup_env.sh"
  "$python" -I -S -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

main "$@"
