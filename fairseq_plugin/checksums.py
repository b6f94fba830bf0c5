"""``checksums.json``: the SHA-256 of every file of a folder that we exported, so that damage is seen.

Weights in safetensors carry no checksum of their own: a flipped bit is another number there, and nobody can
tell.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256

NAME = "checksums.json"
VERSION = 1


@dataclass(frozen=True)
class Checksums:
    """What a folder's ``checksums.json`` states; of a folder that has none, nothing.

    Attributes:
        folder: the folder.
        digests: SHA-256 of each file by name, empty where the folder has no such record.
    """

    folder: Path
    digests: Mapping[str, str] = field(default_factory=dict)

    def check(self, name: str, digest: str) -> None:
        """Compare a file with the record, if there is one.

        Args:
            name: of the file in the folder.
            digest: SHA-256 of the bytes that were read.

        Raises:
            UserError: it is another file than the one that was written.
        """
        if self.digests and self.digests.get(name) != digest:
            raise UserError(
                f"{self.folder / name} is not the file that was written: its SHA-256 differs from {NAME}; "
                f"restore it, export it again, or remove {NAME} if it was changed on purpose"
            )

    def check_all(self) -> None:
        """Compare every recorded file.

        Raises:
            UserError: one is missing, or another file than the one that was written.
        """
        for name in self.digests:
            path = self.folder / name
            self.check(name, sha256(path) if path.is_file() else "missing")


def write_checksums(folder: Path, leave_out: tuple[str, ...] = ()) -> None:
    """Record every file of a folder but those named in ``leave_out``."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    digests = {name: sha256(folder / name) for name in names if name not in leave_out}
    stated = {"version": VERSION, "sha256": digests}
    (folder / NAME).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")


def read_checksums(folder: str | os.PathLike[str]) -> Checksums:
    """The record of a folder, maybe an empty one.

    Raises:
        UserError: it is damaged.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        return Checksums(Path(folder))
    try:
        stated = json.loads(path.read_bytes())
        version, digests = stated["version"], stated["sha256"]
        if version != VERSION or not digests:
            raise ValueError(f"version {version!r}")
        if any(len(digest) != 64 or Path(name).name != name for name, digest in digests.items()):
            raise ValueError("names or digests")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({error!r}): restore it, export the folder again, or remove it to read the "
            "folder unchecked"
        ) from error
    return Checksums(Path(folder), digests)
