"""Token tensors of the ScaleGrad and unlikelihood releases (``train_tokens_bpe_gpt2.pt`` ...): GPT-2's ids.

Accepted: a tensor of integers with one dimension, or two (rows in order); a list of ints; a list of
one-dimensional tensors. All are one stream of ids in which 50256 ends a document; nothing else does.
"""

import codecs

import numpy as np

from fairseq_plugin.corpus.encode import Encoded
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.storage.dictionary import EOS

CHUNK = 1 << 18  # ids


class TensorFile:
    """A file of tokens, as the manifest states it."""

    def __init__(self, path):
        self.path = path

    def stated(self):
        return {"path": self.path.name, "sha256": sha256(self.path), "bytes": self.path.stat().st_size}


def read_tensors(inputs, codec, indices):
    """Yield :class:`Encoded` of all files of :class:`~fairseq_plugin.corpus.inputs.Inputs`.

    Raises:
        UserError: a file that is no tokens, naming the file, the position, the value and the mend.
    """
    for split, (path,) in inputs.files.items():
        inputs.read(split, TensorFile(path))
        counter, last = TextCounter(codec), None
        for chunk in load_tokens(path, codec.num_ids):
            last = int(chunk[-1])
            yield _encoded(split, chunk, codec, indices, counter)
        if last is None:
            raise UserError(f"{path} holds no tokens: the {split} split would be empty")
        if last != codec.end_id:
            inputs.notes.append(f"{split}: the last document has no end token ({codec.end_id}); it got one")
            yield _encoded(split, np.array([codec.end_id]), codec, indices, counter)


def _encoded(split, ids, codec, indices, counter):
    ends = np.flatnonzero(ids == codec.end_id) + 1
    counts = np.zeros(3, dtype=np.int64)
    for part in np.split(ids, ends):
        counts += counter.count(part)
    tokens = indices[ids]
    assert (tokens[ends - 1] == EOS).all()
    return Encoded(split, tokens, ends, *counts.tolist())


class TextCounter:
    """Bytes, characters and words of the text that ids stand for, in whatever parts they come."""

    def __init__(self, codec):
        self._codec = codec
        self._begin()

    def _begin(self):
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._in_word = False

    def count(self, ids):
        """``(bytes, characters, words)`` to add for ids that hold at most one end, which is the last."""
        ends = len(ids) > 0 and ids[-1] == self._codec.end_id
        content = self._codec.join(ids.tolist())
        text = self._decoder.decode(content, final=bool(ends))
        words = len(text.split()) - (self._in_word and bool(text) and not text[0].isspace())
        if text:
            self._in_word = not text[-1].isspace()
        if ends:
            self._begin()
        return len(content), len(text), words


def load_tokens(path, num_ids):
    """Yield the ids of a file in chunks, int64 arrays, checked.

    Args:
        path: a ``.pt`` file; only tensors, numbers and lists are loaded, nothing is run.
        num_ids: ids are 0 .. num_ids - 1.
    """
    for where, ids in _parts(path, _load(path)):
        wrong = np.flatnonzero((ids < 0) | (ids >= num_ids))
        if len(wrong):
            raise _no_id(path, where(int(wrong[0])), int(ids[wrong[0]]), num_ids)
        for start in range(0, len(ids), CHUNK):
            yield ids[start : start + CHUNK]


def _load(path):
    import torch

    for mmap in (True, False):  # old files cannot be mapped
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        except Exception as error:  # whatever a hostile or torn file makes of it
            reason = str(error).strip().split("\n")[0]
    raise UserError(
        f"{path} is not a file of tensors that loads without running code ({reason[:120]}); "
        "save a tensor of ids with torch.save"
    )


def _parts(path, value):
    """Yield ``(function from position to words, int64 array)``."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.ndim == 2:
            width = value.shape[1]
            yield lambda at: f"row {at // width}, column {at % width}", _integers(path, value.reshape(-1))
        else:
            yield lambda at: f"position {at}", _integers(path, value)
        return
    if not isinstance(value, (list, tuple)):
        raise UserError(
            f"{path} holds a {type(value).__name__}, not token ids; expected a tensor of integers, a list of "
            "ints or a list of one-dimensional tensors"
        )
    if value and isinstance(value[0], torch.Tensor):
        for number, entry in enumerate(value):
            if not isinstance(entry, torch.Tensor):
                raise _no_integer(path, f"entry {number}", entry)
            yield (
                lambda at, number=number: f"entry {number}, position {at}",
                _integers(path, entry, f"entry {number}: "),
            )
        return
    for start in range(0, len(value), CHUNK):
        part = value[start : start + CHUNK]
        for offset, token in enumerate(part):
            if type(token) is not int:
                raise _no_integer(path, f"position {start + offset}", token)
            if not -(2**63) <= token < 2**63:
                raise _no_integer(path, f"position {start + offset}", token)
        yield lambda at, start=start: f"position {start + at}", np.array(part, dtype=np.int64)


def _integers(path, tensor, where=""):
    if tensor.ndim != 1:
        raise UserError(
            f"{path}: {where}a tensor of shape {tuple(tensor.shape)} is no stream of token ids; expected one "
            "dimension, or two with the rows in order"
        )
    if tensor.is_floating_point() or tensor.is_complex() or str(tensor.dtype) == "torch.bool":
        first = f", the first value is {tensor[0].item()}" if len(tensor) else ""
        raise UserError(
            f"{path}: {where}position 0: the tensor is {str(tensor.dtype).removeprefix('torch.')}{first}: "
            "token ids are integers; save them as int64"
        )
    return tensor.numpy().astype(np.int64, copy=False)


def _no_integer(path, where, value):
    shown = repr(value)
    return UserError(
        f"{path}, {where}: {shown[:60]} ({type(value).__name__}) is no token id; expected integers throughout"
    )


def _no_id(path, where, value, num_ids):
    return UserError(
        f"{path}, {where}: {value} is no id of GPT-2's BPE, which has 0 .. {num_ids - 1} (the last ends a "
        "document); save the tokens with that tokenizer, or give --gpt2-bpe the right one"
    )
