"""Judge new rows by held-out ones, and write ``report.html`` and ``judges.json``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.training_log import find_training_log
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS, TREES
from fairseq_plugin.synthesis.judges.judgement import TooFewRows, judge_rows
from fairseq_plugin.synthesis.judges.rows import Rows, judged_rows
from fairseq_plugin.synthesis.judges.usefulness import SEEDS
from fairseq_plugin.synthesis.judges.verdict import RowsVerdict, verdict_on
from fairseq_plugin.synthesis.report.page import TableReport, render
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.manifest import TableManifest
from fairseq_plugin.tables.schema import Schema

REPORT, FIGURES = "report.html", "judges.json"


@dataclass(frozen=True)
class ReportInputs:
    """What is judged, and what the page tells of it.

    Attributes:
        name: of the table.
        schema: of the table.
        train, held_out: real rows, cells of all columns.
        names, rows: new rows.
        seed: of the judges.
        num_drawn: rows that the new ones were chosen from; None: they are as they were drawn.
        where: the condition that the new rows fulfil: they are compared with real rows that fulfil it.
        data, checkpoint: of the model, for its training; None: not told.
        provenance: ``(what, value)``, in order.
    """

    name: str
    schema: Schema
    train: Rows
    held_out: Rows
    names: Sequence[str]
    rows: Rows
    seed: int
    num_drawn: int | None = None
    where: Condition | None = None
    data: Path | None = None
    checkpoint: Path | None = None
    provenance: Sequence[tuple[str, object]] = ()


def write_report(folder: Path, inputs: ReportInputs, seeds: int = SEEDS, trees: int = TREES) -> RowsVerdict:
    """Judge and write.

    Args:
        folder: gets ``report.html`` and ``judges.json``.
        inputs: what is judged.
        seeds, trees: see :func:`judge_rows`.

    Returns:
        The verdict.

    Raises:
        TooFewRows: too few rows to judge by.
    """
    every, real = inputs.schema.names, (inputs.train, inputs.held_out)
    if inputs.where is not None:
        holds = inputs.where.holds
        real = [row for row in real[0] if holds(row)], [row for row in real[1] if holds(row)]
        if min(map(len, real)) < FEWEST_ROWS:
            raise TooFewRows(
                f"only {len(real[1])} held-out and {len(real[0])} training rows fulfil "
                f"{inputs.where.text!r}: too few to judge by (at least {FEWEST_ROWS})"
            )
    train, held_out = (judged_rows(inputs.schema, every, rows) for rows in real)
    synthetic = judged_rows(inputs.schema, inputs.names, inputs.rows)
    judgement = judge_rows(train, held_out, synthetic, inputs.schema.target, inputs.seed, seeds, trees)
    verdict = verdict_on(judgement)
    curves, _ = find_training_log(None, None if inputs.checkpoint is None else str(inputs.checkpoint))
    report = TableReport(
        name=inputs.name,
        judgement=judgement,
        verdict=verdict,
        train=train,
        synthetic=synthetic,
        curves=curves,
        tokens_per_row=_tokens_per_row(inputs.data),
        names=inputs.names,
        rows=inputs.rows,
        num_drawn=inputs.num_drawn,
        provenance=inputs.provenance,
    )
    with atomic_write(folder / REPORT) as stream:
        stream.write(render(report))
    with atomic_write(folder / FIGURES) as stream:
        findings = [finding.sentence for finding in verdict.findings]
        json.dump(
            {"verdict": verdict.sentence, "findings": findings, **judgement.to_json()}, stream, indent=1
        )
        stream.write("\n")
    return verdict


def _tokens_per_row(data: Path | None) -> float:
    if data is None:
        return 1.0
    splits = TableManifest.load(data).splits
    counts = splits.get("valid") or splits["train"]
    return counts.tokens / max(counts.rows, 1)
