#!/usr/bin/env python3
"""A table in, exactly N new rows out.

    python scripts/synthesize.py abalone.csv --target Rings --rows 3000 --to runs/abalone

looks at the columns, trains a GPT-2 on the rows and draws new ones: each command is shown as it runs. The
same command goes on after an interruption, and passes over what is done. With --where every new row fulfils
a condition.

A share of the rows is held out: the model never sees them, and the new rows are judged by them. What is wrong
with the new rows is said in words; report.html shows every column and every pair.

Exit status: 0; 3 if the new rows are of no use ("Do not use these rows"); 1 for an error.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.files import sha256
from fairseq_plugin.jobs.bar import UnitBar
from fairseq_plugin.jobs.executors import Processes, ThisProcess
from fairseq_plugin.stages.stage import ROOT, Runner
from fairseq_plugin.storage.lock import FolderLock
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.judges.judgement import TooFewRows
from fairseq_plugin.synthesis.judges.verdict import as_text
from fairseq_plugin.synthesis.report.write import REPORT, ReportInputs, write_report
from fairseq_plugin.synthesis.request import AUTO, CHOOSE_FROM, HELD_OUT, MANY_ROWS, SynthesisRequest
from fairseq_plugin.synthesis.row_job import RowJob
from fairseq_plugin.synthesis.selection import choose_drawn, drawn_to_choose_from
from fairseq_plugin.synthesis.stages import SynthesisStages
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.model import MOST_TRIES, DrawnRows, TableModel
from fairseq_plugin.tables.reading import TableFile
from fairseq_plugin.tables.request import RARE
from fairseq_plugin.tables.schema import LAST, PLACES
from fairseq_plugin.tables.writing import marked_rows, write_table
from fairseq_plugin.text.spreadsheet import marked_told
from fairseq_plugin.text.spreadsheet_flags import add_spreadsheet_flag


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("table", type=Path, metavar="TABLE", help="rows to learn from (.csv, .tsv, .parquet, .feather)")
    add("--to", type=Path, required=True, metavar="DIR", help="folder for everything that is written")
    add("--rows", type=int, default=1000, metavar="N", help="new rows (default: 1000)")
    add("--target", metavar="NAME", help="the column that models of the table shall predict")
    add("--target-place", choices=(AUTO, *PLACES), default=AUTO,
        help="where the model reads it; auto: last if others nearly decide it")  # fmt: skip
    add("--held-out", type=float, default=HELD_OUT, metavar="SHARE",
        help=f"of the rows, to judge by (default: {HELD_OUT}); 0: learn all of them, no judges")  # fmt: skip
    add("--test", type=Path, metavar="FILE", help="rows to judge by, instead of a share of TABLE")
    add("--where", metavar="CONDITION", help="of every new row, such as \"age >= 40 and sex == 'F'\"")
    add("--type", dest="types", action="append", default=[], metavar="NAME=TYPE",
        help="what a column is, instead of a guess")  # fmt: skip
    add("--schema", type=Path, metavar="FILE", help="a schema.json to follow, such as an edited one")
    add("--header", choices=("auto", "yes", "no"), default="auto", help="does line 1 name the columns?")
    add("--columns", metavar="A,B,...", help="names of the columns of a file without a header")
    add("--order", choices=(FIXED, RANDOM), default=FIXED,
        help="of columns in training; random: --where is exact for == on any column")  # fmt: skip
    add("--from", dest="pretrained", type=Path, metavar="GPT2_FOLDER",
        help="start from a pretrained GPT-2 in Hugging Face's form, with its tokens for texts")  # fmt: skip
    add("--rare", type=int, default=RARE, metavar="N",
        help=f"categories and texts of fewer rows are not drawn (default: {RARE})")  # fmt: skip
    add("--seed", type=int, default=1, help="of split, training and new rows (default: 1)")
    add("--epochs", type=int, metavar="N", help="most passes over the table (default: by its size)")
    add("--gamma", type=float, default=1.0, help="of ScaleGrad; 1 is maximum likelihood (default: 1)")
    add("--most-tries", type=float, default=MOST_TRIES, metavar="N",
        help=f"rows drawn per row asked for, at most (default: {MOST_TRIES:g})")  # fmt: skip
    add("--choose-from", type=int, metavar="N",
        help="draw N times as many rows, and keep those whose statistics are those of the training rows; "
        f"1: rows as they are drawn (default: {CHOOSE_FROM}; 1 with --where and for more than {MANY_ROWS:,} "
        "rows)")  # fmt: skip
    add("--workers", type=int, default=1, metavar="N", help="processes that draw rows (default: 1)")
    add_spreadsheet_flag(parser)
    add("--overwrite", action="store_true", help="where an earlier run in --to had other data, start again")
    return parser


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    request = SynthesisRequest(
        **{field.name: getattr(args, field.name) for field in fields(SynthesisRequest)}
    )
    request.check()
    began = time.monotonic()
    request.to.mkdir(parents=True, exist_ok=True)
    runner, verdict = Runner(), None
    with FolderLock(request.to / "synthesize", what=request.to):
        source = hold_out(request)
        if source.note:
            runner.say(source.note)
        stages = SynthesisStages(request, source)
        if request.target_place == AUTO and stages.target_place is not None:
            others = "nearly decide it" if stages.target_place == LAST else "do not decide it"
            runner.say(f"target {request.target!r}: read {stages.target_place}, the other columns {others}")
        for stage in stages:
            if stage.log is not None:
                stages.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            runner.run(stage)
        model = TableModel.load(ROOT / stages.checkpoint, ROOT / stages.data)
        where = None if request.where is None else model.condition(request.where)
        times, chosen_from = request.times(stages.num_learnt), None
        path = request.to / f"rows{request.table.suffix if request.table.suffix == '.tsv' else '.csv'}"
        with earlier_rows_named(path):
            drawn = draw(request, stages, model, where, times)
            accepted, num_drawn = drawn.accepted, drawn.num_drawn
            if times > 1:
                runner.say(f"\n== Choose {request.rows:,} of {len(drawn.rows):,} drawn rows")
                drawn, chosen_from = chosen(drawn, request, stages, model, where, runner)
            rows, num_marked = marked_rows(drawn.rows) if request.spreadsheet_safe else (drawn.rows, 0)
            write_table(path, drawn.names, rows, path.suffix[1:])
        if source.held_out is not None:
            runner.say("\n== The judges compare the new rows with held-out ones")
            inputs = inputs_of(request, stages, source.held_out, model, drawn)
            try:
                verdict = write_report(request.to, replace(inputs, where=where, num_drawn=chosen_from))
            except TooFewRows as few:
                runner.say(f"no report: {few}")
    met = "" if where is None else f", {accepted:.1%} of {num_drawn:,} drawn ones met --where"
    if drawn.num_redrawn:
        met += f", {drawn.num_redrawn:,} were drawn again: a text of fewer than {request.rare} rows"
    met += marked_told(num_marked)
    if verdict is not None:  # before everything that looks like success
        print(f"\n{as_text(verdict)}")
    print(f"\nDone in {time.monotonic() - began:.0f} s: {path}, {len(drawn.rows):,} rows{met}")
    if verdict is not None:
        print(f"Its report: {request.to / REPORT}")
        sys.exit(verdict.status)


@contextmanager
def earlier_rows_named(path: Path) -> Iterator[None]:
    """Where new rows cannot be made, say of the file that is there that it holds other ones."""
    try:
        yield
    except UserError as error:
        if not path.exists():
            raise
        raise UserError(f"{error}\n{path} still holds the rows of an earlier run") from error


def draw(
    request: SynthesisRequest, stages: SynthesisStages, model: TableModel, where: Condition | None, times: int
) -> DrawnRows:
    """The new rows, unit by unit; those of an earlier run are taken as they are."""
    data, checkpoint, prompt = ROOT / stages.data, ROOT / stages.checkpoint, model.prompt_for(where)
    job = RowJob.of(request.to / "drawn", data, checkpoint, request.seed, prompt)
    job = replace(job, folder=job.folder / job.digest[:8])
    executor = Processes(request.workers) if request.workers > 1 else ThisProcess(model=model)
    bar = UnitBar("rows")
    try:
        with drawn_to_choose_from(times):
            return job.rows(request.rows * times, where, model, executor, request.most_tries, bar)
    finally:
        bar.close()


def chosen(
    drawn: DrawnRows,
    request: SynthesisRequest,
    stages: SynthesisStages,
    model: TableModel,
    where: Condition | None,
    runner: Runner,
) -> tuple[DrawnRows, int | None]:
    """As many as were asked for, and of how many they were chosen; where nobody asked for a choice and none
    can be made, those drawn first, and None."""
    try:
        found = choose_drawn(drawn, model.code, ROOT / stages.data, where, request.rows, request.seed)
        return found, len(drawn.rows)
    except TooFewRows as few:
        if request.choose_from is not None:
            raise
        runner.say(f"rows as they are drawn: {few}")
        rows, numbers = drawn.rows[: request.rows], drawn.numbers[: request.rows]
        return replace(drawn, rows=rows, numbers=numbers), None


def inputs_of(
    request: SynthesisRequest,
    stages: SynthesisStages,
    held_out: TableFile,
    model: TableModel,
    drawn: DrawnRows,
) -> ReportInputs:
    """What the judges need of a run."""
    learnt = stages.source.learnt
    settings = {field.name: value for field in fields(request) if (value := getattr(request, field.name))}
    settings["choose_from"] = request.times(stages.num_learnt)
    if stages.target_place is not None:
        settings["target_place"] = stages.target_place
    return ReportInputs(
        name=request.table.name,
        schema=model.code.schema,
        train=learnt.rows(),
        held_out=held_out.rows(),
        names=drawn.names,
        rows=drawn.rows,
        seed=request.seed,
        data=ROOT / stages.data,
        checkpoint=ROOT / stages.checkpoint,
        provenance=[*settings.items(), ("SHA-256 of the table", sha256(request.table))],
    )


if __name__ == "__main__":
    main()
