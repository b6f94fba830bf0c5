"""Tensors by name from the weight files of a Hugging Face folder, whichever kind they are.

Every file is copied once into memory; what is hashed, verified and loaded is that copy. Nothing here runs
code from a file: safetensors holds none, and ``pytorch_model.bin`` is unpickled with ``weights_only=True``.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch
from safetensors import safe_open

from fairseq_plugin.checksums import Checksums
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import read_json
from fairseq_plugin.storage.torch_archive import (
    check_archive,
    in_memory,
    is_archive,
    load_archive,
    name_in_memory,
)

SAFETENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"
PICKLED_INDEX = "pytorch_model.bin.index.json"
# In the order in which they are looked for.
_SINGLE, _SHARDED = (SAFETENSORS, PICKLED), (INDEX, PICKLED_INDEX)
_MEND = "fetch or export the folder again"


@dataclass(frozen=True)
class TensorFiles:
    """The tensors of a folder, read one at a time.

    Attributes:
        shapes: of all of them, by name.
        read: from a name to its tensor.
        digests: SHA-256 of each file that was read, by its name.
        is_checked: every file has a checksum, and it held.
    """

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], torch.Tensor]
    digests: Mapping[str, str]
    is_checked: bool

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.read(name)

    def provenance(self) -> str:
        """What was read, and what is known of it, in half a sentence."""
        files = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in self.digests.items())
        if self.is_checked:
            return f"{files}; all checksums hold"
        return f"{files}; weights of this format have no checksum: compare the SHA-256 with the publisher's"


@dataclass(frozen=True)
class WeightFiles:
    """The weight files of a folder.

    Attributes:
        paths: the files.
        index: the file that says which of several files holds a tensor; None for a single file.
        weight_map: the name of the file of each tensor, as the index states it.
    """

    paths: list[Path]
    index: Path | None
    weight_map: Mapping[str, str]

    def num_bytes(self) -> int:
        """The size of all files together."""
        return sum(path.stat().st_size for path in self.paths)


def find_files(folder: Path, checksums: Checksums) -> WeightFiles:
    """The weight files of a folder: safetensors before a pickle, one file before shards.

    Raises:
        UserError: there are none, or one that the index names is missing.
    """
    for single, index in zip(_SINGLE, _SHARDED, strict=True):
        if (folder / single).is_file():
            return WeightFiles([folder / single], None, {})
        if (folder / index).is_file():
            weight_map = _weight_map(folder / index, checksums)
            paths = [folder / name for name in sorted(set(weight_map.values()))]
            return WeightFiles(paths, folder / index, weight_map)
    raise UserError(
        f"{folder} holds none of {', '.join((*_SINGLE, *_SHARDED))}; name a Hugging Face GPT-2 folder"
    )


def open_folder(folder: Path, checksums: Checksums) -> TensorFiles:
    """Read the weight files of a folder.

    Args:
        folder: the folder.
        checksums: the folder's record, with which every file is compared.

    Raises:
        UserError: there are none, or one is damaged; names it.
    """
    files = find_files(folder, checksums)
    opened = [_open(path, checksums) for path in files.paths]
    owner: dict[str, TensorFiles] = {}
    for one in opened:
        for name in one.shapes.keys() & owner.keys():
            raise UserError(f"{folder}: {name!r} is in two files; {_MEND}")
        owner.update(dict.fromkeys(one.shapes, one))
    if files.index is not None:
        for name in sorted(owner.keys() ^ files.weight_map.keys()):
            raise UserError(f"{files.index} and its files disagree about {name!r}; {_MEND}")
    return TensorFiles(
        shapes={name: one.shapes[name] for name, one in owner.items()},
        read=lambda name: owner[name][name],
        digests={name: digest for one in opened for name, digest in one.digests.items()},
        is_checked=all(one.is_checked for one in opened),
    )


def _weight_map(index: Path, checksums: Checksums) -> dict[str, str]:
    """The file of each tensor, as an index states it."""
    where = read_json(index, checksums).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise UserError(f"{index} has no weight_map; {_MEND}")
    for name in sorted({str(file) for file in where.values()}):
        # A name with a folder in it could point anywhere on this machine.
        if Path(name).name != name or not (index.parent / name).is_file():
            raise UserError(f"{index}: there is no file {name!r} beside it; {_MEND}")
    return {str(name): str(file) for name, file in where.items()}


def _open(path: Path, checksums: Checksums) -> TensorFiles:
    before = _signature(path)
    with in_memory(path) as stream:
        if _signature(path) != before:  # half of it could be newer
            raise UserError(f"{path} was written while it was read; read it again, or a copy of it")
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        checksums.check(path.name, digest)
        if path.suffix == ".safetensors":
            shapes, read = _open_safetensors(path, stream)
            return TensorFiles(shapes, read, {path.name: digest}, bool(checksums.digests))
        has_checksums = is_archive(stream)  # torch before 1.6 wrote none, and many old models are of that age
        if has_checksums:
            check_archive(stream, path, "weights file", _MEND)
        tensors = _load_pickled(path, stream)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        is_checked = has_checksums or bool(checksums.digests)
        return TensorFiles(shapes, tensors.__getitem__, {path.name: digest}, is_checked)


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None where there is none."""
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _open_safetensors(
    path: Path, stream: BinaryIO
) -> tuple[dict[str, tuple[int, ...]], Callable[[str], torch.Tensor]]:
    with _named_errors(path):
        name = name_in_memory(stream)
        if name is None:
            tensors = safetensors.torch.load(stream.read())
            return {key: tuple(tensor.shape) for key, tensor in tensors.items()}, tensors.__getitem__
        file = safe_open(name, framework="pt").__enter__()  # mapped: it outlives the stream
        found = {key: tuple(file.get_slice(key).get_shape()) for key in list(file.keys())}

    def read(key: str) -> torch.Tensor:
        with _named_errors(path):
            return file.get_tensor(key)

    return found, read


def _load_pickled(path: Path, stream: BinaryIO) -> dict[str, torch.Tensor]:
    tensors = load_archive(stream, path, "weights file")
    if not isinstance(tensors, dict) or not all(
        isinstance(value, torch.Tensor) for value in tensors.values()
    ):
        raise UserError(f"{path} holds no tensors by name; export the model again, as {SAFETENSORS}")
    return {str(name): value for name, value in tensors.items()}


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    # safetensors raises its own errors, KeyError, ValueError, RuntimeError and more for a damaged file: at
    # this border each of them means the same.
    try:
        yield
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{path} cannot be read, it is damaged or of another kind: {reason}") from error
