"""A small GPT-2 in Hugging Face's form, with a byte-level BPE of its own."""

import functools
from pathlib import Path

from fairseq_plugin.core.gpt2 import GPT2Config
from fairseq_plugin.pretrained.hf_tokenizer import num_ids_of, write_tokenizer
from fairseq_plugin.text.codec import load_codec, train_bytes_codec
from tests.reference.gpt2_reference import hugging_face_model

# Some of its tokens end within a character: " é", " 好" and others begin with the same bytes.
TEXTS = [
    "good and très bien, is not",
    "père élève près",
    "好电影 好人 妈好",
    "yes no a b c d NA 12 1200",
] * 20


@functools.cache
def trained_bpe(vocab_size=420):
    return train_bytes_codec(TEXTS, vocab_size)


def made_gpt2(folder: Path, positions=96, codec=None):
    """Write the folder; its tokenizer, as it is read again."""
    codec = codec or trained_bpe()
    config = GPT2Config(num_ids_of(codec), positions, 16, 1, 2, 0.0)
    hugging_face_model(config).save_pretrained(folder)
    write_tokenizer(codec, folder, positions)
    return load_codec(folder)
