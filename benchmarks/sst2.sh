#!/usr/bin/env bash
# The main job on real SST-2, from scratch: bash benchmarks/sst2.sh DATA_DIR RESULTS_DIR GAMMA
# DATA_DIR holds GLUE's train.tsv and dev.tsv. About half an hour on 2 cores. Safe to repeat: training
# resumes, finished steps are not done again.
set -euo pipefail
cd "$(dirname "$0")/.."
source_dir=$1 results=$2 gamma=$3
bin=${VENV:-.venv}/bin
data=$results/data run=$results/gamma-$gamma
mkdir -p "$run"

[ -d "$data" ] || "$bin/python" scripts/prepare_labelled.py "$source_dir/train.tsv" --valid "$source_dir/dev.tsv" \
  --to "$data" --codec bytes --vocab-size 8000 --label-text 0=negative --label-text 1=positive --max-tokens 128

# Batches are sorted by length: four of them an update, and a rate that falls to zero, or the probability of the
# end token follows the lengths of the last few batches (measured: a third too low, and texts too long).
common=(--user-dir fairseq_plugin --task conditional_augmentation --cpu --seed 1)
model=(--arch gpt2_tiny --n-embd 256 --n-positions 128 --dropout 0.2 --compute-dtype bf16)
# Before: one update at a rate of almost nothing, to have the fresh weights as a checkpoint.
[ -f "$run/before/perplexity.json" ] || {
  "$bin/fairseq-train" "$data" "${common[@]}" "${model[@]}" --criterion scale_grad --optimizer fused_adamw --lr 1e-12 \
    --max-update 1 --max-tokens 512 --save-dir "$run/before" --no-epoch-checkpoints --disable-validation >"$run/before.log" 2>&1
  "$bin/fairseq-eval-lm" "$data" "${common[@]}" --path "$run/before/checkpoint_last.pt" --gen-subset valid \
    --results-path "$run/before"
}

[ -f "$run/trained" ] || "$bin/fairseq-train" "$data" "${common[@]}" "${model[@]}" --criterion scale_grad --gamma "$gamma" \
  --optimizer fused_adamw --lr 1e-3 --lr-scheduler cosine --warmup-updates 200 --max-update 1700 --clip-norm 1.0 \
  --max-tokens 512 --update-freq 4 --save-dir "$run" --save-interval-updates 500 --keep-interval-updates 1 \
  --no-epoch-checkpoints --log-format json --log-interval 20 --log-file "$run/train.log" --no-progress-bar
touch "$run/trained"

"$bin/fairseq-eval-lm" "$data" "${common[@]}" --path "$run/checkpoint_best.pt" --gen-subset valid \
  --results-path "$run/eval"
[ -f "$run/samples/generate-augment.txt.done" ] || "$bin/fairseq-generate" "$data" "${common[@]}" \
  --path "$run/checkpoint_best.pt" --gen-subset augment --samples-per-label 2000 \
  --sampling --sampling-topp 0.9 --beam 1 --nbest 1 --max-len-b 64 --batch-size 128 --results-path "$run/samples"
touch "$run/samples/generate-augment.txt.done"
"$bin/python" scripts/collect.py "$run/samples" --data "$data" --to "$run/augmented" \
  --train-log "$run/train.log" --overwrite
"$bin/python" scripts/judge_agreement.py --data "$data" --samples "$run/augmented"
