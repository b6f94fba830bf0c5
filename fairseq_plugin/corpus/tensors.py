"""Token tensors of the ScaleGrad and unlikelihood releases (``train_tokens_bpe_gpt2.pt`` ...): GPT-2's ids.

Accepted: a tensor of integers with one dimension, or two (rows in order); a list of ints; a list of
one-dimensional tensors. All are one stream of ids in which 50256 ends a document; nothing else does.
"""

import codecs
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from fairseq_plugin.corpus.encode import Encoded
from fairseq_plugin.corpus.inputs import Inputs
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.storage.torch_archive import check_archive, in_memory, load_archive
from fairseq_plugin.text.base import Codec

CHUNK = 1 << 18  # ids
WHAT = "file of tensors"


@dataclass(frozen=True)
class TensorFile:
    """A file of tokens that was read once, into memory.

    Attributes:
        path: the file.
        content: what it holds.
        sha256, size: of the bytes that were read.
        has_checksums: False for the format of torch before 1.6: damage in it cannot be seen.
    """

    path: Path
    content: object
    sha256: str
    size: int
    has_checksums: bool

    def stated(self) -> dict[str, str | int]:
        """Name, hash and size for the manifest."""
        return {"path": self.path.name, "sha256": self.sha256, "bytes": self.size}


def read_tensors(inputs: Inputs, codec: Codec, indices: NDArray[np.int64]) -> Iterator[Encoded]:
    """The token streams of all files.

    Raises:
        UserError: a file that holds no tokens or is damaged, naming the file, the position, the value and the
            mend.
    """
    for split, (path,) in inputs.files.items():
        file = load_file(path)
        inputs.read(split, file)
        if not file.has_checksums:
            inputs.notes.append(
                f"{split}: {path.name} is in torch's old format, which has no checksums: whether it is whole "
                f"cannot be told; SHA-256 of what was read: {file.sha256}"
            )
        counter, last = TextCounter(codec), None
        for chunk in tokens_of(file, codec.num_ids):
            last = int(chunk[-1])
            yield _encoded(split, chunk, codec, indices, counter)
        if last is None:
            raise UserError(f"{path} holds no tokens: the {split} split would be empty")
        if last != codec.end_id:
            inputs.notes.append(f"{split}: the last document has no end token ({codec.end_id}); it got one")
            yield _encoded(split, np.array([codec.end_id]), codec, indices, counter)


def _encoded(
    split: str, ids: NDArray[np.int64], codec: Codec, indices: NDArray[np.int64], counter: "TextCounter"
) -> Encoded:
    ends = np.flatnonzero(ids == codec.end_id) + 1
    counts = np.zeros(3, dtype=np.int64)
    for part in np.split(ids, ends):
        counts += counter.count(part)
    tokens = indices[ids]
    assert (tokens[ends - 1] == EOS).all()
    return Encoded(split, tokens, ends, *counts.tolist())


