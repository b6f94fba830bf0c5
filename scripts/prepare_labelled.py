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
from fairseq_plugin.labelled.reading_flags import add_reading_flags, label_texts

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
    add("--seed", type=int, default=1, help="seed of the held-out split")
    add("--codec", choices=("gpt2", "bytes", "sentencepiece"), default="gpt2", help="kind of tokenizer")
    add("--gpt2-bpe", metavar="DIR", help="folder of encoder.json + vocab.bpe, or vocab.json + merges.txt")
    add("--vocab-size", metavar="N", type=int, help="ids of a tokenizer trained on TRAIN, 256 or more")
    add("--sentencepiece-model", metavar="FILE", help="a given sentencepiece model instead of a trained one")
    add("--overwrite", action="store_true", help="replace other prepared data in --to")
    add("--workers", metavar="N", type=int, default=None, help="threads for encoding; default: all cores")
    add_reading_flags(parser, max_row_tokens=1024, only_reads=True)
    return parser


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
    args["format"], args["max_tokens"] = args.pop("source_format"), args.pop("max_row_tokens")
    print(format_summary(prepare(Request(**args)), args["to"]))


if __name__ == "__main__":
    main()
