#!/usr/bin/env python3
"""Average the weights of the last epochs of a table's model, where validation finds that better.

    python scripts/average_epochs.py --data data-bin/abalone --save-dir runs/abalone

reads the checkpoints that fairseq-train kept (--keep-last-epochs 8) and writes checkpoint_averaged.pt: the
mean that has the fewest nats per validation row, or the best epoch where that is better by more than chance.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import plain_errors
from fairseq_plugin.tables.averaging import AVERAGED, average_epochs


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the prepared table")
    parser.add_argument("--save-dir", type=Path, required=True, metavar="DIR", help="of the checkpoints")
    return parser


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    tried = average_epochs(args.save_dir, args.data)
    for candidate in tried:
        print(f"{candidate.nats:.3f} nats per validation row: {candidate.name}")
    print(f"{args.save_dir / AVERAGED}: {tried[0].name}")


if __name__ == "__main__":
    main()