class TextCounter:
    """Bytes, characters and words of the text that ids stand for, in whatever parts they come."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._in_word = False

    def count(self, ids: NDArray[np.int64]) -> tuple[int, int, int]:
        """``(bytes, characters, words)`` to add for ids that hold at most one end, which is the last."""
        ends = len(ids) > 0 and ids[-1] == self._codec.end_id
        content = self._codec.join(ids.tolist())
        text = self._decoder.decode(content, final=bool(ends))
        words = len(text.split()) - (self._in_word and bool(text) and not text[0].isspace())
        if text:
            self._in_word = not text[-1].isspace()
        if ends:
            self._decoder.reset()
            self._in_word = False
        return len(content), len(text), words


def tokens_of(file: TensorFile, num_ids: int) -> Iterator[NDArray[np.int64]]:
    """The ids of a file in chunks, checked: ids are 0 .. num_ids - 1."""
    for part in _parts(file.path, file.content):
        ids = part.ids
        wrong = np.flatnonzero((ids < 0) | (ids >= num_ids))
        if len(wrong):
            raise _not_an_id(file.path, part.where(int(wrong[0])), int(ids[wrong[0]]), num_ids)
        for start in range(0, len(ids), CHUNK):
            yield ids[start : start + CHUNK]


def load_file(path: Path) -> TensorFile:
    """Read a file of tensors once; only tensors, numbers and lists are loaded, nothing is run.

    The releases of 2019 are in torch's old format: it is read too, without checksums to verify.
    """
    with in_memory(path) as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = stream.tell()
        stream.seek(0)
        is_archive = stream.read(2) == b"PK"
        stream.seek(0)
        if is_archive:
            check_archive(stream, path, WHAT, "fetch it again")
            content = load_archive(stream, path, WHAT)
        else:
            content = _load_old(stream, path)
    return TensorFile(path, content, digest, size, is_archive)


def _load_old(stream: BinaryIO, path: Path) -> object:
    try:
        return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a hostile or torn file makes of it
        reason = str(error).strip().split("\n")[0]
    raise UserError(
        f"{path} is not a {WHAT} that loads without running code ({reason[:120]}); "
        "save a tensor of ids with torch.save"
    )


@dataclass(frozen=True)
class _Part:
    """Consecutive ids of a file, and what to call a position in them."""

    where: Callable[[int], str]
    ids: NDArray[np.int64]


def _parts(path: Path, value: object) -> Iterator[_Part]:
    if isinstance(value, torch.Tensor):
        if value.ndim == 2:
            width = value.shape[1]
            yield _Part(
                lambda at: f"row {at // width}, column {at % width}", _integers(path, value.reshape(-1))
            )
        else:
            yield _Part(lambda at: f"position {at}", _integers(path, value))
        return
    if not isinstance(value, (list, tuple)):
        raise UserError(
            f"{path} holds a {type(value).__name__}, not token ids; expected a tensor of integers, a list of "
            "ints or a list of one-dimensional tensors"
        )
    if value and isinstance(value[0], torch.Tensor):
        for number, entry in enumerate(value):
            if not isinstance(entry, torch.Tensor):
                raise _not_an_integer(path, f"entry {number}", entry)
            yield _Part(
                lambda at, number=number: f"entry {number}, position {at}",
                _integers(path, entry, f"entry {number}: "),
            )
        return
    for start in range(0, len(value), CHUNK):
        part = value[start : start + CHUNK]
        for offset, token in enumerate(part):
            if type(token) is not int or not -(2**63) <= token < 2**63:
                raise _not_an_integer(path, f"position {start + offset}", token)
        yield _Part(lambda at, start=start: f"position {start + at}", np.array(part, dtype=np.int64))


def _integers(path: Path, tensor: torch.Tensor, where: str = "") -> NDArray[np.int64]:
    if tensor.ndim != 1:
        raise UserError(
            f"{path}: {where}a tensor of shape {tuple(tensor.shape)} is not a stream of token ids; expected "
            "one dimension, or two with the rows in order"
        )
    if tensor.is_floating_point() or tensor.is_complex() or str(tensor.dtype) == "torch.bool":
        first = f", the first value is {tensor[0].item()}" if len(tensor) else ""
        raise UserError(
            f"{path}: {where}position 0: the tensor is {str(tensor.dtype).removeprefix('torch.')}{first}: "
            "token ids are integers; save them as int64"
        )
    return tensor.numpy().astype(np.int64, copy=False)


def _not_an_integer(path: Path, where: str, value: object) -> UserError:
    shown = repr(value)
    return UserError(
        f"{path}, {where}: {shown[:60]} ({type(value).__name__}) is not a token id; "
        "expected integers throughout"
    )


def _not_an_id(path: Path, where: str, value: int, num_ids: int) -> UserError:
    return UserError(
        f"{path}, {where}: {value} is not an id of GPT-2's BPE, which has 0 .. {num_ids - 1} (the last "
        "ends a document); save the tokens with that tokenizer, or give --gpt2-bpe the right one"
    )
