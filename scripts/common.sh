# What quickstart.sh sources, beside its own options. It sets ROOT.
STEP=0

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# check_whole_number FLAG VALUE LEAST
check_whole_number() {
  [[ $2 =~ ^[0-9]{1,9}$ ]] && [ "$((10#$2))" -ge "$3" ] || die "$1 $2 must be a whole number, at least $3"
}

# check_number FLAG VALUE: above 0.
check_number() {
  [[ $2 =~ ^[0-9]*\.?[0-9]+$ && $2 =~ [1-9] ]] || die "$1 $2 must be a number above 0"
}

# Absolute, or relative to the repository where it is inside, so that the shown commands are short.
path_of() {
  local path
  path=$(cd -P "$(dirname "$1")" 2>/dev/null && pwd)/$(basename "$1") || die "the folder of $1 does not exist"
  printf '%s' "${path#"$ROOT/"}"
}

# make_folder DIR: for everything that is written.
make_folder() {
  mkdir -p "$1" 2>/dev/null || die "cannot make the folder --to $1"
}

# begin NAME DIR: the environment, and DIR for this run alone. Sets bin.
begin() {
  bash "$ROOT/scripts/setup_env.sh"
  cd "$ROOT"
  # The stock commands greet everybody with seven warnings about Hydra; errors and logs are not warnings.
  export PYTHONWARNINGS=ignore
  # Threads that wait without spinning: on a machine with other work, training is ten times faster so.
  export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
  bin=.venv/bin
  exec 9>"$2/.lock"
  $bin/python -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null ||
    die "another $1 works in $2; wait for it, or name another --to"
}

# title WORDS / shown COMMAND...: what comes, and the command as one could type it.
title() {
  STEP=$((STEP + 1))
  printf '\n== %d. %s\n' "$STEP" "$1"
}

shown() {
  printf '$'
  printf ' %q' "$@"
  printf '\n'
}

# step TITLE COMMAND...: with all it says.
step() {
  local start=$SECONDS
  title "$1"
  shift
  shown "$@"
  "$@" </dev/null
  printf '(%d s)\n' $((SECONDS - start))
}
