"""From a model to exactly as many accepted rows of every label as were asked for, however many those are.

Samples stay in the units' files of the job; in memory are a few bytes for each, and what filters remember.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fairseq_plugin.augment.augmented_set import RECORD, Options, SetRecord, is_augmented_set, stated_record
from fairseq_plugin.augment.filters.acceptance import num_to_accept
from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.options import FilterOptions, make_acceptance
from fairseq_plugin.augment.filters.text_filters import SPLITS
from fairseq_plugin.augment.jobs.fill import Filled, Progress, fill
from fairseq_plugin.augment.jobs.job import Job, Settings, describe_job
from fairseq_plugin.augment.jobs.new_rows import NewRows
from fairseq_plugin.augment.jobs.quota import Limits, shortage
from fairseq_plugin.augment.jobs.row_files import output_spec, text_spec, write_parts
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.judges.score_columns import ScoreColumns
from fairseq_plugin.augment.label_counts import MAX_SAMPLES, samples_per_label
from fairseq_plugin.augment.set_report import RejectedTexts
from fairseq_plugin.augment.versions import versions
from fairseq_plugin.augment.write_sets import other_columns
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import Executor
from fairseq_plugin.jobs.units import Unit
from fairseq_plugin.labelled import parquet
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.storage.folders import Place, whole_folder
from fairseq_plugin.storage.sealed import write_sealed
from fairseq_plugin.text.codec import load_codec

SET = "augmented"  # the folder of the accepted rows, inside the job's


@dataclass(frozen=True)
class GenerateRequest:
    """What to make; see the flags of ``scripts/generate.py``.

    Attributes:
        data, checkpoint, to: prepared folder, model, folder of the job.
        rows_to: folder of the set; None: ``augmented`` inside the job's.
        per_label: as ``--per-label`` is written, or by the labels' names.
        settings: how samples are drawn.
        filters: which samples are rejected.
        limits: when a label is given up.
        unit_size: samples of one unit of work.
        form: of the rows' files; None: the source's own.
        scores: whether each row tells its log probability, and the probability of its label.
        soft_labels: whether each row tells the probability of every label.
        device: where labels are judged.
        rows_per_file: most rows of one file.
        spreadsheet_safe: put a mark before texts that a spreadsheet would compute.
        allow_fewer: whether a set is written although labels fell short.
    """

    data: Path
    checkpoint: Path
    to: Path
    per_label: str | Mapping[str, int]
    settings: Settings = field(default_factory=Settings)
    filters: FilterOptions = field(default_factory=FilterOptions)
    limits: Limits = field(default_factory=Limits)
    unit_size: int = 1000
    form: str | None = None
    scores: bool = False
    soft_labels: bool = False
    device: str = "cpu"
    rows_per_file: int = 1_000_000
    spreadsheet_safe: bool = False
    allow_fewer: bool = False
    rows_to: Path | None = None

    @property
    def set_folder(self) -> Path:
        """Where the accepted rows go."""
        return self.rows_to or self.to / SET

    def check(self) -> None:
        """Refuse what is out of range, before anything is written.

        Raises:
            UserError: naming the flag.
        """
        wanted = self.scores or self.soft_labels or self.filters.need_probabilities
        if self.filters.teacher is not None and not wanted:
            flags = "--soft-labels, --scores, --judge-threshold or --keep-best"
            raise UserError(f"--teacher {self.filters.teacher}: say what for, by {flags}")
        for flag, value in (("unit-size", self.unit_size), ("rows-per-file", self.rows_per_file)):
            if value < 1:
                raise UserError(f"--{flag} {value} must be at least 1")
        if self.form == parquet.FORMAT:
            parquet.require_pyarrow()


@dataclass(frozen=True)
class Generated:
    """What came of a job.

    Attributes:
        record: of the set.
        folder: of the set; None where another process writes it.
        shortage: which labels fell short, if any.
        was_there: an earlier run has written the very same rows; they are left as they are.
    """

    record: SetRecord
    folder: Path | None
    shortage: str | None
    was_there: bool = False


def generate(
    request: GenerateRequest, executor: Executor, progress: Progress | None = None, writes: bool = True
) -> Generated:
    """Begin a job or go on with one, until its set is written.

    Args:
        request: what to make; the same request goes on where an earlier run stopped.
        executor: where the units are made; it is closed at the end.
        progress: is told what happens.
        writes: whether this process writes the set; of several ranks one does.

    Raises:
        UserError: bad input, a folder of another job, or labels that fell short.
    """
    began = time.monotonic()
    made = make_samples(request, executor, progress)
    made.rows.acceptance.limit()
    counts = made.rows.acceptance.tally()
    short = shortage(made.asked, counts, request.limits, request.allow_fewer)
    if short and (not request.allow_fewer or not counts.total.kept):
        raise UserError(short)
    record = _record(request, made.rows, made.filled, made.asked)
    if not writes:
        return Generated(record, None, short)
    record, was_there = _write(request, record, made.rows, made.filled.units, began)
    return Generated(record, request.set_folder, short, was_there)


def make_samples(
    request: GenerateRequest, executor: Executor, progress: Progress | None = None
) -> "MadeSamples":
    """The samples of a job, until enough of every label are accepted or labels are given up.

    Args:
        request, executor, progress: see :func:`generate`.

    Raises:
        UserError: bad input, or a folder of another job.
    """
    request.check()
    manifest, codec = Manifest.load(request.data), load_codec(request.data)
    asked = samples_per_label(request.per_label, manifest.labels, "--per-label")
    keep_best = request.filters.keep_best
    accepted = [num_to_accept(number, keep_best) for number in asked]
    if sum(accepted) > MAX_SAMPLES:
        best = "" if keep_best is None else f" with --keep-best {keep_best:g}"
        raise UserError(
            f"--per-label asks for {sum(accepted):,} samples{best}; one job makes at most {MAX_SAMPLES:,}"
        )
    names = [label.name for label in manifest.labels]
    columns = ScoreColumns.asked_for(request.scores, request.soft_labels, names)
    spec = output_spec(manifest.source, request.form, columns.names)
    fidelity, job = None, describe_job(request.to, request.data, request.checkpoint, request.settings)
    if request.filters.need_probabilities or columns.names:
        fidelity = request.filters.fidelity(names, partial(_judge, request, executor, job))
    real = {split: read_texts(request.data, split) for split in SPLITS if split in manifest.splits}
    acceptance = make_acceptance(request.filters, real, text_spec(spec), codec, names, fidelity, asked)
    del real
    job.begin()
    rows = NewRows(job, codec, manifest, spec, acceptance, columns, fidelity and fidelity.opinions)
    try:
        filled = fill(
            job, acceptance, rows.read, executor, accepted, request.unit_size, request.limits, progress
        )
    finally:
        executor.close()
    return MadeSamples(rows, filled, asked)


def _judge(request: GenerateRequest, executor: Executor, job: Job) -> BayesJudge:
    """The model as judge, computing as it was trained: the executor's own where that is the same."""
    model = executor.model(job) if request.settings.compute_dtype is None else None
    if model is None:
        return BayesJudge.load(request.checkpoint, request.data, request.device)
    return BayesJudge.of(model, request.data)


