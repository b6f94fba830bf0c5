#!/usr/bin/env python
"""Perplexity, accuracy and repetition of language models, beside those of people.

    python scripts/evaluate_lm.py checkpoints/mle/checkpoint_best.pt sg=checkpoints/sg/checkpoint_best.pt \\
        --data data-bin/wikitext-2 --split test --to results/wikitext-2
    python scripts/evaluate_lm.py models/gpt2 --data data-bin/wikitext-2 --modes completion \\
        --decoding greedy,beam=5:block=3,top-p=0.9,contrastive=4:0.6 --max-prefixes 200
    python scripts/evaluate_lm.py --continuations theirs.jsonl ours=results/generate-test.txt --codec-path gpt2-bpe

A checkpoint is a fairseq checkpoint of --arch gpt2 (or another of its sizes) or a Hugging Face GPT-2 folder. With
--to a killed evaluation goes on where it stopped when it is started again.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors

DEVICES = "cpu, cuda or cuda:N"


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("checkpoints", nargs="*", metavar="CHECKPOINT", help="PATH, or NAME=PATH to name its column")
    add("--continuations", nargs="+", default=[], metavar="FILE",
        help="continuations made by any system: generate-*.txt, .txt, .jsonl, .tsv; also NAME=FILE")  # fmt: skip
    add("--data", metavar="DIR", help="prepared text folder (scripts/prepare_text.py)")
    add("--split", default="test", help="split of --data (default: test)")
    add("--codec-path", metavar="PATH", help="tokenizer of the --continuations where there is no --data")
    add("--modes", choices=("single-token", "completion", "both"), default="both",
        help="single-token: teacher-forced; completion: continue prefixes (default: both)")  # fmt: skip
    add("--window", type=int, default=0, metavar="W",
        help="tokens read at once, as eval-lm's --tokens-per-sample (default: the model's positions)")  # fmt: skip
    add("--context", type=int, default=0, metavar="C",
        help="of these, tokens read again before each window, as eval-lm's --context-window (default: 0)")  # fmt: skip
    add("--decoding", default="greedy", metavar="LIST",
        help="by commas: greedy, beam=5, top-k=40, top-p=0.9, temperature=0.8, gumbel, contrastive=4:0.6; with "
        ":block=3 no 3-gram is repeated (default: greedy)")  # fmt: skip
    add("--prefix-tokens", type=int, default=50, metavar="N", help="length of a prefix (default: 50)")
    add("--new-tokens", type=int, default=100, metavar="N", help="length of a continuation (default: 100)")
    add("--max-prefixes", type=int, default=0, metavar="N",
        help="at most N prefixes, evenly spread over the split (default: all)")  # fmt: skip
    add("--seed", type=int, default=1, help="of decodings that draw (default: 1)")
    add("--to", metavar="DIR", help="folder for results.json, results.md and the continuations")
    add("--resamples", type=int, default=1000, metavar="N",
        help="bootstrap resamples; 0: no intervals (default: 1000)")  # fmt: skip
    add("--bootstrap-seed", type=int, default=1, metavar="N", help="of the resamples (default: 1)")
    add(
        "--mauve",
        metavar="DIR",
        help="also MAUVE; features: last hidden state of this Hugging Face GPT-2 folder",
    )
    add("--batch-size", type=int, default=0, metavar="N",
        help="windows or prefixes at once; changes speed and memory (default: 8 windows, 32 prefixes)")  # fmt: skip
    add(
        "--compute-dtype", choices=("fp32", "bf16"), default="fp32", help="of matrix products (default: fp32)"
    )
    add("--device", default="cpu", help=f"{DEVICES} (default: cpu)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    return parser


def prepare_torch(device, threads):
    """Set the threads, and refuse a device that is not there."""
    import torch

    if threads is not None:
        if threads < 1:
            raise UserError(f"--threads {threads} must be at least 1")
        torch.set_num_threads(threads)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"--device {device} cannot be used ({reason}); give {DEVICES}") from error


@plain_errors()
def main(arguments=None):
    args = vars(build_parser().parse_args(arguments))
    prepare_torch(args["device"], args.pop("threads"))
    from fairseq_plugin.evaluation.completion import Protocol
    from fairseq_plugin.evaluation.run import Request, evaluate

    protocol = Protocol(*(args.pop(name) for name in ("prefix_tokens", "new_tokens", "max_prefixes", "seed")))
    mode = args.pop("modes")
    parts = evaluate(Request(**args, protocol=protocol, mode=mode))
    print("\n".join(line for part in parts.values() for line in part.to_markdown()))
    if args["to"]:
        print(f"{Path(args['to']) / 'results.json'} and results.md are written")


if __name__ == "__main__":
    main()
