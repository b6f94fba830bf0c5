"""Text files as they are: UTF-8 or an error that says where, nothing translated, nothing kept in memory."""

import codecs
import fnmatch
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.not_utf8 import NotUtf8
from fairseq_plugin.text.wide import refusal, wide_encoding

BLOCK = 1 << 20  # bytes
PATTERN = "*.txt"


class TextFile:
    """One text file, read once from its beginning to its end.

    Attributes:
        path: the file.
        size: bytes read so far.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.size = 0
        self._lines, self._line_start = 0, 0  # ended so far; where the line began that goes on
        self._hash = hashlib.sha256()

    def blocks(self) -> Iterator[str]:
        """Yield the text in blocks of about ``BLOCK`` bytes, no character cut.

        Raises:
            UserError: the file cannot be read, or is not UTF-8 (with line and byte, or named as
                UTF-16 or UTF-32).
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with open(self.path, "rb") as stream:
                while content := stream.read(BLOCK):
                    wide = wide_encoding(content) if not self.size else None
                    if wide is not None:
                        raise UserError(refusal(self.path, wide))
                    yield from self._decode(decoder, content)
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error
        yield from self._decode(decoder, b"")

    def _decode(self, decoder: codecs.IncrementalDecoder, content: bytes) -> Iterator[str]:
        begun = len(decoder.getstate()[0])  # bytes of a character that the block before began
        try:
            text = decoder.decode(content, final=not content)
        except UnicodeDecodeError as error:
            before = self.size - begun - self._line_start
            raise UserError(NotUtf8.of(error, self._lines + 1, before).refusal(self.path)) from error
        if (last := content.rfind(b"\n")) >= 0:
            self._lines, self._line_start = self._lines + content.count(b"\n"), self.size + last + 1
        self.size += len(content)
        self._hash.update(content)
        if text:
            yield text

    def stated(self) -> dict[str, str | int]:
        """Name, hash and size for the manifest, once the file has been read."""
        return {"path": self.path.name, "sha256": self._hash.hexdigest(), "bytes": self.size}


@dataclass(frozen=True)
class Found:
    """Files with content, and empty files of a folder."""

    files: list[Path]
    empty: list[Path]


def text_files(path: str | os.PathLike[str], flag: str, pattern: str = PATTERN) -> Found:
    """The files that a path of the command line stands for.

    Args:
        path: a text file, or a folder: the files in it, and below it, whose names fit ``pattern``, in the
            order of their paths. What begins with a dot (``.git``) is passed over, and so are links.
        flag: what to name in errors.
        pattern: of a shell, several with commas: ``*.md,*.txt``.

    Raises:
        UserError: nothing there, or nothing in it.
    """
    path = Path(path)
    if path.is_dir():
        found = _files_below(path, [one.strip() for one in pattern.split(",")])
        if not found:
            raise UserError(
                f"{flag} {path}: the folder holds no {pattern}; name a file, or other names by --pattern, "
                "such as '*.md,*.py'"
            )
        files = [child for child in found if child.stat().st_size]
        if not files:
            raise UserError(f"{flag} {path}: all {len(found)} files ({pattern}) of the folder are empty")
        return Found(files, [child for child in found if not child.stat().st_size])
    if not path.exists():
        raise UserError(f"{flag} {path}: no such file or folder")
    if path.is_file() and not path.stat().st_size:
        raise UserError(f"{flag} {path}: the file is empty; a split needs at least one character")
    return Found([path], [])


def _files_below(folder: Path, patterns: list[str]) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        fitting = (name for name in names if any(fnmatch.fnmatchcase(name, one) for one in patterns))
        paths = (Path(place) / name for name in fitting if not name.startswith("."))
        found += [child for child in paths if child.is_file() and not child.is_symlink()]
    return sorted(found)
