#!/usr/bin/env python3
"""How often is a sampled text the same whatever the batch size? Measured, per device and dtype.

On a CPU in float32 the answer is promised (and tested): always. Elsewhere products of other shapes may round
otherwise, and a draw next to a boundary may fall otherwise; this script says how often.

    python benchmarks/batch_agreement.py                      # a GPT-2 of the 124M shape, random weights
    python benchmarks/batch_agreement.py --layers 4 --width 256 --texts 256
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.request import DecodingRequest

END = 2
BATCH_SIZES = (1, 2, 7, 32)


def texts(model, num_texts, batch_size, max_new):
    """All texts, generated in batches of ``batch_size``, as lists of token ids."""
    found, request = [], DecodingRequest(Sampling(), end=END, max_new=max_new, seed=1)
    for start in range(0, num_texts, batch_size):
        ids = list(range(start, min(start + batch_size, num_texts)))
        prompts = [[END, 100 + i % 2, 200] for i in ids]
        found += decode(model, prompts, ids, request)
    return [one.tokens.tolist() for (one,) in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--max-new", type=int, default=24)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    config = GPT2Config(vocab_size=50_260, n_embd=args.width, n_layer=args.layers, n_head=args.width // 64)
    results = {
        "layers": args.layers,
        "width": args.width,
        "texts": args.texts,
        "max_new": args.max_new,
        "device": args.device,
    }
    for dtype in (None, torch.bfloat16):
        torch.manual_seed(0)
        model = GPT2(config, compute_dtype=dtype).eval().to(args.device)
        by_size = {size: texts(model, args.texts, size, args.max_new) for size in (args.texts, *BATCH_SIZES)}
        whole = by_size.pop(args.texts)
        name = "fp32" if dtype is None else "bf16"
        results[name] = {
            str(size): sum(a == b for a, b in zip(found, whole)) / args.texts
            for size, found in by_size.items()
        }
        for size, share in results[name].items():
            print(f"{name}: batch {size} against batch {args.texts}: {share:.1%} of {args.texts} texts equal")
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
