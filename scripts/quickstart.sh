#!/usr/bin/env bash
# The main job from end to end: a labelled set in, an augmented set out. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: bash scripts/quickstart.sh [--data DIR] [--to DIR] [--epochs N] [--samples N] [--gamma G] [--seed N]

Trains a small GPT-2 with ScaleGrad on labelled sentences and writes new sentences for each label, with
fairseq's own commands; each command is shown as it runs. Run it again to go on after an interruption.

  --data DIR   a folder with train.tsv, .csv or .jsonl, perhaps also valid.* (or dev.*) and test.*: a sentence and a
               label per row. For columns that cannot be guessed, see scripts/prepare_labelled.py.
               Without it: short reviews in two classes from a seeded grammar, made on the spot
  --to DIR     folder for everything that is written (default: runs/reviews, or runs/ and DIR's name)
  --epochs N   passes over the training set (default: about 1.6 million tokens, 3 to 40 passes)
  --samples N  new sentences per label (default: 500)
  --gamma G    ScaleGrad's gamma in (0, 1]; 1 is maximum likelihood (default: 0.5)
  --seed N     of training and of the samples (default: 1)

Exit status: 0; 3 if the new set is there and not worth using (the last lines begin with the reason); else 1.
TEXT
}

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$ROOT/scripts/common.sh"
DATA='' TO='' EPOCHS='' SAMPLES=500 GAMMA=0.5 SEED=1

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
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

# The one file DIR/NAME.tsv, .csv or .jsonl; nothing if there is none.
table() {
  local -a found=()
  local ending
  for ending in tsv csv jsonl; do
    [ ! -f "$1/$2.$ending" ] || found+=("$1/$2.$ending")
  done
  [ ${#found[@]} -le 1 ] || die "--data $1 holds ${found[*]}: keep one of them"
  [ ${#found[@]} -eq 0 ] || printf '%s' "${found[0]}"
}

if [ -n "$DATA" ]; then
  [ -d "$DATA" ] || die "--data $DATA is not a folder"
  train=$(table "$DATA" train)
  [ -n "$train" ] || die "--data $DATA holds no train.tsv, train.csv or train.jsonl"
  DATA=$(path_of "$DATA")
  : "${TO:=$ROOT/runs/$(basename "$DATA")}"
fi
: "${TO:=$ROOT/runs/reviews}"
make_folder "$TO"
TO=$(path_of "$TO")
begin quickstart.sh "$TO"

if [ -z "$DATA" ]; then
  DATA=$TO/source
  step "Make a data set: short reviews, two classes" $bin/python scripts/make_reviews.py --to "$DATA"
fi

prepare=("$(table "$DATA" train)")
valid=$(table "$DATA" valid)
[ -n "$valid" ] || valid=$(table "$DATA" dev)
test=$(table "$DATA" test)
[ -z "$valid" ] || prepare+=(--valid "$valid")
[ -z "$test" ] || prepare+=(--test "$test")
step "Prepare it for fairseq" \
  $bin/python scripts/prepare_labelled.py "${prepare[@]}" --to "$TO/data" --codec bytes --vocab-size 2000 --max-tokens 256

# A small model on a small set wants many passes; the best checkpoint is taken by validation, not the last.
passes="import json; train = json.load(open('$TO/data/manifest.json'))['splits']['train']"
passes="$passes; print(min(40, max(3, 1_600_000 // train['tokens'])))"
[ -n "$EPOCHS" ] || EPOCHS=$($bin/python -c "$passes")

# One folder per setting: results are side by side, and no run goes on with another's model.
RUN=$TO/gamma-$GAMMA-seed-$SEED
mkdir -p "$RUN/checkpoints"
epochs='s/.*"epoch": ([0-9]+), "valid_loss".*"valid_accuracy": "([^"]*)".*"valid_ppl": "([^"]*)".*/epoch \1: validation perplexity \3, next-token accuracy \2/p'
step_quiet "$RUN/train.console" "$epochs" "Train GPT-2 with ScaleGrad" \
  $bin/fairseq-train "$TO/data" --user-dir fairseq_plugin --task conditional_augmentation \
  --arch gpt2_tiny --criterion scale_grad --gamma "$GAMMA" \
  --optimizer fused_adamw --lr 3e-3 --lr-scheduler inverse_sqrt --warmup-updates 100 --clip-norm 1.0 \
  --max-tokens 512 --update-freq 4 --max-epoch "$EPOCHS" --seed "$SEED" --no-epoch-checkpoints \
  --save-dir "$RUN/checkpoints" --log-format json --log-file "$RUN/checkpoints/train.log"

checkpoint=$RUN/checkpoints/checkpoint_best.pt
perplexities='s/.*Perplexity of the sentences given their label/perplexity/p'
step_quiet "$RUN/eval-lm.console" "$perplexities" "Perplexity of unseen sentences, given their labels" \
  $bin/fairseq-eval-lm "$TO/data" --user-dir fairseq_plugin --task conditional_augmentation \
  --path "$checkpoint" --gen-subset valid --max-tokens 4096

step_quiet "$RUN/generate.console" 's/.*(Translated)/\1/p' "Write $SAMPLES new sentences per label" \
  $bin/fairseq-generate "$TO/data" --user-dir fairseq_plugin --task conditional_augmentation \
  --path "$checkpoint" --gen-subset augment --samples-per-label "$SAMPLES" --seed "$SEED" \
  --sampling --sampling-topp 0.95 --beam 1 --nbest 1 --max-len-b 100 --batch-size 128 --results-path "$RUN/generated"

step "Collect them: drop copies and duplicates, write the set and its report" \
  $bin/python scripts/collect.py "$RUN/generated" --data "$TO/data" --to "$RUN/augmented" --overwrite

step "Ask an independent classifier, trained on the real set, whether it agrees with the labels" \
  $bin/python scripts/judge_agreement.py --data "$TO/data" --samples "$RUN/augmented" \
  --json "$RUN/judge.json"

# The verdict comes first: a set that is not worth using must not look like a success.
verdict=0
printf '\n'
$bin/python scripts/verdict.py labels "$RUN/judge.json" || verdict=$?
[ "$verdict" -eq 0 ] || [ "$verdict" -eq 3 ] || exit "$verdict"
finished
printf '  the new set:  %s\n' "$(table "$RUN/augmented" train)"
printf '  its report:   %s\n' "$RUN/augmented/report.html"
printf 'A handful of it:\n'
head -n 9 "$(table "$RUN/augmented" train)" | sed 's/^/  /'
exit "$verdict"
