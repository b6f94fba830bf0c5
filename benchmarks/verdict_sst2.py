"""Does augmentation by a small GPT-2 pay? ``scripts/verdict.py study`` on three labelled sets.

SST-2 (2 labels), the embedded reviews (2 labels) and ATIS (21 labels, from thousands of rows down to one):
gamma 1, 0.5 and 0.2, temperature 1 and 0.7, three students, with and without a judge, against everything that
costs nothing.

    python benchmarks/verdict_sst2.py --data DIR --to DIR           # data: sst2/ and atis/; hours
    python benchmarks/verdict_sst2.py --data DIR --to DIR --report  # only report on what is there

The same command goes on where it was stopped, a draw of the rows at a time; two of them with different
``--sets`` or ``--k`` may run side by side. Hundreds of generators, from a minute of one core each to hours
for all rows of SST-2: the first parts of a set are the most telling, and the page says what is missing.
Writes ``verdict_sst2.json``, the pictures and the tables of ``verdict_sst2.md`` (between its markers; the
words around them are kept).
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import BEGIN, END, earlier_result, write_result  # noqa: E402
from fairseq_plugin.augment.verdict.study.plot import draw_study  # noqa: E402
from fairseq_plugin.augment.verdict.study.report import tables, to_json  # noqa: E402
from fairseq_plugin.augment.verdict.study.request import StudyRequest  # noqa: E402
from fairseq_plugin.augment.verdict.study.results import found_so_far, most_frequent_share  # noqa: E402
from fairseq_plugin.augment.verdict.study.run import NAME, Study, describe  # noqa: E402
from fairseq_plugin.augment.verdict.study.splits import ALL  # noqa: E402
from fairseq_plugin.errors import plain_errors  # noqa: E402

RESULT = Path(__file__).with_suffix("")
STUDENTS = ("bag-of-words", "ngrams", "bilstm")
BASE = StudyRequest(Path(), Path(), times=5, choose_from=3, students=STUDENTS)
FEW = (5, 10, 20, 50)


@dataclass(frozen=True)
class Grid:
    """A set, and what is compared on it: parts of one study, the most telling first.

    Attributes:
        name: of its folder and picture.
        title: on the page.
        whole: with the draws that are advised; what is missing of it is said on the page.
        parts: in the order in which they are run.
    """

    name: str
    title: str
    whole: StudyRequest
    parts: tuple[StudyRequest, ...]


def grid(name, title, data, to, ks):
    """The parts of the study of a set."""
    whole = replace(
        BASE, data=data, to=to / f"{name}-study", ks=ks, gammas=(1.0, 0.5, 0.2), temperatures=(1.0, 0.7)
    )
    few, many = tuple(k for k in ks if k in FEW), tuple(k for k in ks if k not in (*FEW, ALL))
    plain = replace(whole, gammas=(1.0, 0.5), temperatures=(1.0,))
    parts = [replace(plain, ks=few, num_splits=3), replace(plain, ks=many, num_splits=2)]
    # 60,000 real rows and 40,000 new ones: a BiLSTM would read each of nine arms for an hour.
    quick = replace(plain, ks=(ALL,), num_splits=1, students=("bag-of-words", "ngrams"))
    parts += [quick] if ALL in ks else []
    parts += [
        replace(plain, ks=few, num_splits=2, gammas=(0.2,)),
        replace(plain, ks=few, num_splits=2, temperatures=(0.7,)),
        replace(plain, ks=few),
        replace(plain, ks=many),
        replace(whole, ks=few),
    ]
    return Grid(name, title, whole, tuple(part for part in parts if part.ks))


def make_reviews(to):
    """The embedded set."""
    if not (to / "train.tsv").exists():
        command = [sys.executable, ROOT / "scripts" / "make_reviews.py", "--to", to]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def grids(data, to):
    """The grids, in the order in which they are run."""
    return (
        grid("sst2", "SST-2", data / "sst2", to, (*FEW, 100, 500, ALL)),
        grid("reviews", "The embedded reviews", to / "reviews", to, (*FEW, 100)),
        grid("atis", "ATIS", data / "atis", to, (*FEW, 100)),
    )


def run(grid, ks):
    """Make what is missing of a grid, of these sizes if any are named."""
    for part in grid.parts:
        request = replace(part, ks=tuple(k for k in part.ks if not ks or k in ks))
        if not request.ks:
            continue
        study = Study(request)
        study.open()
        study.run(lambda key: print(f"{grid.name}: {describe(key)}", flush=True))


def report(grid):
    """``(lines, JSON)`` of what is there, and the picture."""
    study = Study(grid.whole)
    study.open()
    found = found_so_far(study)
    lines = [f"## {grid.title}", "", *tables(grid.whole, study.whole, found)]
    if found.comparisons:
        base = RESULT.with_name(f"{RESULT.name}-{grid.name}")
        draw_study(found, base, most_frequent_share(study.whole))
        lines += [f"![accuracy against k on {grid.title}]({base.name}.png)", ""]
    return lines, to_json(grid.whole, study.whole, found)


def earlier_results():
    """Lines and JSON of the sets that the page has: what is not in --to stays as it is."""
    sets = earlier_result(RESULT).get("sets")
    if not sets:
        return {}
    _, *parts = RESULT.with_suffix(".md").read_text("utf-8").split(BEGIN)[1].split(END)[0].split("\n## ")
    by_title = {part.split("\n", 1)[0]: f"## {part}".rstrip("\n").split("\n") for part in parts}
    titles = {grid.name: grid.title for grid in grids(Path(), Path())}
    return {name: ([*by_title[titles[name]], ""], found) for name, found in sets.items()}


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with sst2/ and atis/")
    parser.add_argument("--to", type=Path, default=ROOT / "runs" / "verdict_sst2", help="folder of the runs")
    parser.add_argument("--sets", nargs="+", help="run these only: sst2, reviews, atis")
    parser.add_argument("--k", nargs="+", type=int, help="run these sizes only; 0 is all rows")
    parser.add_argument("--report", action="store_true", help="make nothing, report on what is there")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    make_reviews(args.to / "reviews")
    every = grids(args.data, args.to)
    if not args.report:
        for grid in every:
            if not args.sets or grid.name in args.sets:
                run(grid, args.k)
    earlier, stated = earlier_results(), {}
    made = {"made": date.today().isoformat(), "machine": machine_class(os.cpu_count() or 1)}
    lines = []  # none: nothing has been run
    for grid in every:
        if (grid.whole.to / NAME).exists():
            own, found = report(grid)
            stated[grid.name] = {**made, **found}
        elif grid.name in earlier:
            own, stated[grid.name] = earlier[grid.name]
        else:
            continue
        lines += own
    result = {"sets": stated}
    lines = lines or ["No figures yet: the command above has not been run.", ""]
    write_result(RESULT, result, lines, "Does augmentation by a small GPT-2 pay?")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
