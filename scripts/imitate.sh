#!/usr/bin/env bash
# From one text file to its style, in one command. See --help.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: bash scripts/imitate.sh FILE|FOLDER [--pattern NAMES] [--to DIR] [--minutes M] [--from FOLDER] [--prompt TEXT]... [--gamma G] [--seed N]

Trains a GPT-2 on a text until its validation loss stops falling or the time is over, draws the curves, and lets the
model write at three temperatures. fairseq's own commands, each shown as it runs. The last tenth of the text is for
validation. Run it again to go on after an interruption: it takes the settings it began with.

  FILE           UTF-8 text: a book, plays, songs, a log of messages; 100 KB and more
  FOLDER         its files, and those below it, in the order of their paths
  --pattern NAMES  which of them, several with commas: '*.md,*.py' (default: '*.txt')
  --to DIR       folder for everything that is written (default: runs/ and FILE's name)
  --minutes M    of training, > 0 (default: 15)
  --from FOLDER  go on from a GPT-2 in Hugging Face's format (scripts/convert_gpt2.py fetch gpt2 --to FOLDER)
                 instead of starting from nothing: far better English, and far slower on a CPU
  --prompt TEXT  what the samples begin with; may be repeated; \n is a line's end (default: a new paragraph, and
                 the first line of the validation text)
  --gamma G      ScaleGrad's gamma in (0, 1]; below 1 the text repeats itself less (default: 1, maximum likelihood)
  --seed N       of training and of the samples (default: 1)

What it chooses, by the size of FILE (from scratch; a tokenizer is trained on the text; 128 tokens of context):
  below 300 KB    4 layers x 128,   512 token ids, dropout 0.3
  below 5 MB      6 layers x 256, 1,000 token ids, dropout 0.2
  from 5 MB on    6 layers x 384, 4,000 token ids, dropout 0.1
A short trial run measures this machine's speed; the number of updates is what fits into the time, and at the most
40 passes over the text (3 with --from). The learning rate falls to zero when the time is over, validation comes
25 times (6 with --from), and five (two) validations without a better loss end the training.

Exit status: 0; 3 if the model has learnt nothing worth reading (the last lines begin with the reason); else 1.
TEXT
}

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$ROOT/scripts/common.sh"
FILE='' TO='' PATTERN='*.txt' MINUTES=15 FROM='' GAMMA=1 SEED=1
PROMPTS=()

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --to | --pattern | --minutes | --from | --prompt | --gamma | --seed)
      [ $# -ge 2 ] || die "$1 needs a value; see --help" ;;
    -*) die "unknown option '$1'; see bash scripts/imitate.sh --help" ;;
  esac
  case $1 in
    --to) TO=$2 ;;
    --pattern) PATTERN=$2 ;;
    --minutes) MINUTES=$2 ;;
    --from) FROM=$2 ;;
    --prompt) PROMPTS+=("$2") ;;
    --gamma) GAMMA=$2 ;;
    --seed) SEED=$2 ;;
    *)
      [ -z "$FILE" ] || die "one text at a time, not $FILE and $1; see --help"
      FILE=$1
      shift
      continue ;;
  esac
  shift 2
done
[ -n "$FILE" ] || die "which text? bash scripts/imitate.sh FILE; see --help"
[ -f "$FILE" ] || [ -d "$FILE" ] || die "there is no file $FILE"
check_number --minutes "$MINUTES"
check_number --gamma "$GAMMA"
check_whole_number --seed "$SEED" 0
[ -z "$FROM" ] || [ -d "$FROM" ] || die "--from $FROM is not a folder"

FILE=$(path_of "$FILE")
[ -z "$FROM" ] || FROM=$(path_of "$FROM")
name=$(basename "$FILE")
[ "$name" != input.txt ] || name=$(basename "$(dirname "$FILE")")
: "${TO:=$ROOT/runs/${name%.*}}"
make_folder "$TO"
TO=$(path_of "$TO")
begin imitate.sh "$TO"

# setting NAME: of the run's recipe, one "name value" per line, written once.
setting() {
  sed -n "s/^$1 //p" "$TO/recipe"
}

# A run that is there goes on with its own settings only; this is seen before anything is written.
if [ -f "$TO/recipe" ]; then
  for name in gamma seed minutes from; do
    flag=${name^^} begun=$(setting $name)
    grep -q "^$name " "$TO/recipe" || continue  # older runs do not tell
    [ "$begun" = "${!flag}" ] ||
      die "$TO was begun with --$name ${begun:-nothing}, not ${!flag:-nothing}: give the same, or another --to"
  done
fi

