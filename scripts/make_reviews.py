#!/usr/bin/env python3
"""Write the embedded data set: short reviews in two classes, from a seeded grammar.

Example:
    python scripts/make_reviews.py --to data-bin/reviews-source
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.labelled.rows import write_rows
from scripts.reviews import NOISE_SHARE, SPEC, make_reviews


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=str(__doc__).split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--to", metavar="DIR", required=True, help="folder for train.tsv, valid.tsv and test.tsv")
    add("--train", metavar="N", type=int, default=6000, help="training rows")
    add("--valid", metavar="N", type=int, default=600, help="validation rows")
    add("--test", metavar="N", type=int, default=600, help="test rows")
    add("--noise", metavar="SHARE", type=float, default=NOISE_SHARE,
        help="share of the training labels that are wrong, 0 <= SHARE < 0.5")  # fmt: skip
    add("--seed", type=int, default=1, help="the same seed gives the same files")
    return parser


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    sizes = {"train": args.train, "valid": args.valid, "test": args.test}
    for split, size in sizes.items():
        if not 1 <= size <= 100_000:
            raise UserError(f"--{split} {size} must be between 1 and 100,000 rows")
    if not 0 <= args.noise < 0.5:
        raise UserError(f"--noise {args.noise} must be at least 0 and smaller than 0.5")
    if not 0 <= args.seed < 2**63:
        raise UserError(f"--seed {args.seed} must be between 0 and 2^63 - 1")
    folder = Path(args.to)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--to {folder}: {error.strerror or error}") from error
    for split, rows in make_reviews(sizes, args.seed, args.noise).items():
        write_rows(folder / f"{split}.tsv", rows, SPEC)
        labels = Counter(row.label for row in rows)
        counts = ", ".join(f"{count:,} {label}" for label, count in sorted(labels.items()))
        different = len({row.text for row in rows})
        print(f"{folder / split}.tsv: {len(rows):,} rows ({counts}), {different:,} different sentences")


if __name__ == "__main__":
    main()
