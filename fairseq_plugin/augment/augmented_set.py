"""The folder that ``scripts/collect.py`` writes: its record, and how it is read again."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.rows import Row, SourceSpec, stream_rows
from fairseq_plugin.reports.tally import Tally
from fairseq_plugin.storage.sealed import is_sealed
from fairseq_plugin.text.spreadsheet import unmark_formula

RECORD = "manifest.json"
REPORT = "report.html"
FORMAT = "augmented"
VERSION = 2  # 1 had no digest of its own


@dataclass(frozen=True)
class Options(FilterOptions):
    """What a person may choose; see the flags of ``scripts/collect.py``."""

    join_train: bool = False
    shuffle: bool = False
    spreadsheet_safe: bool = False
    binary: bool = True
    report: bool = True
    train_log: str | None = None


@dataclass(frozen=True)
class WrittenFile:
    """A file of rows.

    Attributes:
        rows: ``real + synthetic``.
        marked: rows whose text got a ``'`` in front for spreadsheets.
        bytes, sha256: of the file.
    """

    rows: int
    real: int
    synthetic: int
    marked: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class SetRecord:
    """What an augmented set is and where it comes from: the content of its ``manifest.json``.

    Attributes:
        data_name, manifest_sha256: of the prepared folder.
        source: the form of the text files.
        checkpoints: ``{"path", "sha256"}`` of each model.
        seed, settings, tokens, seconds: of the generation.
        runs: what each results folder contributed.
        options: how it was collected.
        counts: what was kept and rejected.
        reasons: name of each reason for a rejection -> what it says of a sample.
        rejected: a few texts of each reason, as they are shown to a person.
        notes: what a person should know of the filters.
        versions: of Python and packages.
        files: by name.
        other_columns: what became of the source's other columns, in words; None where there are none.
        statistics: figures of the report; None without one.
        time: when it was collected, and how long that took.
    """

    data_name: str
    manifest_sha256: str
    source: SourceSpec
    checkpoints: list[dict[str, str]]
    seed: int
    settings: Mapping[str, object]
    runs: list[dict[str, object]]
    tokens: int
    seconds: float | None
    options: Options
    counts: Tally
    reasons: dict[str, str]
    rejected: dict[str, list[str]]
    versions: dict[str, str | None]
    notes: list[str] = field(default_factory=list)
    files: dict[str, WrittenFile] = field(default_factory=dict)
    other_columns: str | None = None
    statistics: dict[str, object] | None = None
    time: dict[str, object] = field(default_factory=dict)

    @property
    def asked(self) -> int | None:
        """Rows that were to be kept, all labels together; None: as many as pass."""
        asked = self._asked
        return asked.total() if asked else None

    @property
    def _asked(self) -> Counter[str]:
        """By label; none where it was asked for as many as pass."""
        asked = Counter[str]()
        for run in self.runs:
            own = run.get("asked")
            asked.update(own if isinstance(own, Mapping) else {})
        return asked

    @property
    def shortfall(self) -> dict[str, tuple[int, int]]:
        """Rows that were kept and asked for, of each label that has fewer than were asked for."""
        asked = self._asked
        kept = {label: self.counts.labels[label].kept for label in asked if label in self.counts.labels}
        return {label: (kept.get(label, 0), n) for label, n in asked.items() if kept.get(label, 0) < n}

    def to_json(self) -> dict[str, Any]:
        """As the file states it."""
        stated = {
            "format": FORMAT,
            "version": VERSION,
            "data": {"name": self.data_name, "manifest_sha256": self.manifest_sha256},
            "source": self.source.to_json(),
            "checkpoint": self.checkpoints,
            "seed": self.seed,
            "settings": dict(self.settings),
            "runs": self.runs,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "tokens_per_second": round(self.tokens / self.seconds, 1) if self.seconds else None,
            "collect": asdict(self.options) | {"keep_copies": list(self.options.keep_copies)},
            "counts": self.counts.to_json(),
            "reasons": self.reasons,
            "rejected": self.rejected,
            "notes": self.notes,
            "versions": self.versions,
            "files": {name: asdict(own) for name, own in self.files.items()},
            "other_columns": self.other_columns,
        }
        if self.statistics is not None:
            stated["statistics"] = self.statistics
        return {**stated, "time": self.time}

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> "SetRecord":
        """The inverse of :meth:`to_json`; what an older version did not state is left empty."""
        known = {own.name for own in fields(Options)}
        options = {name: value for name, value in stated["collect"].items() if name in known}
        return cls(
            data_name=str(stated["data"]["name"]),
            manifest_sha256=str(stated["data"]["manifest_sha256"]),
            source=SourceSpec.from_json(stated["source"]),
            checkpoints=list(stated["checkpoint"]),
            seed=int(stated["seed"]),
            settings=dict(stated["settings"]),
            runs=list(stated["runs"]),
            tokens=int(stated["tokens"]),
            seconds=stated["seconds"],
            options=Options(**{**options, "keep_copies": tuple(options.get("keep_copies", ()))}),
            counts=Tally.from_json(stated["counts"]),
            reasons=stated.get("reasons") or dict.fromkeys(stated["counts"]["reasons"], ""),
            rejected=stated.get("rejected", {}),
            notes=list(stated.get("notes", ())),
            versions=dict(stated["versions"]),
            files={name: WrittenFile(**own) for name, own in stated["files"].items()},
            other_columns=stated.get("other_columns"),
            statistics=stated.get("statistics"),
            time=dict(stated["time"]),
        )


@dataclass(frozen=True)
class Synthetic:
    """The generated rows of an augmented set, without real rows joined to them.

    Attributes:
        record: of the set.
        rows: text and label of each, marks for spreadsheets taken off.
    """

    record: SetRecord
    rows: list[Row]

    @property
    def data_name(self) -> str:
        """Of the data the set was made with."""
        return self.record.data_name

    @property
    def manifest_sha256(self) -> str:
        """Of the prepared folder of that data."""
        return self.record.manifest_sha256


def is_augmented_set(folder: str | Path) -> bool:
    """Whether ``folder`` holds a ``manifest.json`` of ours, damaged or not."""
    return _load(folder) is not None


def stated_record(folder: str | Path) -> dict[str, Any] | None:
    """What a set's ``manifest.json`` states, whole or not; None where ``folder`` is no set of ours."""
    loaded = _load(folder)
    return loaded and loaded[0]


