#!/usr/bin/env python3
"""Labelled rows (TSV, CSV or JSONL) -> a folder that fairseq's commands read.

Example:
    python scripts/prepare_labelled.py train.tsv --valid dev.tsv --to data-bin/sst2 \\
        --codec gpt2 --gpt2-bpe gpt2-bpe --label-text 0=negative --label-text 1=positive
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors

ESCAPES = {"\\t": "\t", "\\n": "\n", "\\\\": "\\"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=str(__doc__).split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("train", metavar="TRAIN", help="training rows")
    add("--valid", metavar="FILE", help="validation rows; without it --held-out of TRAIN is held out")
    add("--test", metavar="FILE", help="test rows")
    add("--to", metavar="DIR", required=True, help="folder to write, such as data-bin/NAME")
    add("--text-column", metavar="NAME|N", help="column of the sentence: a name, or a position from 0")
    add("--label-column", metavar="NAME|N", help="column of the label: a name, or a position from 0")
    add(
        "--header", choices=("auto", "yes", "no"), default="auto", help="does the first row name the columns?"
    )
    add("--format", choices=("auto", "tsv", "csv", "jsonl"), default="auto", help="auto: by the ending")
    add("--quoting", choices=("auto", "yes", "no"), default="auto",
        help="whether fields may be in double quotes; auto: CSV yes, TSV no")  # fmt: skip
    add("--label-text", metavar="NAME=TEXT", action="append", default=[],
        help="what the model reads for a label, such as 0=negative; repeatable")  # fmt: skip
    add("--held-out", metavar="SHARE", type=float, default=0.1,
        help="share of TRAIN held out when there is no --valid, 0 < SHARE < 1")  # fmt: skip
    add("--seed", type=int, default=1, help="seed of the held-out split")
    add("--codec", choices=("gpt2", "bytes", "sentencepiece"), default="gpt2", help="kind of tokenizer")
    add("--gpt2-bpe", metavar="DIR", help="folder of encoder.json + vocab.bpe, or vocab.json + merges.txt")
    add("--vocab-size", metavar="N", type=int, help="ids of a tokenizer trained on TRAIN, 256 or more")
    add("--sentencepiece-model", metavar="FILE", help="a given sentencepiece model instead of a trained one")
    add("--max-tokens", metavar="N", type=int, default=1024,
        help="longest row in tokens, label and end included; longer ones are rejected")  # fmt: skip
    add("--max-bytes", metavar="N", type=int, default=100_000,
        help="largest row in bytes, all columns included; larger ones are rejected")  # fmt: skip
    add("--separator", default="\\t", help="between label and sentence; \\t is a tab")
    add("--keep-whitespace", action="store_true", help="do not strip whitespace around sentences")
    add("--drop-unknown-labels", action="store_true",
        help="leave out (and count) rows of valid and test whose label no row of TRAIN has")  # fmt: skip
    add("--overwrite", action="store_true", help="replace other prepared data in --to")
    add("--workers", metavar="N", type=int, default=None, help="threads for encoding; default: all cores")
    return parser


def label_texts(pairs: Sequence[str]) -> dict[str, str]:
    """``["0=negative"]`` -> ``{"0": "negative"}``."""
    texts: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UserError(f"--label-text {pair}: expected NAME=TEXT, such as 0=negative")
        if texts.setdefault(name, text) != text:
            raise UserError(f"--label-text {name} is given twice: {texts[name]!r} and {text!r}")
    return texts


def unescape(separator: str) -> str:
    """``\\t`` as typed in a shell is a tab."""
    for typed, meant in ESCAPES.items():
        if separator == typed:
            return meant
    return separator


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = vars(build_parser().parse_args(argv))
    workers = args.pop("workers")
    if workers is not None:
        if workers < 1:
            raise UserError(f"--workers {workers} must be at least 1")
        os.environ["RAYON_NUM_THREADS"] = str(workers)  # read by the tokenizers library when it starts
    from fairseq_plugin.labelled.prepare import Request, prepare
    from fairseq_plugin.labelled.summary import format_summary

    args["label_texts"] = label_texts(args.pop("label_text"))
    args["separator"] = unescape(args["separator"])
    print(format_summary(prepare(Request(**args)), args["to"]))


if __name__ == "__main__":
    main()
