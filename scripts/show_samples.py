#!/usr/bin/env python3
"""Samples of fairseq-generate (test_samples.tsv) -> one Markdown page for people.

Example:
    python scripts/show_samples.py runs/shakespeare/samples/temperature-* --to samples.md --title "In the
    style of ..."
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.reports.sample_book import read_samples, write_page


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "results",
        nargs="+",
        metavar="DIR",
        help="--results-path of fairseq-generate; its name is the heading",
    )
    add("--to", required=True, metavar="FILE", help="Markdown file to write")
    add("--title", default="Samples", help="of the page; default: Samples")
    add("--first", type=int, metavar="N", help="show only the first N samples of each folder")
    return parser


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(arguments)
    if args.first is not None and args.first < 1:
        raise UserError(f"--first {args.first} must be at least 1")
    groups = [
        (Path(folder).name.replace("-", " "), read_samples(Path(folder) / "test_samples.tsv")[: args.first])
        for folder in args.results
    ]
    write_page(args.to, args.title, groups)
    print(f"{args.to}: {sum(len(samples) for _, samples in groups)} samples")


if __name__ == "__main__":
    main()
