#!/usr/bin/env python3
"""Running text, or the token tensors of a release -> a folder that fairseq's commands read.

Example:
    python scripts/prepare_text.py wiki.train.tokens --valid wiki.valid.tokens --test wiki.test.tokens \\
        --to data-bin/wikitext --codec gpt2 --gpt2-bpe gpt2-bpe
    python scripts/prepare_text.py book.txt --split 0.9,0.05,0.05 --to data-bin/book --codec bytes
    --vocab-size 2000
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("train", metavar="TRAIN", help="training text: a UTF-8 file, a folder (*.txt, and below it), "
        "token tensors (*.pt), or the folder of a release's *_tokens_bpe_gpt2.pt")  # fmt: skip
    add("--valid", metavar="PATH", help="validation text, of the same kind")
    add("--test", metavar="PATH", help="test text, of the same kind")
    add("--split", metavar="SHARES", help="instead of --valid and --test: cut TRAIN into contiguous parts, "
        "such as 0.9,0.05,0.05, between documents; between lines where there are too few files")  # fmt: skip
    add("--to", metavar="DIR", required=True, help="folder to write, such as data-bin/NAME")
    add("--pattern", metavar="NAMES", default="*.txt", help="which files of a folder, several "
        "with commas, as in a shell: '*.md,*.py' (default: '*.txt')")  # fmt: skip
    add("--documents", choices=("auto", "file", "blank-lines", "line", "wikitext"), default="auto",
        help='what gets an end token: files, paragraphs, lines, or articles from " = Title = " to the next; '
        "auto (default): wikitext where TRAIN looks like it, else file")  # fmt: skip
    add(
        "--codec", choices=("gpt2", "bytes", "sentencepiece"), default="gpt2", help="tokenizer; default: gpt2"
    )
    add("--gpt2-bpe", metavar="DIR", help="folder of encoder.json + vocab.bpe, or vocab.json + merges.txt")
    add("--vocab-size", metavar="N", type=int, help="ids of a tokenizer trained on TRAIN, 256 or more")
    add("--sentencepiece-model", metavar="FILE", help="a given sentencepiece model instead of a trained one")
    add("--overwrite", action="store_true", help="replace other prepared data in --to")
    add("--workers", metavar="N", type=int, help="threads for encoding; default: all cores")
    return parser


def shares(typed: str) -> tuple[float, ...]:
    """``"0.9,0.05,0.05"`` -> ``(0.9, 0.05, 0.05)``."""
    try:
        return tuple(float(share) for share in typed.split(","))
    except ValueError:
        raise UserError(f"--split {typed}: expected numbers with commas, such as 0.9,0.05,0.05") from None


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = vars(build_parser().parse_args(argv))
    if args["workers"] is None:
        args["workers"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    elif args["workers"] < 1:
        raise UserError(f"--workers {args['workers']} must be at least 1")
    # The threads are ours; for training a tokenizer, the library's own.
    os.environ["RAYON_NUM_THREADS"] = str(args["workers"])
    if args["split"] is not None:
        args["split"] = shares(args["split"])
    from fairseq_plugin.corpus.prepare import Request, prepare
    from fairseq_plugin.corpus.summary import format_summary

    print(format_summary(prepare(Request(**args)), args["to"]))


if __name__ == "__main__":
    main()
