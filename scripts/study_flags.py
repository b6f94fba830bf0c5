"""The flags of ``scripts/verdict.py study``, and what it prints."""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

from tqdm import tqdm

from fairseq_plugin.augment.verdict.study.arms import STUDENTS
from fairseq_plugin.augment.verdict.study.points import Key
from fairseq_plugin.augment.verdict.study.request import StudyRequest
from fairseq_plugin.augment.verdict.study.results import write_results
from fairseq_plugin.augment.verdict.study.run import Study, describe
from fairseq_plugin.augment.verdict.study.splits import ALL
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.lock import FolderLock

DEFAULTS = StudyRequest(Path(), Path())
_READ = ("ks", "gammas", "temperatures", "students")  # out of lists with commas
_AS_GIVEN = {field.name for field in dataclasses.fields(StudyRequest)} - set(_READ)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the study."""
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR",
        help="labelled rows: train.* and test.* (or valid.*, dev.*), which measures")  # fmt: skip
    add("--to", type=Path, required=True, metavar="DIR", help="folder for everything that is written")
    add("--k", default="5,10,20,50,100,500,all", metavar="K,...",
        help="real rows per class (default: 5,10,20,50,100,500,all)")  # fmt: skip
    add("--seeds", dest="num_splits", type=int, metavar="N",
        help="draws of the k rows (default: 10 up to k = 50, 5 above)")  # fmt: skip
    add(
        "--gamma",
        default="1,0.5",
        metavar="G,...",
        help="of ScaleGrad; 1 is maximum likelihood (default: 1,0.5)",
    )
    add("--temperature", default="1", metavar="T,...", help="of sampling (default: 1)")
    add("--students", default="bag-of-words", metavar="NAME,...",
        help=f"classifiers: {', '.join(STUDENTS)} (default: bag-of-words)")  # fmt: skip
    add("--times", type=int, default=DEFAULTS.times, metavar="N",
        help=f"new rows per class, in multiples of k (default: {DEFAULTS.times})")  # fmt: skip
    add("--choose-from", type=int, default=DEFAULTS.choose_from, metavar="N",
        help=f"accepted rows for each that the judge keeps (default: {DEFAULTS.choose_from})")  # fmt: skip
    add("--top-p", type=float, default=DEFAULTS.top_p, help=f"of sampling (default: {DEFAULTS.top_p})")
    add("--max-len", type=int, default=DEFAULTS.max_len, metavar="N",
        help=f"most tokens of a new sentence (default: {DEFAULTS.max_len})")  # fmt: skip
    add("--epochs", type=int, metavar="N", help="of the generator (default: by the size of the set)")
    add("--from", dest="pretrained", type=Path, metavar="GPT2_FOLDER",
        help="start the generator from this GPT-2 in Hugging Face's form")  # fmt: skip
    add("--test-rows", dest="most_test", type=int, metavar="N", help="rows that measure (default: all)")
    add("--text-column", metavar="NAME|N", help="column of the sentence: a name, or a position from 0")
    add("--label-column", metavar="NAME|N", help="column of the label: a name, or a position from 0")
    add("--report", action="store_true", help="make nothing, report on what is there")


def request_of(args: argparse.Namespace) -> StudyRequest:
    """What the flags ask for.

    Raises:
        UserError: a value that is none.
    """
    given = {name: value for name, value in vars(args).items() if name in _AS_GIVEN}
    return StudyRequest(
        **given,
        students=tuple(args.students.split(",")),
        ks=tuple(ALL if word == "all" else _whole(word) for word in args.k.split(",")),
        gammas=tuple(_number("--gamma", word) for word in args.gamma.split(",")),
        temperatures=tuple(_number("--temperature", word) for word in args.temperature.split(",")),
    )


def _whole(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and 0 < int(word) < 10**6):
        raise UserError(
            f"--k {word}: give numbers of rows per class, from 1, or all, with commas between them"
        )
    return int(word)


def _number(flag: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise UserError(f"{flag} {word}: give numbers with commas between them") from None


def run_study(args: argparse.Namespace) -> None:
    """Run what is missing and print the report."""
    began, request = time.monotonic(), request_of(args)
    request.check()
    study = Study(request)
    request.to.parent.mkdir(parents=True, exist_ok=True)
    with FolderLock(request.to, what=request.to):
        study.open()
        if not args.report:
            _run(study)
        lines, paths = write_results(study, request.to / "verdict")
    print("\n".join(lines))
    print("\n".join(f"written: {path}" for path in paths))
    print(f"Done in {time.monotonic() - began:.0f} s.")


def _run(study: Study) -> None:
    total = sum(1 for _ in study.request.all_keys())
    done = len(study.points())
    with tqdm(
        total=total, initial=done, unit=" points", disable=not sys.stderr.isatty(), dynamic_ncols=True
    ) as bar:

        def said(key: Key) -> None:
            bar.set_description(describe(key), refresh=False)
            bar.update()

        study.run(said)
