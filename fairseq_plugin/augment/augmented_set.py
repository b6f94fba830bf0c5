"""The folder that ``scripts/collect.py`` writes, read again."""

import json
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.rows import SourceSpec, read_rows

RECORD = "manifest.json"
REPORT = "report.html"
FORMAT = "augmented"
VERSION = 1


def load_record(folder):
    """``manifest.json`` of an augmented set as a dictionary, or None where ``folder`` holds none."""
    try:
        record = json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def read_synthetic(folder):
    """The generated rows of an augmented set, without real rows joined to them.

    Returns:
        ``(record, rows)``; rows as :func:`~fairseq_plugin.labelled.rows.read_rows` gives them.

    Raises:
        UserError: not an augmented set, or a file that was changed since.
    """
    folder = Path(folder)
    record = load_record(folder)
    if record is None:
        raise UserError(
            f"{folder} is not an augmented set (no {RECORD} of scripts/collect.py); give its --to folder"
        )
    if record.get("version") != VERSION:
        raise UserError(
            f"{folder / RECORD} has version {record.get('version')!r}, this code reads {VERSION}; collect "
            "again"
        )
    try:
        name, stated = next((name, own) for name, own in record["files"].items() if own["real"] == 0)
        spec, digest = SourceSpec.from_json(record["source"]), stated["sha256"]
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise UserError(f"{folder / RECORD} is damaged ({error!r}); collect again") from error
    if not (folder / name).is_file():
        raise UserError(f"{folder / name} is missing; collect again")
    if sha256(folder / name) != digest:
        raise UserError(
            f"{folder / name} was changed since it was collected (its SHA-256 differs); collect again"
        )
    return record, read_rows(folder / name, spec)[0]
