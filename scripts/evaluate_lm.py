#!/usr/bin/env python
"""Perplexity, accuracy and repetition of language models, beside those of human text.

    python scripts/evaluate_lm.py checkpoints/mle/checkpoint_best.pt sg=checkpoints/sg/checkpoint_best.pt \\
        --data data-bin/wikitext-2 --split test --to results/wikitext-2
    python scripts/evaluate_lm.py models/gpt2 --data data-bin/wikitext-2 --modes completion \\
        --decoding greedy,beam=5:block=3,top-p=0.9,contrastive=4:0.6 --max-prefixes 200
    python scripts/evaluate_lm.py --continuations theirs.jsonl ours=results/generate-test.txt \\
        --codec-path gpt2-bpe

A checkpoint is a fairseq checkpoint of --arch gpt2 (or another of its sizes) or a Hugging Face GPT-2 folder.
With --to a killed evaluation goes on where it stopped when it is started again.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors

DEVICES = "cpu, cuda or cuda:N"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("checkpoints", nargs="*", metavar="CHECKPOINT", help="PATH, or NAME=PATH to name its column")
    _add_what(parser)
    _add_how(parser)
    add("--to", metavar="DIR", help="folder for results.json, results.md and the continuations")
    add("--compute-dtype", choices=("fp32", "bf16"), default="fp32", help="of products (default: fp32)")
    add("--device", default="cpu", help=f"{DEVICES} (default: cpu)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    return parser


def _add_what(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = "continuations made by any system: generate-*.txt, .txt, .jsonl, .tsv; also NAME=FILE"
    add("--continuations", nargs="+", default=[], metavar="FILE", help=what)
    add("--data", metavar="DIR", help="prepared text folder (scripts/prepare_text.py)")
    add("--split", default="test", help="split of --data (default: test)")
    codec = "tokenizer of the --continuations where there is no --data"
    add("--codec-path", metavar="PATH", help=codec)
    modes = "single-token: teacher-forced; completion: continue prefixes (default: both)"
    add("--modes", choices=("single-token", "completion", "both"), default="both", help=modes)
    mauve = "also MAUVE; features: last hidden state of this Hugging Face GPT-2 folder"
    add("--mauve", metavar="DIR", help=mauve)


def _add_how(parser: argparse.ArgumentParser) -> None:
    def number(flag: str, default: int, metavar: str, help: str) -> None:
        parser.add_argument(flag, type=int, default=default, metavar=metavar, help=help)

    window = "tokens read at once, as eval-lm's --tokens-per-sample (default: the model's positions)"
    number("--window", 0, "W", window)
    context = "of these, tokens read again before each window, as eval-lm's --context-window (default: 0)"
    number("--context", 0, "C", context)
    parser.add_argument(
        "--decoding",
        default="greedy",
        metavar="LIST",
        help="by commas: greedy, beam=5, top-k=40, top-p=0.9, temperature=0.8, gumbel, contrastive=4:0.6; "
        "with :block=3 no 3-gram is repeated, :penalty=1.2 is CTRL's repetition penalty (default: greedy)",
    )
    number("--prefix-tokens", 50, "N", "length of a prefix (default: 50)")
    number("--new-tokens", 100, "N", "length of a continuation (default: 100)")
    number("--max-prefixes", 0, "N", "at most N prefixes, evenly spread over the split (default: all)")
    number("--seed", 1, "N", "of decodings that draw (default: 1)")
    number("--resamples", 1000, "N", "bootstrap resamples; 0: no intervals (default: 1000)")
    number("--bootstrap-seed", 1, "N", "of the resamples (default: 1)")
    batch = "windows or prefixes at once; changes speed and memory (default: 8 windows, 32 prefixes)"
    number("--batch-size", 0, "N", batch)


def prepare_torch(device: str, threads: int | None) -> None:
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
def main(arguments: Sequence[str] | None = None) -> None:
    args = vars(build_parser().parse_args(arguments))
    prepare_torch(args["device"], args.pop("threads"))
    from fairseq_plugin.evaluation.completion import Protocol
    from fairseq_plugin.evaluation.run import Request, evaluate

    protocol = Protocol(*(args.pop(name) for name in ("prefix_tokens", "new_tokens", "max_prefixes", "seed")))
    mode = args.pop("modes")
    print("\n".join(evaluate(Request(**args, protocol=protocol, mode=mode)).to_markdown()))
    if args["to"]:
        print(f"{Path(args['to']) / 'results.json'} and results.md are written")


if __name__ == "__main__":
    main()
