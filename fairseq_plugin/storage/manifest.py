"""``manifest.json`` of a prepared folder, whatever it holds: written whole, and read without trust."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

NAME = "manifest.json"


@dataclass(frozen=True)
class Kind:
    """A kind of prepared folder, and how its errors speak of it.

    Attributes:
        format, version: as they stand in the file.
        what: what is prepared: "data", "text".
        holds: what the manifest is one of: "labelled data".
        script: what prepares it.
        others: ``{format of another kind: what to do with such a folder}``.
    """

    format: str
    version: int
    what: str
    holds: str
    script: str
    others: dict = field(default_factory=dict)


def save_manifest(folder, kind, stated):
    """Write ``manifest.json`` into a folder; ``stated``: all but format and version."""
    with atomic_write(Path(folder) / NAME) as stream:
        json.dump(
            {"format": kind.format, "version": kind.version, **stated}, stream, indent=1, ensure_ascii=False
        )
        stream.write("\n")


def load_manifest(folder, kind, parse):
    """Read the manifest of a prepared folder.

    Args:
        folder: the folder.
        kind: the :class:`Kind` expected.
        parse: from the file's dictionary to the manifest; KeyError, TypeError, AttributeError and ValueError
            say that it is damaged.

    Returns:
        What ``parse`` returns.

    Raises:
        UserError: missing folder or file, not ours, of another version or kind of data, or damaged.
    """
    path, again = Path(folder) / NAME, f"prepare the {kind.what} again"
    if not Path(folder).is_dir():
        raise UserError(f"no folder {folder}; prepare {kind.what} with {kind.script}")
    if not path.is_file():
        raise UserError(f"{folder} has no {NAME}: it is no prepared {kind.what}; use {kind.script}")
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {error}; {again}") from error
    found = stated.get("format") if isinstance(stated, dict) else None
    if isinstance(found, str) and found in kind.others:
        raise UserError(f"{folder} {kind.others[found]}")
    if found != kind.format:
        raise UserError(f"{path} is not a manifest of {kind.holds}; use {kind.script}")
    if stated.get("version") != kind.version:
        raise UserError(
            f"{path} has version {stated.get('version')!r}, this code reads {kind.version}; prepare again"
        )
    try:
        return parse(stated)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); {again}") from error
