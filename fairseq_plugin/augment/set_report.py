"""What the report of an augmented set shows."""

from collections.abc import Mapping, Sequence

from fairseq_plugin.augment.augmented_set import SetRecord
from fairseq_plugin.augment.filter_options import Examples
from fairseq_plugin.augment.filters import Candidate
from fairseq_plugin.augment.judge import agree, train_judge
from fairseq_plugin.augment.verdict import verdict
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.reports import statistics
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.page import Agreement, Report
from fairseq_plugin.reports.training_log import Curves

_SHOWN = 5  # rejected texts per reason
_JUDGED = 20_000  # synthetic sentences whose labels are checked, real ones that teach the judge


def make_report(
    manifest: Manifest,
    record: SetRecord,
    measured: Facts,
    candidates: Sequence[Candidate],
    verdicts: Sequence[str | None],
    real: Mapping[str, Examples],
    kept: Examples,
    curves: Curves | None,
    log: str | None,
) -> Report:
    """Gather what :func:`~fairseq_plugin.reports.page.render` shows.

    Args:
        manifest: of the data.
        record: of the set.
        measured: the kept samples beside the real ones.
        candidates, verdicts: all samples, and why each is not kept.
        real: by split.
        kept: the kept samples.
        curves, log: of the training, if there is a log.
    """
    return Report(
        name=record.data_name,
        labels=[(label.name, label.text) for label in manifest.labels],
        counts=record.counts,
        reasons=record.reasons,
        agreement=_agreement(manifest, real, kept, record.seed),
        facts=measured,
        curves=curves,
        log=log,
        rejected=_rejected(candidates, verdicts, list(record.reasons)),
        seed=record.seed,
        tokens=record.tokens,
        seconds=record.seconds,
        provenance=_provenance(record),
        notes=_notes(record),
    )


def _agreement(
    manifest: Manifest, real: Mapping[str, Examples], kept: Examples, seed: int
) -> Agreement | None:
    names = [label.name for label in manifest.labels]
    train = statistics.draw(real["train"], _JUDGED, seed)
    try:
        judge = train_judge([text for _, text in train], [label for label, _ in train])
    except UserError:  # one label, or no words: the page says that there is no judge
        return None
    found = agree(judge, statistics.draw(kept, _JUDGED, seed), names)
    valid = agree(judge, real["valid"], names) if real.get("valid") else None
    said = verdict(names, valid and valid.confusion, found.confusion)
    return Agreement(found.share, valid and valid.share, said.sentence)


def _rejected(
    candidates: Sequence[Candidate], verdicts: Sequence[str | None], reasons: Sequence[str]
) -> dict[str, list[str]]:
    examples: dict[str, list[str]] = {reason: [] for reason in reasons}
    for candidate, reason in zip(candidates, verdicts, strict=True):
        if reason is not None and len(examples[reason]) < _SHOWN:
            examples[reason].append(candidate.text)
    return examples


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
    return notes


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
    started = ", ".join(str(run["started"]) for run in record.runs)
    return [*lines, ("tokens", took), ("started", started), ("versions", versions)]
