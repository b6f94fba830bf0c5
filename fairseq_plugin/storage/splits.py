"""One split of a prepared folder: its files agree with each other and with what the manifest states.

Who reads a file whole, hashes the bytes that are then used (:func:`read_verified`). Who hands a file to
fairseq, which maps it, checks it before (:func:`require_verified`): prepared folders are published whole
under their name and never written again, so what is mapped is what was hashed, but for damage in between.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.storage.dictionary import DICTIONARY
from fairseq_plugin.storage.items import parse_index, read_index, size_of
from fairseq_plugin.storage.manifest import NAME


class Counted(Protocol):
    """What any manifest counts of a split."""

    @property
    def tokens(self) -> int: ...


class Prepared(Protocol):
    """What any manifest states of its folder: counts by split, and ``{file name: sha256}``."""

    @property
    def splits(self) -> Mapping[str, Any]: ...

    @property
    def files(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Index:
    """An ``.idx``, read and checked.

    Attributes:
        sizes: int32 array, tokens of each item.
        dtype: integer type of the ``.bin``.
    """

    sizes: NDArray[np.int32]
    dtype: type[np.integer]

    @property
    def tokens(self) -> int:
        """Tokens of all items."""
        return int(self.sizes.sum(dtype=np.int64))


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split.

    Attributes:
        folder: the prepared folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        manifest: the folder's.
        what: what to prepare again when a file is damaged: "data", "text".
    """

    folder: Path
    split: str
    manifest: Prepared
    what: str

    def require_known(self) -> None:
        """Raises UserError when the manifest has no such split."""
        if self.split not in self.manifest.splits:
            known = ", ".join(self.manifest.splits)
            raise UserError(f"{self.folder} has no split {self.split!r}; it has {known}")

    def require_verified(self, suffixes: Iterable[str]) -> None:
        """Hash ``dict.txt`` and the files of these endings: finds any flipped bit."""
        names = (DICTIONARY, *(self.split + suffix for suffix in suffixes))
        require_verified(self.folder, names, self.manifest.files, self.what)

    def read_verified(self, suffix: str) -> bytes:
        """The bytes of ``SPLIT`` + suffix, hashed."""
        return read_verified(self.folder, self.split + suffix, self.manifest.files, self.what)

    def check(self) -> Index:
        """Refuse ``.idx`` and ``.bin`` that disagree with each other or with the manifest's token count."""
        index = Index(*read_index(self.folder / f"{self.split}.idx"))
        self._require_agreement(index, size_of(self.folder / f"{self.split}.bin"))
        return index

    def read(self) -> tuple[Index, NDArray[np.int64]]:
        """The index and the tokens of all items end to end, from bytes that were hashed."""
        index = Index(*parse_index(self.folder / f"{self.split}.idx", self.read_verified(".idx")))
        content = self.read_verified(".bin")
        self._require_agreement(index, len(content))
        return index, np.frombuffer(content, dtype=index.dtype).astype(np.int64)

    def _require_agreement(self, index: Index, num_bytes: int) -> None:
        stated = self.manifest.splits[self.split].tokens
        agree(self.folder / f"{self.split}.idx", "tokens", index.tokens, stated)
        expected = index.tokens * np.dtype(index.dtype).itemsize
        agree(self.folder / f"{self.split}.bin", "bytes", num_bytes, expected)


def require_verified(folder: Path, names: Iterable[str], digests: Mapping[str, str], what: str) -> None:
    """Refuse files whose SHA-256 is not the one stated, in bounded memory.

    Args:
        folder: a prepared folder.
        names: of the files.
        digests: ``{name: sha256}`` of its manifest.
        what: what to prepare again: "data", "text".
    """
    for name in names:
        size_of(folder / name)
        if sha256(folder / name) != digests.get(name):
            raise _differs(folder / name, what)


def read_verified(folder: Path, name: str, digests: Mapping[str, str], what: str) -> bytes:
    """The bytes of a file whose SHA-256 is the one stated; see :func:`require_verified`."""
    size_of(folder / name)
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != digests.get(name):
        raise _differs(folder / name, what)
    return content


def agree(path: Path, unit: str, found: int, expected: int) -> None:
    """Refuse a file whose content is not what its folder states."""
    if found != expected:
        raise UserError(
            f"{path} is damaged: {found} {unit} where {expected} were written; prepare the data again"
        )


def _differs(path: Path, what: str) -> UserError:
    return UserError(
        f"{path} is not the file that was prepared: its SHA-256 differs from the one in {NAME}; restore it, "
        f"or prepare the {what} again"
    )