# The files that make the text, each ended by a NUL; prepare_text.py takes the same.
if [ -d "$FILE" ]; then
  IFS=, read -ra patterns <<<"$PATTERN"
  names=()
  for pattern in "${patterns[@]}"; do
    names+=(-o -name "$(tr -d ' ' <<<"$pattern")")
  done
  find "$FILE" -name '.?*' -prune -o -type f \( "${names[@]:1}" \) -print0 | LC_ALL=C sort -z >"$TO/.texts"
  [ -s "$TO/.texts" ] || die "the folder $FILE holds no $PATTERN; name others by --pattern, such as '*.md,*.py'"
else
  printf '%s\0' "$FILE" >"$TO/.texts"
fi
bytes=$(xargs -0 cat -- <"$TO/.texts" | wc -c)
if [ -n "$FROM" ]; then
  codec=(--codec gpt2 --gpt2-bpe "$FROM")
  layers='' heads='' width='' dropout=0.1 lr=5e-5 context=128 batch=8 passes=3 decay=0.01 validations=6 patience=2
elif [ "$bytes" -lt 300000 ]; then
  codec=(--codec bytes --vocab-size 512)
  layers=4 heads=4 width=128 dropout=0.3 lr=2e-3 context=128 batch=8 passes=40 decay=0.1 validations=25 patience=5
elif [ "$bytes" -lt 5000000 ]; then
  codec=(--codec bytes --vocab-size 1000)
  layers=6 heads=4 width=256 dropout=0.2 lr=2e-3 context=128 batch=16 passes=40 decay=0.1 validations=25 patience=5
else
  codec=(--codec bytes --vocab-size 4000)
  layers=6 heads=6 width=384 dropout=0.1 lr=1e-3 context=128 batch=16 passes=40 decay=0.1 validations=25 patience=5
fi

step "Cut the text and encode it" $bin/python scripts/prepare_text.py "$FILE" --pattern "$PATTERN" --split 0.9,0.1 --to "$TO/data" "${codec[@]}"

# count SPLIT NAME: a number out of the data's manifest.
count() {
  $bin/python -c "import json, sys; print(json.load(open(sys.argv[1]))['splits'][sys.argv[2]][sys.argv[3]])" "$TO/data/manifest.json" "$1" "$2"
}

