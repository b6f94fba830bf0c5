"""A small made text as a prepared folder, and tiny networks over its dictionary."""

import hashlib
import random

import numpy as np
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.evaluation.split_text import load_split
from fairseq_plugin.evaluation.systems import System
from fairseq_plugin.pretrained.vocabulary import banned_symbols
from fairseq_plugin.storage.dictionary import EOS, NUM_SPECIALS, dictionary_ids, index_of_id, write_dictionary
from fairseq_plugin.storage.items import ItemWriter
from fairseq_plugin.text.codec import train_bytes_codec

WORDS = "the cat a dog sat ran on under mat tree , . and then it saw nobody ünïcode 日本".split()


def documents(number, seed):
    """Made documents of 5 to 60 words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(5, 60))) + "\n" for _ in range(number)]


def write_folder(folder, splits=(("train", 60), ("valid", 12), ("test", 25)), vocab_size=300):
    """Write a prepared text folder by hand; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {split: documents(number, seed) for seed, (split, number) in enumerate(splits)}
    codec = train_bytes_codec(texts[splits[0][0]], vocab_size)
    codec.save(folder)
    vocabulary = NUM_SPECIALS + len(dictionary_ids(codec))
    write_dictionary(folder, dictionary_ids(codec), np.ones(vocabulary))
    stated = {}
    for split, rows in texts.items():
        items = [np.array([*index_of_id(codec)[codec.encode(row)], EOS]) for row in rows]
        with ItemWriter(folder / split, vocabulary) as writer:
            writer.add(np.concatenate(items), [len(item) for item in items])
        joined = "".join(rows)
        stated[split] = {
            "documents": len(rows), "tokens": sum(map(len, items)), "bytes": len(joined.encode()),
            "characters": len(joined), "words": len(joined.split()), "longest": max(map(len, items)),
        }  # fmt: skip
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }
    source = {"files": {}, "split": None}
    TextManifest(codec.kind, vocabulary, "line", stated, source, files).save(folder)
    return folder


def tiny_gpt2(text, seed=0, n_positions=64, scale=8.0):
    """A random network; large weights, so that its predictions are far from uniform."""
    torch.manual_seed(seed)
    config = GPT2Config(len(text.symbols), n_positions=n_positions, n_embd=32, n_layer=2, n_head=2)
    gpt2 = GPT2(config).eval()
    with torch.no_grad():
        for parameter in gpt2.parameters():
            if parameter.dim() == 2:
                parameter.mul_(scale)
    gpt2.banned = torch.tensor(banned_symbols(text.symbols, NUM_SPECIALS, EOS, text.codec.end_id))
    return gpt2


def system(text, name="tiny", seed=0, **sizes):
    """A :class:`System` that was never on disk."""
    return System(name, name, f"{name} {seed} {sizes}", tiny_gpt2(text, seed, **sizes))


def small_text(folder, split="test"):
    """The split of a folder written here."""
    return load_split(write_folder(folder), split)