@dataclass(frozen=True)
class MadeSamples:
    """All samples of a job, and what became of each.

    Attributes:
        rows: reads the samples.
        filled: the units they are in.
        asked: samples to be accepted, by label.
    """

    rows: NewRows
    filled: Filled
    asked: list[int]

    def judged(self) -> Iterator[tuple[Candidate, str | None]]:
        """The samples in the order of their ids, and why each is not accepted."""
        return self.rows.judged(self.filled.units)


def _record(request: GenerateRequest, rows: NewRows, filled: Filled, asked: Sequence[int]) -> SetRecord:
    made_with, acceptance = rows.job.made_with, rows.acceptance
    run: dict[str, object] = {
        "folder": rows.job.folder.resolve().name,
        "verified": True,
        "asked": dict(zip(made_with.labels, asked, strict=True)),
        "units": len(filled.units),
        "samples": acceptance.num_added,
        "tokens": filled.tokens,
        "seconds": filled.seconds,
        "started": None,
    }
    options = Options(
        **vars(request.filters), binary=False, report=False, spreadsheet_safe=request.spreadsheet_safe
    )
    return SetRecord(
        data_name=rows.manifest.data_name(request.data),
        manifest_sha256=made_with.manifest_sha256,
        source=rows.spec,
        checkpoints=[{"path": str(request.checkpoint), "sha256": made_with.checkpoint_sha256}],
        seed=made_with.seed,
        settings=made_with.settings,
        runs=[run],
        tokens=filled.tokens,
        seconds=filled.seconds,
        options=options,
        counts=acceptance.tally(),
        reasons=acceptance.reasons,
        notes=acceptance.notes,
        rejected={},  # picked while the rows are written: reading the samples once more would cost as much
        versions=versions(),
        other_columns=other_columns(rows.manifest, options),
    )


class _IsThere(Exception):
    """The set that was built is the one that is there."""


def _write(
    request: GenerateRequest, record: SetRecord, rows: NewRows, units: Sequence[Unit], began: float
) -> tuple[SetRecord, bool]:
    """Write the set, unless the very same one is there already: it may have a report by now.

    Returns:
        The record with the files, and whether they were there.
    """
    destination = request.set_folder
    place = Place.look(destination)
    if place.seen is not None and not is_augmented_set(destination):
        raise UserError(f"{destination} is not an augmented set, so it is not replaced; remove it yourself")
    try:
        with whole_folder(place) as folder:
            num_rows, rejected = record.counts.total.kept, RejectedTexts(rows.acceptance.reasons)
            accepted = rows.accepted(rejected.passing(rows.judged(units)))
            files = write_parts(
                folder, "train", accepted, num_rows, rows.spec, rows.job.made_with.labels,
                request.rows_per_file, request.spreadsheet_safe,
            )  # fmt: skip
            now = datetime.now(UTC).isoformat(timespec="seconds")
            took = {"collected": now, "collect_seconds": round(time.monotonic() - began, 3)}
            record = replace(record, files=files, rejected=rejected.found, time=took)
            if place.seen is not None and _lasting(stated_record(destination)) == _lasting(record.to_json()):
                raise _IsThere
            write_sealed(folder / RECORD, record.to_json())
    except _IsThere:
        return record, True
    return record, False


def _lasting(stated: dict[str, object] | None) -> dict[str, object]:
    """What a record says of the rows, without what belongs to a moment."""
    moment = ("time", "statistics", "seconds", "tokens_per_second", "runs", "sha256")
    lasting = {key: value for key, value in (stated or {}).items() if key not in moment}
    return json.loads(json.dumps(lasting))  # tuples become lists
