"""``manifest.json`` of a prepared folder, whatever it holds: written whole, and read without trust.

The last key, ``digest``, is the SHA-256 of everything else: a flipped bit anywhere in the file is seen. With
the SHA-256 of every other file, it makes the manifest vouch for the folder. Manifests of version 1 have
none: they are read with a warning.
"""

import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write

NAME = "manifest.json"
DIGEST = "digest"
VERSION = 2
WITHOUT_DIGEST = 1  # the version before there were digests

Parsed = TypeVar("Parsed")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """A kind of prepared folder, and how its errors speak of it.

    Attributes:
        format: as it is in the file.
        what: what is prepared: "data", "text".
        holds: what the manifest is one of: "labelled data".
        script: what prepares it.
        others: ``{format of another kind: what to do with such a folder}``.
    """

    format: str
    what: str
    holds: str
    script: str
    others: Mapping[str, str] = field(default_factory=dict)


def save_manifest(folder: str | os.PathLike[str], kind: Kind, stated: Mapping[str, Any]) -> None:
    """Write ``manifest.json`` into a folder; ``stated``: all but format, version and digest."""
    content = {"format": kind.format, "version": VERSION, **stated}
    with atomic_write(Path(folder) / NAME) as stream:
        json.dump(content | {DIGEST: digest_of(content)}, stream, indent=1, ensure_ascii=False)
        stream.write("\n")


def load_manifest(
    folder: str | os.PathLike[str], kind: Kind, parse: Callable[[dict[str, Any]], Parsed]
) -> Parsed:
    """Read the manifest of a prepared folder, its digest verified.

    Args:
        folder: the folder.
        kind: the kind expected.
        parse: from the file's dictionary to the manifest; KeyError, TypeError, AttributeError and ValueError
            say that it is damaged.

    Returns:
        What ``parse`` returns.

    Raises:
        UserError: missing folder or file, not ours, of another version or kind of data, or damaged.
    """
    path, again = Path(folder) / NAME, f"prepare the {kind.what} again"
    stated = _read(path, kind)
    found = stated.get("format") if isinstance(stated, dict) else None
    if isinstance(found, str) and found in kind.others:
        raise UserError(f"{folder} {kind.others[found]}")
    if not isinstance(stated, dict) or found != kind.format:
        raise UserError(f"{path} is not a manifest of {kind.holds}; use {kind.script}")
    version, digest = stated.get("version"), stated.pop(DIGEST, None)
    if version not in (VERSION, WITHOUT_DIGEST) or type(version) is not int:
        raise UserError(f"{path} has version {version!r}, this code reads {VERSION}; prepare again")
    if version == WITHOUT_DIGEST and digest is None:
        _warn_of_no_digest(path, again)
    elif digest != digest_of(stated):
        raise UserError(f"{path} is damaged: its checksum does not hold; restore it, or {again}")
    try:
        return parse(stated)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); {again}") from error


def _read(path: Path, kind: Kind) -> Any:
    if not path.parent.is_dir():
        raise UserError(f"no folder {path.parent}; prepare {kind.what} with {kind.script}")
    if not path.is_file():
        raise UserError(f"{path.parent} has no {NAME}: it is not prepared {kind.what}; use {kind.script}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {error}; prepare the {kind.what} again") from error


@functools.cache  # once for each folder, however often it is read
def _warn_of_no_digest(path: Path, again: str) -> None:
    logger.warning("%s is of an older version, without a checksum of its own; %s to get one", path, again)


def digest_of(stated: Mapping[str, Any]) -> str:
    """The SHA-256 of a JSON object, however it is laid out in its file."""
    content = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
