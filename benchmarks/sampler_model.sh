#!/usr/bin/env bash
# What benchmarks/sampler.py measures with: GPT-2 124M from random weights, 160 updates of 24 sentences of SST-2, as a
# checkpoint and as a Hugging Face folder, and, where ctranslate2 is, as its models.
#   bash benchmarks/sampler_model.sh DATA WORK      (DATA holds sst2/ and gpt2-bpe/; 10 minutes on 2 quiet cores)
# Safe to repeat: what is there stays.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$1 work=$2 bin=${VENV:-.venv}/bin

[ -d "$work/sst2" ] || "$bin/python" scripts/prepare_labelled.py "$source/sst2/train.tsv" --valid "$source/sst2/dev.tsv" \
  --to "$work/sst2" --codec gpt2 --gpt2-bpe "$source/gpt2-bpe" --label-text 0=negative --label-text 1=positive --max-tokens 128
[ -f "$work/model/checkpoint_last.pt" ] || "$bin/fairseq-train" "$work/sst2" --user-dir fairseq_plugin \
  --task conditional_augmentation --cpu --seed 1 --arch gpt2 --criterion scale_grad --gamma 1 --optimizer fused_adamw --lr 1e-3 \
  --lr-scheduler polynomial_decay --total-num-update 160 --warmup-updates 20 --max-update 160 --clip-norm 1.0 \
  --batch-size 24 --save-dir "$work/model" --no-epoch-checkpoints --disable-validation
[ -d "$work/hf" ] || "$bin/python" scripts/convert_gpt2.py export "$work/model/checkpoint_last.pt" --data "$work/sst2" --to "$work/hf"
for dtype in float32 int8; do
  [ -d "$work/ct2-$dtype" ] || ! command -v "$bin/ct2-transformers-converter" >/dev/null ||
    "$bin/ct2-transformers-converter" --model "$work/hf" --output_dir "$work/ct2-$dtype" --quantization "$dtype"
done
