"""The report of an augmented set: what it shows, from the set's folder, its data, and who has judged it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fairseq_plugin.augment.augmented_set import REPORT, SetRecord, read_set
from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.options import Examples
from fairseq_plugin.augment.filters.text_filters import SPLITS
from fairseq_plugin.augment.judges.words import agree, synthetic_examples, train_judge
from fairseq_plugin.augment.report_inputs import (
    Judgement,
    judgement_of,
    read_judgement,
    read_verdict,
)
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.reports import facts, page, statistics
from fairseq_plugin.reports.display import short, visible
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.opinions import Verdict
from fairseq_plugin.reports.page import Report
from fairseq_plugin.reports.training_log import find_training_log

_SHOWN = 5  # rejected texts per reason
_LONGEST = 500  # characters of them
_JUDGED = 20_000  # synthetic sentences whose labels are checked, real ones that teach the judge


def write_report(
    folder: str | Path,
    record: SetRecord,
    manifest: Manifest,
    real: Mapping[str, Examples],
    kept: Examples,
    judgement: Judgement | None = None,
    said: Verdict | None = None,
) -> Facts:
    """Measure a set and write its page.

    Args:
        folder: the set's.
        record: of the set.
        manifest: of the data.
        real: by split.
        kept: the set's own rows.
        judgement: what a judge said of it; None: a judge is trained here.
        said: the verdict on it; None: only its labels are looked at.

    Returns:
        What was measured.
    """
    measured = facts.measure([label.text for label in manifest.labels], real, kept, record.seed)
    names = [label.name for label in manifest.labels]
    judgement = judgement or _judge(names, real, kept, record.seed)
    checkpoint = next((one["path"] for one in record.checkpoints), None)
    log = record.options.train_log
    curves, log = find_training_log(log if log and Path(log).is_file() else None, checkpoint)
    report = Report(
        name=record.data_name,
        labels=[(label.name, label.text) for label in manifest.labels],
        counts=record.counts,
        reasons=record.reasons,
        verdict=said or judgement.verdict,
        fidelity=judgement.fidelity,
        calibrations=judgement.calibration,
        doubtful=judgement.doubtful,
        facts=measured,
        curves=curves,
        log=log,
        rejected=record.rejected,
        seed=record.seed,
        tokens=record.tokens,
        seconds=record.seconds,
        provenance=_provenance(record),
        notes=_notes(record),
        asked=record.asked,
    )
    with atomic_write(Path(folder) / REPORT) as stream:
        stream.write(page.render(report))
    return measured


def rewrite_report(
    samples: str | Path, data: str | Path, judge: str | Path | None = None, said: str | Path | None = None
) -> Path:
    """Write the page of a set again, with what has been found out since.

    Args:
        samples: the set's folder.
        data: the prepared folder that it was made with.
        judge: what ``judge_agreement.py --json`` wrote.
        said: what ``verdict.py quick --json`` wrote.

    Returns:
        The page's path.

    Raises:
        UserError: no such set, one of other data, or files that are not those.
    """
    manifest, kept, record = Manifest.load(data), synthetic_examples(data, samples), read_set(samples)
    judgement = read_judgement(judge, [label.name for label in manifest.labels]) if judge else None
    found = read_verdict(said) if said else None
    real = {split: read_texts(data, split) for split in SPLITS if split in manifest.splits}
    write_report(samples, record, manifest, real, kept, judgement, found)
    return Path(samples) / REPORT


def _judge(names: Sequence[str], real: Mapping[str, Examples], kept: Examples, seed: int) -> Judgement:
    """A quick judge of words, trained on real rows."""
    train = statistics.draw(real["train"], _JUDGED, seed)
    try:
        judge = train_judge([text for _, text in train], [label for label, _ in train])
    except UserError:  # one label, or no words: the page says that there is no judge
        return Judgement(None, None)
    valid = agree(judge, real["valid"], names) if real.get("valid") else None
    return judgement_of(names, valid, agree(judge, statistics.draw(kept, _JUDGED, seed), names))


class RejectedTexts:
    """A few texts of each reason, as a person can read them.

    Args:
        reasons: every reason, in order.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self._examples: dict[str, list[str]] = {reason: [] for reason in reasons}

    def passing(
        self, judged: Iterable[tuple[Candidate, str | None]]
    ) -> Iterator[tuple[Candidate, str | None]]:
        """Samples and why each is not kept, unchanged: the texts are picked as they pass by."""
        for candidate, reason in judged:
            if reason is not None and len(self._examples[reason]) < _SHOWN:
                self._examples[reason].append(short(visible(candidate.text), _LONGEST))
            yield candidate, reason

    @property
    def found(self) -> dict[str, list[str]]:
        """By reason; those that no sample was rejected for are left out."""
        return {reason: texts for reason, texts in self._examples.items() if texts}


def _notes(record: SetRecord) -> list[str]:
    options = record.options
    how = "as they are" if options.compare == "exact" else "without regard to case and spacing"
    notes = [f"Sentences count as equal when they are so {how}, without the white space around them."]
    if options.keep_copies:
        notes.append(f"Copies of {', '.join(options.keep_copies)} sentences were kept on request.")
    if options.join_train:
        notes.append(
            "The training file holds the real training set too; this page measures the new rows alone."
        )
    if record.other_columns:
        notes.append(f"Other columns of the source: {record.other_columns}.")
    return notes + record.notes


def _provenance(record: SetRecord) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = [
        ("data", f"{record.data_name}, manifest sha256 {record.manifest_sha256}"),
        *(("checkpoint", f"{one['path']}, sha256 {one['sha256']}") for one in record.checkpoints),
        *((name, f"{own.rows:,} rows, sha256 {own.sha256}") for name, own in record.files.items()),
        ("seed", record.seed),
        *((name.replace("_", " "), value) for name, value in record.settings.items()),
    ]
    took = f"{record.tokens:,} in {record.seconds} s of {len(record.runs)} run(s), added up"
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items() if version)
    started = ", ".join(str(run["started"]) for run in record.runs if run["started"])
    lines += [("tokens", took), *([("started", started)] if started else [])]
    return [*lines, ("versions", versions)]