def _load(folder: str | Path) -> tuple[dict[str, Any], bytes] | None:
    try:
        written = (Path(folder) / RECORD).read_bytes()
        record = json.loads(written.decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return (record, written) if isinstance(record, dict) and record.get("format") == FORMAT else None


def read_set(folder: str | Path) -> SetRecord:
    """The record of an augmented set.

    Raises:
        UserError: not an augmented set, or a damaged record.
    """
    folder = Path(folder)
    loaded = _load(folder)
    if loaded is None:
        raise UserError(
            f"{folder} is not an augmented set (no {RECORD} of scripts/collect.py); give its --to folder"
        )
    stated, written = loaded
    if stated.get("version") not in (1, VERSION):
        raise UserError(
            f"{folder / RECORD} has version {stated.get('version')!r}, this code reads 1 and {VERSION}; "
            "collect again"
        )
    if stated["version"] == VERSION and not is_sealed(stated, written):
        raise UserError(f"{folder / RECORD} is damaged: its digest is not its own; collect again")
    try:
        return SetRecord.from_json(stated)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / RECORD} is damaged ({error!r}); collect again") from error


def read_synthetic(folder: str | Path) -> Synthetic:
    """The generated rows of an augmented set.

    Raises:
        UserError: not an augmented set, or a file that was changed since.
    """
    folder, record = Path(folder), read_set(folder)
    files = {name: own for name, own in record.files.items() if own.real == 0}
    if not files:
        raise UserError(f"{folder / RECORD} is damaged (it names no file of new rows); collect again")
    rows = []
    for name, own in files.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; collect again")
        if sha256(folder / name) != own.sha256:
            raise UserError(
                f"{folder / name} was changed since it was collected (its SHA-256 differs); collect again"
            )
        rows += [row for row in stream_rows(folder / name, record.source) if isinstance(row, Row)]
    if record.options.spreadsheet_safe:
        rows = [replace(row, text=unmark_formula(row.text)) for row in rows]
    return Synthetic(record, rows)
