#!/usr/bin/env bash
# The main job from end to end: a labelled set in, an augmented set out. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: bash scripts/quickstart.sh [--data DIR] [--to DIR] [--epochs N] [--samples N] [--gamma G] [--seed N]
                                  [--allow-fewer]

Trains a small GPT-2 with ScaleGrad on labelled sentences and writes new sentences for each label:
scripts/augment.py, after the environment. Each command is shown as it runs. Run it again to go on after an
interruption.

  --data DIR   a folder with train.tsv, .csv or .jsonl, perhaps also valid.* (or dev.*) and test.*: a sentence and a
               label per row. For columns that cannot be guessed, and more, see scripts/augment.py --help.
               Without it: short reviews in two classes from a seeded grammar, made on the spot
  --to DIR     folder for everything that is written (default: runs/reviews, or runs/ and DIR's name)
  --epochs N   most passes over the training set (default: by its size; it stops when validation gets no better)
  --samples N  new sentences per label (default: 500)
  --gamma G    ScaleGrad's gamma in (0, 1]; 1 is maximum likelihood (default: 0.5)
  --seed N     of training and of the samples (default: 1)
  --allow-fewer   go on with fewer sentences where so many cannot be had

The last lines begin with the verdict. Exit status: 0; 3 for "Do not use this"; 4 for "No gain" on data of your own;
1 for an error.
TEXT
}

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$ROOT/scripts/common.sh"
DATA='' TO='' EPOCHS='' SAMPLES=500 GAMMA=0.5 SEED=1 MORE=()

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --allow-fewer) MORE=(--allow-fewer); shift; continue ;;
    --data | --to | --epochs | --samples | --gamma | --seed)
      [ $# -ge 2 ] || die "$1 needs a value; see --help" ;;
    *) die "unknown option '$1'; see bash scripts/quickstart.sh --help" ;;
  esac
  case $1 in
    --data) DATA=$2 ;;
    --to) TO=$2 ;;
    --epochs) EPOCHS=$2 ;;
    --samples) SAMPLES=$2 ;;
    --gamma) GAMMA=$2 ;;
    --seed) SEED=$2 ;;
  esac
  shift 2
done
# A slip is refused here, before anything is written.
[ -z "$EPOCHS" ] || check_whole_number --epochs "$EPOCHS" 1
check_whole_number --samples "$SAMPLES" 1
check_whole_number --seed "$SEED" 0
check_number --gamma "$GAMMA"

# A folder that augment.py would refuse is refused before the environment is built.
check_train_file() {
  local -a found=()
  local ending
  for ending in tsv csv jsonl; do
    [ ! -f "$1/train.$ending" ] || found+=("$1/train.$ending")
  done
  [ ${#found[@]} -le 1 ] || die "--data $1 holds ${found[*]}: keep one of them"
  [ ${#found[@]} -eq 1 ] || die "--data $1 holds no train.tsv, train.csv or train.jsonl"
}

if [ -n "$DATA" ]; then
  [ -d "$DATA" ] || die "--data $DATA is not a folder"
  check_train_file "$DATA"
  DATA=$(path_of "$DATA")
  : "${TO:=$ROOT/runs/$(basename "$DATA")}"
fi
: "${TO:=$ROOT/runs/reviews}"
make_folder "$TO"
TO=$(path_of "$TO")
begin quickstart.sh "$TO"

EXPECTED=0
if [ -z "$DATA" ]; then
  # On the made reviews the real rows teach a classifier all there is to know: some sentences were labelled by a
  # coin. So "No gain" is the right end of the demonstration.
  EXPECTED=4
  DATA=$TO/source
  STEP=-1 # augment.py counts from 1
  step "Make a data set: short reviews, two classes" $bin/python scripts/make_reviews.py --to "$DATA"
fi

words=("$DATA" --to "$TO" --per-label "$SAMPLES" --gamma "$GAMMA" --seed "$SEED")
words+=("${MORE[@]+"${MORE[@]}"}")
[ -z "$EPOCHS" ] || words+=(--epochs "$EPOCHS")
shown $bin/python scripts/augment.py "${words[@]}"
status=0
$bin/python scripts/augment.py "${words[@]}" || status=$?
[ "$status" -ne "$EXPECTED" ] || status=0
exit "$status"
