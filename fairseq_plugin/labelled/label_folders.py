"""``input0/`` and ``label/``: labelled examples as fairseq's ``sentence_prediction`` task reads them."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fairseq_plugin.files import atomic_write
from fairseq_plugin.labelled.binary import write_items
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, NUM_SPECIALS, index_of_id
from fairseq_plugin.storage.folders import whole_folder
from fairseq_plugin.storage.splits import read_verified
from fairseq_plugin.text.codec import load_codec


def write_label_folders(
    destination: str | os.PathLike[str],
    examples: Mapping[str, Sequence[tuple[int, str]]],
    folder: str | os.PathLike[str],
) -> None:
    """Write ``input0/`` and ``label/``.

    Args:
        destination: the folder to make or replace.
        examples: ``{split: [(label index, text), ...]}``.
        folder: a prepared folder: its tokenizer, dictionary and labels are used.
    """
    manifest, codec = Manifest.load(folder), load_codec(folder)
    indices = index_of_id(codec)
    names = label_symbols([label.name for label in manifest.labels])
    with whole_folder(destination) as building:
        (building / "input0").mkdir()
        (building / "label").mkdir()
        for split, pairs in examples.items():
            encoded = codec.encode_batch([text for _, text in pairs])
            items = [np.append(indices[ids], EOS) for ids in encoded]
            write_items(building / "input0", split, items, manifest.vocabulary)
            labels = [np.array([NUM_SPECIALS + label, EOS]) for label, _ in pairs]
            write_items(building / "label", split, labels, NUM_SPECIALS + len(names))
        with atomic_write(building / "input0" / DICTIONARY, "wb") as stream:
            stream.write(read_verified(Path(folder), DICTIONARY, manifest.files, "data"))
        with atomic_write(building / "label" / DICTIONARY) as stream:
            counts = Counter(label for label, _ in examples.get("train", ()))
            for index, name in enumerate(names):
                stream.write(f"{name} {counts[index]}\n")


def label_symbols(names: Sequence[str]) -> list[str]:
    """Names usable in a ``dict.txt``, which splits at whitespace; else positions, for all."""
    taken = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"}
    is_plain = all(name.split() == [name] and name not in taken for name in names)
    return list(names) if is_plain else [f"label{index}" for index in range(len(names))]
