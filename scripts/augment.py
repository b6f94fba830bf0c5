#!/usr/bin/env python3
"""A labelled file in, new sentences for each label out, and the truth on whether they are worth using.

    python scripts/augment.py my.tsv --per-label 5000 --to out

prepares the data, trains a GPT-2, writes sentences until so many are accepted that are whole and new, lets
classifiers judge them and writes a report: each command is shown as it runs. The same command goes on after
an interruption.

The last lines begin with the verdict. Exit status: 0; 3 for "Do not use this"; 4 for "No gain"; 1 for an
error.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.augment.augmented_set import read_set
from fairseq_plugin.augment.filters.flags import add_filter_flags, filter_options_of
from fairseq_plugin.augment.jobs.flags import add_output_flags
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.augment.report_inputs import read_verdict
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.labelled.reading_flags import add_reading_flags, reading_options_of
from fairseq_plugin.reports.display import visible
from fairseq_plugin.stages.stage import Runner
from fairseq_plugin.storage.lock import FolderLock
from fairseq_plugin.text.table import isolated

SHOWN_ROWS = 9


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("source", type=Path, nargs="?", metavar="FILE|DIR",
        help="rows (.tsv, .csv, .jsonl), or a folder: train.*, perhaps valid.* (dev.*), test.*")  # fmt: skip
    add("--to", type=Path, required=True, metavar="DIR", help="folder for everything that is written")
    add("--per-label", default="500", metavar="N",
        help="new sentences: N of each label (default: 500), LABEL=100,LABEL=50, or train:TOTAL")  # fmt: skip
    add(
        "--valid",
        type=Path,
        metavar="FILE",
        help="validation rows; without them --held-out of train is held out",
    )
    add("--test", type=Path, metavar="FILE", help="test rows")
    add("--from", dest="pretrained", type=Path, metavar="GPT2_FOLDER",
        help="start from this GPT-2 in Hugging Face's form, with its tokenizer")  # fmt: skip
    add("--data", type=Path, metavar="DIR", help="a prepared folder, instead of FILE")
    add("--path", type=Path, metavar="FILE", help="a checkpoint trained on --data, instead of training")
    add(
        "--gamma",
        type=float,
        default=0.5,
        help="of ScaleGrad, in (0, 1]; 1 is maximum likelihood (default: 0.5)",
    )
    add("--seed", type=int, default=1, help="of the split, the training and the samples (default: 1)")
    add("--epochs", type=int, metavar="N",
        help="most passes over train (default: by its size; the training stops early)")  # fmt: skip
    add("--temperature", type=float, default=1.0, help="of sampling (default: 1)")
    add("--top-k", type=int, metavar="K", help="of sampling: draw from the K most probable tokens")
    add("--top-p", type=float, default=0.95, help="of sampling, in (0, 1] (default: 0.95)")
    add("--max-len", type=int, default=100, metavar="N", help="most tokens of a sentence (default: 100)")
    add("--workers", type=int, default=1, metavar="N",
        help="processes that write sentences (default: 1); more machines: scripts/generate.py")  # fmt: skip
    add("--overwrite", action="store_true",
        help="where files or settings differ from those of an earlier run in --to, start again")  # fmt: skip
    add_reading_flags(parser)
    add_output_flags(parser)
    add_filter_flags(parser)
    return parser


def request_of(args: argparse.Namespace) -> AugmentRequest:
    """What the flags ask for."""
    own = {field.name: getattr(args, field.name) for field in fields(AugmentRequest) if field.name in args}
    return AugmentRequest(**own, reading=reading_options_of(args), filters=filter_options_of(args))


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    request = request_of(build_parser().parse_args(arguments))
    request.check()
    began = time.monotonic()
    try:
        request.to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--to {request.to}: {error.strerror}") from error
    stages, runner, status = Stages(request), Runner(), 0
    with FolderLock(request.to / "augment", what=request.to):
        for stage in stages:
            status = max(status, runner.run(stage))  # only the verdict has another one than 0
            if stage.prepares:
                for line in stages.plan().warnings:
                    runner.say(line)
    print(f"\n{read_verdict(stages.verdict_file).sentence}")  # before everything that looks like success
    for label, (kept, asked) in read_set(stages.augmented).shortfall.items():
        print(f"  label {isolated(visible(label))} fell short: {kept:,} of {asked:,} sentences")
    print(f"Done in {time.monotonic() - began:.0f} s.")
    new_set = sorted(stages.augmented.glob("train*.*"))
    more = f" and {len(new_set) - 1} files more" if len(new_set) > 1 else ""
    print(f"  the new set:  {new_set[0]}{more}")
    print(f"  its report:   {stages.augmented / 'report.html'}")
    if new_set[0].suffix != ".parquet":
        print("\n".join(["A handful of it:", *first_lines(new_set[0])]))
    sys.exit(status)


def first_lines(path: Path) -> list[str]:
    """The first lines of a file of rows, as a terminal can show them."""
    with open(path, encoding="utf-8", newline="\n") as stream:
        lines = islice(stream, SHOWN_ROWS)
        rows = (map(visible, line.rstrip("\r\n").split("\t")) for line in lines)
        return ["  " + "\t".join(map(isolated, row)) for row in rows]


if __name__ == "__main__":
    main()