if [ ${#PROMPTS[@]} -gt 0 ]; then
  printf '%s\n' "${PROMPTS[@]}" >"$TO/prompts.txt"
elif [ ! -f "$TO/prompts.txt" ]; then
  # A new paragraph, and the first whole line of the validation text; a backslash is written as two.
  xargs -0 cat -- <"$TO/.texts" | tail -c $((bytes / 10)) | head -c 100000 >"$TO/.tail"
  $bin/python - "$TO/.tail" >"$TO/prompts.new" <<'PYTHON'
import sys
with open(sys.argv[1], "rb") as stream:
    lines = stream.read().decode("utf-8", errors="ignore").split("\n")
line = next((line for line in lines[1:] if line.strip()), "")[:80]
print(r"\n\n")
print(line.replace("\\", r"\\").replace("\t", r"\t").replace("\r", r"\r") + r"\n")
PYTHON
  mv "$TO/prompts.new" "$TO/prompts.txt"
fi

model=(--arch gpt2_mini --n-layer "$layers" --n-head "$heads" --n-embd "$width" --n-positions $((2 * context)))
[ -z "$FROM" ] || model=(--arch gpt2 --pretrained-model "$FROM")
train=($bin/fairseq-train "$TO/data" --user-dir fairseq_plugin --task open_ended_generation --sample-break-mode none
  --tokens-per-sample "$context" "${model[@]}" --dropout "$dropout" --compute-dtype bf16
  --criterion scale_grad --gamma "$GAMMA" --optimizer fused_adamw --adam-betas '(0.9, 0.99)' --weight-decay "$decay" --clip-norm 1.0
  --lr "$lr" --batch-size "$batch" --seed "$SEED" --log-format json)

if [ ! -f "$TO/recipe" ]; then
  title "Try 40 updates: how many fit into $MINUTES minutes?"
  quiet "$TO/trial.console" "" "${train[@]}" --max-update 40 --no-save --disable-validation --no-plot --num-sample-prefixes 0 \
    --log-interval 20 --save-dir "$TO/trial"
  rm -rf "$TO/trial"
  speed=$(grep -o '"ups": "[0-9.]*"' "$TO/trial.console" | tail -n 1 | tr -dc 0-9. || true)
  tokens=$(count train tokens)
  # A tenth of the time for validations and samples; whole numbers, at least 25 updates.
  updates=$(awk -v t="$tokens" -v p="$passes" -v n="$((batch * context))" -v s="${speed:-1}" -v m="$MINUTES" 'BEGIN {
    most = p * t / n; fit = 0.9 * 60 * m * s; u = int(most < fit ? most : fit); print (u < 25 ? 25 : u) }')
  printf '%s updates a second: %s updates, %s passes over %s tokens\n' "$speed" "$updates" \
    "$(awk -v u="$updates" -v n="$((batch * context))" -v t="$tokens" 'BEGIN { printf "%.1f", u * n / t }')" "$tokens"
  every=$(((updates + validations - 1) / validations))
  printf '%s\n' "updates $updates" "every $every" "minutes $MINUTES" "warmup $((updates / 20 < 100 ? updates / 20 + 1 : 100))" \
    "gamma $GAMMA" "seed $SEED" "from $FROM" "layers $layers" "width $width" "heads $heads" "dropout $dropout" >"$TO/recipe.new"
  mv "$TO/recipe.new" "$TO/recipe"
fi
checkpoints=$TO/checkpoints
mkdir -p "$checkpoints"
if [ ! -f "$TO/trained" ]; then
  # The rate is zero when the training stops: by its updates, or earlier by the clock.
  train+=(--lr-scheduler timed_cosine --warmup-updates "$(setting warmup)" --max-update "$(setting updates)"
    --stop-time-hours "$(awk -v m="$MINUTES" 'BEGIN { print m / 60 }')" --patience "$patience"
    --sample-prompts "$TO/prompts.txt" --num-sample-prefixes 1
    --validate-interval-updates "$(setting every)" --save-interval-updates "$(setting every)" --keep-interval-updates 1
    --validate-interval 1000000 --save-interval 1000000 --no-epoch-checkpoints --save-dir "$checkpoints"
    --log-interval "$((($(setting every) + 4) / 5))" --log-file "$checkpoints/train.log" --no-plot)
  said='s/.*"epoch": ([0-9]+), "valid_loss".*"valid_accuracy": "([^"]*)".*"valid_ppl": "([^"]*)".*"valid_num_updates": "([0-9]+)".*/update \4, epoch \1: validation perplexity \3, next-token accuracy \2/p'
  step_quiet "$TO/train.console" "$said" "Train" "${train[@]}"
  touch "$TO/trained"
fi

title "Draw the curves"
draw=($bin/python scripts/plot_training.py "$checkpoints/train.log" --names "$(basename "$TO")" --to "$TO/training")
shown "${draw[@]}"
quiet "$TO/draw.console" p "${draw[@]}"

best=$checkpoints/checkpoint_best.pt
title "Measure the best checkpoint on the last tenth of the text"
measure=($bin/fairseq-eval-lm "$TO/data" --user-dir fairseq_plugin --task open_ended_generation --sample-break-mode none
  --path "$best" --gen-subset valid --tokens-per-sample "$context" --batch-size 32)
shown "${measure[@]}"
quiet "$TO/eval-lm.console" "" "${measure[@]}"
bits=$(grep -oE 'Loss \(base 2\): [0-9.]+' "$TO/eval-lm.console" | tr -dc '0-9.\n' | sed 's/^2//')
per_character=$(awk -v b="$bits" -v t="$(count valid tokens)" -v c="$(count valid characters)" 'BEGIN { printf "%.4f", b * log(2) * t / c }')
printf 'validation loss: %s bits per token, %s nats per character\n' "$bits" "$per_character"

title "Write, at three temperatures"
for temperature in 0.5 0.8 1.0; do
  write=($bin/fairseq-generate "$TO/data" --user-dir fairseq_plugin --task open_ended_generation --path "$best"
    --gen-subset prompts --prompts "$TO/prompts.txt" --sampling --sampling-topp 0.9 --temperature "$temperature"
    --beam 1 --nbest 1 --max-len-b "$context" --seed "$SEED" --results-path "$TO/samples/temperature-$temperature")
  shown "${write[@]}"
  quiet "$TO/generate.console" "" "${write[@]}"
done
$bin/python scripts/show_samples.py "$TO"/samples/temperature-* --to "$TO/samples.md" --title "In the style of $(basename "$FILE")"

# The verdict comes first: a model that has learnt nothing must not look like a success.
verdict=0
printf '\n'
$bin/python scripts/verdict.py text "$TO/data" --bits "$bits" || verdict=$?
[ "$verdict" -eq 0 ] || [ "$verdict" -eq 3 ] || exit "$verdict"
finished
sed -n '1s/^/  /p' "$TO/draw.console"
printf '  validation loss per character: %s nats\n' "$per_character"
printf '  curves:   %s\n  samples:  %s (while training: %s)\n  model:    %s\n' "$TO/training.png" "$TO/samples.md" "$checkpoints/samples.md" "$best"
printf 'A sample, temperature 0.8:\n'
printf '%b\n' "$(tail -n 1 "$TO/samples/temperature-0.8/test_samples.tsv" | tr -d '\t')" |
  tr -d '\001-\010\013-\037\177' | sed 's/^/  /'
exit "$verdict"
