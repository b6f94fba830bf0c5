"""A Hugging Face GPT-2 folder into a network over other symbols: each begins at the mean of its texts.

Legend: V ids of the folder's table, S symbols of the dictionary, K texts of a symbol, D width.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_folder import fill, read_folder
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.codec import FILES, load_codec

# For each symbol the token ids of each of its texts.
TextIds = Sequence[Sequence[Sequence[int]]]


def load_means(
    folder: str | os.PathLike[str], gpt2: GPT2, codec: Codec, ids_of: Callable[[int], TextIds]
) -> str:
    """Fill a network with a folder's weights; its embedding table becomes :func:`means`.

    Args:
        folder: a Hugging Face GPT-2 folder.
        gpt2: our network, of the folder's sizes.
        codec: the tokenizer that the data was prepared with.
        ids_of: from the id of the end of text to the ids of every symbol's texts.

    Returns:
        A sentence on what the symbols begin with, and one on the files read.

    Raises:
        UserError: the folder is of another tokenizer, or a tensor is damaged; names it.
    """
    config, tensors = read_folder(folder)
    is_same = (config.vocab_size, config.eos_token_id) == (codec.num_ids, codec.end_id)
    if not is_same or _other_tokenizer(Path(folder), codec):
        raise UserError(
            f"--pretrained-model {folder}: the data was prepared with another tokenizer (of "
            f"{codec.num_ids:,} tokens); prepare it again with --from {folder}"
        )
    ids_SK = ids_of(config.eos_token_id)
    fill(gpt2, tensors, lambda wte_VD: means(wte_VD, ids_SK))
    own = sum(map(_is_token, ids_SK))
    mixed = sum(map(bool, ids_SK)) - own
    return (
        f"{own:,} symbols begin at a token's embedding, {mixed:,} at a mean of several; read "
        f"{tensors.provenance()}"
    )


def means(wte_VD: torch.Tensor, ids_SK: TextIds) -> torch.Tensor:
    """The embedding that each symbol begins with, ``(S, D)``.

        mean over its texts of (mean over the tokens of the text of wte[token]);  0 without a text

    Args:
        wte_VD: embeddings of the tokens.
        ids_SK: see :data:`TextIds`; no text is empty.
    """
    found_SD = wte_VD.new_zeros(len(ids_SK), wte_VD.shape[1])
    token_of = {symbol: ids_K[0][0] for symbol, ids_K in enumerate(ids_SK) if _is_token(ids_K)}
    found_SD[list(token_of)] = wte_VD[list(token_of.values())]  # nearly all of them, at once
    for symbol, ids_K in enumerate(ids_SK):
        if ids_K and symbol not in token_of:
            flat = torch.tensor([token for ids in ids_K for token in ids])
            starts_K = torch.tensor([0, *map(len, ids_K)][:-1]).cumsum(0)
            texts_KD = torch.nn.functional.embedding_bag(flat, wte_VD, starts_K, mode="mean")
            found_SD[symbol] = texts_KD.mean(0)
    return found_SD


def _is_token(ids_K: Sequence[Sequence[int]]) -> bool:
    return len(ids_K) == 1 and len(ids_K[0]) == 1


def _other_tokenizer(folder: Path, codec: Codec) -> bool:
    """Whether a folder holds a tokenizer, and another one."""
    has_one = any(all((folder / name).is_file() for name in names) for names in FILES.values())
    return has_one and load_codec(folder).digest() != codec.digest()
