"""A journal: JSON lines that are only ever appended, each on disk before the work goes on.

    {"format": "completions", "version": 2, "settings": {...}, "check": "5d41402abc4b2a76"}
    {"id": 0, "continuation": [3, 1, 4], "check": "7d793037a0760186"}

``check`` is the SHA-256 of the line's other content and of the check before it (16 digits): a flipped bit, a
line that is missing in the middle, doubled or moved is seen. What a kill can do is to tear the last line; it
is cut off with a warning. Lines that are missing at the end leave no trace: who needs to know that a journal
is complete counts its entries, or appends a last entry that says so.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, writing_errors

CHECK = "check"

logger = logging.getLogger(__name__)


class Journal:
    """A journal of one kind of entries made with one set of settings. Write from one process at a time.

    Attributes:
        path: the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], format: str, version: int, settings: Mapping[str, Any]
    ) -> None:
        """
        Args:
            path: the file; its folder is made by :meth:`read`.
            format, version: of the entries, as they stand in the first line.
            settings: what the entries were made with, JSON values; a file made with others is refused.
        """
        self.path = Path(path)
        self._head = {"format": format, "version": version, "settings": json.loads(json.dumps(settings))}
        self._check: str | None = None  # of the last line; None before read()

    def read(self) -> list[dict[str, Any]]:
        """The whole entries so far, in order; begins the file where there is none, and cuts off a torn line.

        Raises:
            UserError: other settings, or a damaged line; the message names it.
        """
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        first, first_check = sealed(self._head, "")
        if whole:
            (stated, *entries), self._check = _verified(self.path, whole)
            self._require_same(stated)
        elif first.startswith(content):
            whole, entries, self._check = first, [], first_check
        else:
            raise UserError(f"{self.path} is not a journal of ours; move it away, or name another folder")
        if content != whole:
            if content:
                logger.warning("%s: a torn last line is cut off", self.path)
            with writing_errors(self.path, self.path.parent):
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path, "wb") as stream:
                stream.write(whole)
        return entries

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add entries, on disk when this returns; call :meth:`read` once before.

        Args:
            entries: JSON objects without a key ``check``.

        Raises:
            CannotWriteError: the disk is full, say. What was there before is whole.
        """
        if self._check is None:
            raise RuntimeError("read() comes before append(): it tells what is there")
        lines, check = [], self._check
        for entry in entries:
            line, check = sealed(entry, check)
            lines.append(line)
        # No buffer: what is left in one would be written on closing, after the file was cut.
        with writing_errors(self.path), open(self.path, "ab", buffering=0) as stream:
            size = stream.tell()
            try:
                content = memoryview(b"".join(lines))
                while content:
                    content = content[stream.write(content) :]
                os.fsync(stream.fileno())
            except BaseException:
                os.truncate(self.path, size)  # half a batch would have to be cut off later
                raise
        self._check = check

    def _require_same(self, stated: dict[str, Any]) -> None:
        if stated == self._head:
            return
        ours, theirs = self._head["settings"], stated.get("settings")
        differing = ""
        if isinstance(theirs, dict):
            names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
            differing = ", ".join(f"{name} {theirs.get(name)!r}, now {ours.get(name)!r}" for name in names)
        raise UserError(
            f"{self.path} was made with other settings ({differing or 'another format or version'}); "
            "remove it, or name another folder"
        )


def read_journal(
    path: str | os.PathLike[str], may_be_torn: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first line and the entries of any journal, for who only reads; the file is not touched.

    Args:
        path: the file.
        may_be_torn: leave out a last line that was not written to its end, instead of refusing it.

    Raises:
        UserError: an empty, torn or damaged file; the message names the line.
    """
    content = Path(path).read_bytes()
    whole = content if content.endswith(b"\n") else content + b"\n"
    if may_be_torn and not content.endswith(b"\n"):
        whole = content[: content.rfind(b"\n") + 1] or whole
    (head, *entries), _ = _verified(Path(path), whole)
    return head, entries


def _verified(path: Path, whole: bytes) -> tuple[list[dict[str, Any]], str]:
    """All lines without their checks, every check verified; and the last check."""
    found: list[dict[str, Any]] = []
    check = ""
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            stated = json.loads(line)
            del stated[CHECK]
            again, check = sealed(stated, check)
        except (ValueError, KeyError, TypeError, RecursionError):
            again = b""
        if again != line + b"\n":  # holds the check too
            raise UserError(
                f"{path}, line {number} is damaged: its checksum does not hold; restore the file, or remove "
                "it and what it holds is made again"
            )
        found.append(stated)
    return found, check


def sealed(entry: Mapping[str, Any], check_before: str) -> tuple[bytes, str]:
    """An entry's line with its check, and the check.

    Args:
        entry: a JSON object.
        check_before: of the line before; "" for the first.
    """
    body = json.dumps({**entry}, ensure_ascii=True)
    check = hashlib.sha256(f"{check_before}\n{body}".encode()).hexdigest()[:16]
    end = ", " if len(entry) else ""
    return f'{body[:-1]}{end}"{CHECK}": "{check}"}}\n'.encode(), check
