"""Our tokenizers as the files that transformers, and other readers of its folders, expect of a GPT-2."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.byte_level import END_OF_TEXT, parse_merges, parse_vocab

# codec kind -> its vocabulary and merges among codec.files
_BYTE_LEVEL = {"gpt2": ("encoder.json", "vocab.bpe"), "bytes": ("vocab.json", "merges.txt")}


def is_byte_level(codec: Codec) -> bool:
    """Whether Hugging Face's GPT-2 tokenizer can take this codec's place."""
    return codec.kind in _BYTE_LEVEL


def end_id_of(codec: Codec) -> int:
    """The id of ``<|endoftext|>`` in an exported model: the codec's own, or one after its last."""
    return codec.num_ids if codec.end_id is None else codec.end_id


def num_ids_of(codec: Codec) -> int:
    """Number of ids in an exported model's embedding table."""
    return max(codec.num_ids, end_id_of(codec) + 1)


def write_tokenizer(codec: Codec, folder: Path, n_positions: int) -> None:
    """Write a codec into a Hugging Face folder.

    A byte-level codec becomes ``vocab.json``, ``merges.txt``, ``tokenizer.json`` and their configs, readable
    by ``GPT2TokenizerFast``. A sentencepiece model is saved as it is: no GPT-2 reader takes it, feed it ids.

    Args:
        codec: the codec.
        folder: an existing folder.
        n_positions: the model's longest text, in tokens.
    """
    if not is_byte_level(codec):
        codec.save(folder)
        return
    vocab_name, merges_name = _BYTE_LEVEL[codec.kind]
    vocab = parse_vocab(codec.files[vocab_name], vocab_name)
    merges = parse_merges(codec.files[merges_name], merges_name)
    end_id = end_id_of(codec)
    if codec.end_id is None:
        if END_OF_TEXT in vocab:
            raise UserError(
                f"the tokenizer has an ordinary token {END_OF_TEXT!r}: a Hugging Face folder cannot hold it"
            )
        vocab[END_OF_TEXT] = end_id
    write_json(folder / "vocab.json", vocab)
    (folder / "merges.txt").write_bytes(codec.files[merges_name])
    _fast_tokenizer(vocab, merges).save(str(folder / "tokenizer.json"))
    specials = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    write_json(folder / "special_tokens_map.json", specials)
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": False,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": n_positions,
        **specials,
    }
    write_json(folder / "tokenizer_config.json", config)


def _fast_tokenizer(vocab: dict[str, int], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return tokenizer


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """A file of a Hugging Face folder."""
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
