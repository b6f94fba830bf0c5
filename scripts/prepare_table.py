#!/usr/bin/env python3
"""A table (CSV, TSV, Parquet, Feather) -> a folder that fairseq's commands read.

Example:
    python scripts/prepare_table.py abalone.csv --target Rings --to data-bin/abalone
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import plain_errors
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.reading import FORMATS
from fairseq_plugin.tables.request import RARE, TableRequest, types_of
from fairseq_plugin.tables.schema import FIRST, PLACES
from fairseq_plugin.tables.summary import format_summary


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=str(__doc__).split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("table", metavar="TABLE", help="rows to learn from")
    add("--to", metavar="DIR", required=True, help="folder to write, such as data-bin/NAME")
    add("--valid", metavar="FILE", help="validation rows; without it --held-out of TABLE is held out")
    add("--test", metavar="FILE", help="test rows")
    add("--format", choices=("auto", *FORMATS), default="auto", help="auto: by the ending")
    add("--header", choices=("auto", "yes", "no"), default="auto",
        help="does the first line name the columns? auto: no where it holds a number")  # fmt: skip
    add("--columns", metavar="A,B,...", help="names of the columns of a file without a header")
    add("--schema", metavar="FILE", help="a schema.json to follow, such as an edited one of an earlier run")
    add("--type", metavar="NAME=TYPE", action="append", default=[],
        help="instead of a guess: integer decimal date category boolean text key constant drop")  # fmt: skip
    add("--target", metavar="NAME", help="the column that models of the table shall predict")
    add("--target-place", choices=PLACES, default=FIRST, help="where a row's code has the target")
    add("--order", choices=(FIXED, RANDOM), default=FIXED,
        help="of columns; random: another in every epoch, so that any column can be given")  # fmt: skip
    add("--from", dest="pretrained", metavar="GPT2_FOLDER",
        help="write texts in this GPT-2's tokens, to start from its weights")  # fmt: skip
    add(
        "--rare", metavar="N", type=int, default=RARE, help="categories and texts of fewer rows are not drawn"
    )
    add("--held-out", metavar="SHARE", type=float, default=0.1, help="share of TABLE for validation")
    add("--seed", type=int, default=1, help="of the held-out rows")
    add("--overwrite", action="store_true", help="replace other prepared data in --to")
    return parser


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = vars(build_parser().parse_args(argv))
    args["types"] = types_of(args.pop("type"))
    args["columns"] = args["columns"] and args["columns"].split(",")
    print(format_summary(prepare_table(TableRequest(**args)), args["to"]))


if __name__ == "__main__":
    main()
