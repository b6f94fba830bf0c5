"""The network of a checkpoint of ours over a prepared folder's dictionary, without fairseq."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.pretrained.export import network_of
from fairseq_plugin.pretrained.vocabulary import SPECIAL_SYMBOLS, banned_symbols
from fairseq_plugin.storage.checkpoints import Checkpoint, open_checkpoint
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.text.base import Codec

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "int8": torch.int8}  # by the names of --compute-dtype


@dataclass(frozen=True)
class Network:
    """A network that was read.

    Attributes:
        gpt2: in evaluation mode; symbols that are no text get no probability.
        sha256: of the checkpoint's bytes.
        checkpoint: what else it holds; its copy in memory is freed.
    """

    gpt2: GPT2
    sha256: str
    checkpoint: Checkpoint


def load_network(
    path: str | os.PathLike[str],
    symbols: Sequence[str],
    codec: Codec | None,
    device: str = "cpu",
    compute_dtype: torch.dtype | Literal["as_trained"] | None = None,
    flag: str = "checkpoint",
) -> Network:
    """Read a fairseq checkpoint of ``--arch gpt2`` or another of its sizes.

    Args:
        path: the file.
        symbols, codec: of the data that it was trained on; rows of a table have no codec.
        device: where to compute.
        compute_dtype: ``torch.bfloat16`` for products in bfloat16, ``torch.int8`` for weights in 8 bits (CPU,
            for decoding); None for the weights' own;
            ``"as_trained"`` for the ``--compute-dtype`` that the checkpoint was trained with.
        flag: what named the file, for messages.

    Raises:
        UserError: missing, damaged, another model, another dictionary or tokenizer.
    """
    checkpoint = open_checkpoint(path, flag)
    digest = checkpoint.sha256()
    checkpoint.close()
    sizes, weights = network_of(checkpoint, symbols, codec)
    if compute_dtype == "as_trained":
        compute_dtype = DTYPES.get(str(checkpoint.config["model"].get("compute_dtype")))
    gpt2 = GPT2(GPT2Config(vocab_size=len(symbols), **sizes), compute_dtype)
    gpt2.load_state_dict({key: weights[key] for key in gpt2.state_dict()})
    forbid_symbols(gpt2, symbols, codec)
    return Network(gpt2.to(device).eval(), digest, checkpoint)


def forbid_symbols(gpt2: GPT2, symbols: Sequence[str], codec: Codec | None) -> None:
    """Give no probability to the symbols of a dictionary that are no text and not the end."""
    banned = banned_symbols(symbols, len(SPECIAL_SYMBOLS), EOS, codec and codec.end_id)
    gpt2.banned = torch.tensor(banned, dtype=torch.int64)
