"""The front door: load a codec from wherever its files are, or make one."""

import hashlib
import json
import os
from pathlib import Path

from fairseq_plugin.checksums import read_checksums
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.base import META, VERSION, Codec, read_file
from fairseq_plugin.text.byte_level import bytes_codec, gpt2_codec, train_bytes_codec
from fairseq_plugin.text.pieces import MODEL, SentencePieceCodec, load_sentencepiece, train_sentencepiece

__all__ = [
    "Codec", "gpt2_codec", "load_codec", "load_sentencepiece", "train_bytes_codec", "train_sentencepiece",
]  # fmt: skip

FILES = {
    "gpt2": ("encoder.json", "vocab.bpe"),
    "bytes": ("vocab.json", "merges.txt"),
    "sentencepiece": (MODEL,),
}


def load_codec(path: str | os.PathLike[str]) -> Codec:
    """The codec of a prepared data folder, a tokenizer folder or a ``.model`` file.

    Args:
        path: a folder with ``codec.json`` (hashes are checked), with ``encoder.json`` +
            ``vocab.bpe``, or with Hugging Face GPT-2's ``vocab.json`` + ``merges.txt``; or a
            ``codec.json`` or sentencepiece ``.model`` file.

    Raises:
        UserError: nothing there, nothing known there, or a file that is not the one saved.
    """
    path = Path(path)
    if path.is_file():
        return load_codec(path.parent) if path.name == META else load_sentencepiece(path)
    if not path.is_dir():
        raise UserError(f"no tokenizer at {path}: give a prepared data folder or a .model file")
    if (path / META).is_file():
        return _load_saved(path)
    for encoder, merges in (FILES["gpt2"], FILES["bytes"]):
        if (path / encoder).is_file() and (path / merges).is_file():
            contents = [read_file(path / encoder), read_file(path / merges)]
            recorded = read_checksums(path)  # of a folder that we exported
            for name, content in zip((encoder, merges), contents, strict=True):
                recorded.check(name, hashlib.sha256(content).hexdigest())
            return gpt2_codec(path / encoder, path / merges, contents)
    if (path / MODEL).is_file():
        return load_sentencepiece(path / MODEL)
    raise UserError(
        f"{path} holds no tokenizer: expected codec.json, encoder.json + vocab.bpe, "
        f"vocab.json + merges.txt, or {MODEL}"
    )


def _load_saved(folder: Path) -> Codec:
    """A codec written by :meth:`Codec.save`, its files checked against their hashes."""
    meta = folder / META
    try:
        stated = json.loads(read_file(meta))
        kind, hashes, version = stated["kind"], stated["files"], stated["version"]
        names = FILES[kind]
        expected = [hashes[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{meta} is damaged ({error!r}); prepare the data again") from error
    if version != VERSION:
        raise UserError(f"{meta} has version {version}, this code reads {VERSION}; prepare the data again")
    contents = [read_file(folder / name) for name in names]
    for name, content, digest in zip(names, contents, expected, strict=True):
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(
                f"{folder / name} is not the file this data was prepared with: its SHA-256 differs from "
                f"{META}; restore it, or prepare the data again"
            )
    if kind == "gpt2":
        return gpt2_codec(folder / names[0], folder / names[1], contents)
    if kind == "bytes":
        return bytes_codec(folder / names[0], folder / names[1], contents)
    return SentencePieceCodec(contents[0], folder / names[0])
