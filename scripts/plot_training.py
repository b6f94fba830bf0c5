#!/usr/bin/env python3
"""fairseq's training logs -> plots: loss, accuracy, perplexity, learning rate, repetition; PNG and SVG.

Examples:
    python scripts/plot_training.py runs/wikitext/train.log --to runs/wikitext/training
    python scripts/plot_training.py runs/mle runs/gamma-0.2 --names "maximum likelihood" "gamma 0.2" --to
    study python scripts/plot_training.py first.log second.log --join --to training     # one run in two files

The logs are those of --log-format json --log-file FILE; a run may still be going, or have been killed and
resumed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.reports.training_log import Curves, best_validation, name_runs, read_run
from fairseq_plugin.reports.training_plot import draw_training


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("logs", nargs="+", metavar="LOG", help="a log file, or a folder with a train.log; one per run")
    add("--to", required=True, metavar="PREFIX", help="writes PREFIX.png, PREFIX.svg, PREFIX-epochs.png, ...")
    add(
        "--names", nargs="+", metavar="NAME", help="names of the runs in the legend (default: from the paths)"
    )
    add("--join", action="store_true", help="the logs are those of one run, in the order of its restarts")
    return parser


def name_and_read(args: argparse.Namespace) -> dict[str, Curves]:
    """The curves of each run by its name."""
    groups = [args.logs] if args.join else [[log] for log in args.logs]
    names = args.names or (["run"] if args.join else name_runs(args.logs))
    if len(names) != len(groups) or len(set(names)) != len(names):
        raise UserError(f"--names: {len(groups)} different name(s) are needed, one per run, not {names}")
    return {name: read_run(group) for name, group in zip(names, groups)}


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(arguments)
    runs = name_and_read(args)
    for name, curves in runs.items():
        best = best_validation(curves)
        where = "" if best is None or best.epoch is None else f", epoch {best.epoch}"
        told = (
            "nothing validated yet"
            if best is None
            else f"best validation loss {best.loss:.4f} bits per token"
        )
        print(f"{name}: {told}" + (f" at update {best.update:,}{where}" if best else ""))
    for path in draw_training(runs, args.to):
        print(f"written: {path}")


if __name__ == "__main__":
    main()
