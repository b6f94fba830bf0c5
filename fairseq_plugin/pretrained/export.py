"""A fine-tuned checkpoint as a Hugging Face GPT-2 folder, which transformers and most servers read.

Legend: V ids of the folder's table, D width.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from fairseq_plugin.checksums import write_checksums
from fairseq_plugin.core.feature_embedding import folded
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import CannotWriteError, UserError, addressed_to_the_user
from fairseq_plugin.pretrained.checkpoint_weights import (
    FINGERPRINT,
    NETWORK_PREFIX,
    check_state,
    require_same_dictionary,
)
from fairseq_plugin.pretrained.hf_config import CONFIG_NAME, HFConfig, config_values
from fairseq_plugin.pretrained.hf_folder import PREFIX, expected_shapes, is_transposed
from fairseq_plugin.pretrained.hf_tokenizer import (
    end_id_of,
    is_byte_level,
    num_ids_of,
    write_json,
    write_tokenizer,
)
from fairseq_plugin.pretrained.model_card import NAME as CARD
from fairseq_plugin.pretrained.model_card import CardData, card_text
from fairseq_plugin.pretrained.new_folder import new_folder
from fairseq_plugin.pretrained.tensor_files import SAFETENSORS
from fairseq_plugin.pretrained.vocabulary import SPECIAL_SYMBOLS, fingerprint, read_symbols
from fairseq_plugin.storage.checkpoints import Checkpoint, open_checkpoint
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.codec import load_codec

_EOS = SPECIAL_SYMBOLS.index("</s>")
SIZES = ("n_layer", "n_head", "n_embd", "n_positions", "layer_norm_epsilon")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        config: the folder's.
        num_parameters: of the model, the tied table counted once.
        codec_kind: kind of the tokenizer written beside it.
    """

    config: HFConfig
    num_parameters: int
    codec_kind: str


def export_checkpoint(
    checkpoint: str | os.PathLike[str],
    data: str | os.PathLike[str],
    to: str | Path,
    prompts: Sequence[str] = (),
) -> Exported:
    """Write a checkpoint as a Hugging Face folder, with a model card and the SHA-256 of every file.

    Args:
        checkpoint: a fairseq checkpoint of ``--arch gpt2`` or another of our sizes.
        data: the prepared data folder that it was trained on (``dict.txt`` and the tokenizer).
        to: the folder to make; nothing may be there.
        prompts: for the card, how the texts of each label begin; none for data without labels.

    Raises:
        UserError: checkpoint, data and tokenizer do not go together, or one is damaged; names it.
    """
    symbols, codec = read_symbols(Path(data) / "dict.txt"), load_codec(data)
    opened = open_checkpoint(checkpoint)
    opened.close()  # its tensors stay
    sizes, weights = network_of(opened, symbols, codec)
    config = HFConfig(vocab_size=num_ids_of(codec), eos_token_id=end_id_of(codec), **sizes)
    tensors = to_hugging_face(weights, config, symbols)
    with new_folder(to) as folder:
        try:
            save_file(tensors, folder / SAFETENSORS, metadata={"format": "pt"})
        except SafetensorError as error:  # its own kind, also for a full disk
            reason = str(error)
            raise CannotWriteError(f"cannot write {to}: {reason}; nothing was published", reason) from error
        write_json(folder / CONFIG_NAME, config_values(config))
        end = {"bos_token_id": config.eos_token_id, "eos_token_id": config.eos_token_id}
        write_json(folder / "generation_config.json", end)
        write_tokenizer(codec, folder, config.n_positions)
        about = CardData(Path(data).resolve().name, prompts)
        card = card_text(config, codec.kind, is_byte_level(codec), opened.state, about)
        (folder / CARD).write_text(card, encoding="utf-8")
        write_checksums(folder, leave_out=(CARD,))  # people edit a card
    return Exported(config, sum(tensor.numel() for tensor in tensors.values()), codec.kind)


def to_hugging_face(
    weights: Mapping[str, torch.Tensor], config: HFConfig, symbols: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Our weights under Hugging Face's names, in its orientation, its table in the order of token ids.

    Args:
        weights: of our network, by name.
        config: the config to write; ``eos_token_id`` takes the row of ``</s>``.
        symbols: the dictionary's symbols in order.

    Raises:
        UserError: a token id has no symbol in the dictionary.
    """
    tensors = {}
    for name in expected_shapes(config):
        tensor = weights[name].float()
        if name == "wte.weight":
            tensor = tensor[_symbols_of_ids(config, symbols)]
        tensors[PREFIX + name] = (tensor.t() if is_transposed(name) else tensor).contiguous()
    return tensors


def _symbols_of_ids(config: HFConfig, symbols: Sequence[str]) -> torch.Tensor:
    index = {symbol: i for i, symbol in enumerate(symbols)}
    index[str(config.eos_token_id)] = _EOS
    missing = [token for token in range(config.vocab_size) if str(token) not in index]
    if missing:
        # Zeros would not mean "impossible": they would score 0, above most tokens.
        raise UserError(
            f"dict.txt has no symbol for {len(missing):,} of the tokenizer's {config.vocab_size:,} ids "
            f"(first: {missing[0]}), so there are no weights to write for them; train on a dictionary that "
            "lists all ids (scripts/prepare_labelled.py writes one)"
        )
    return torch.tensor([index[str(token)] for token in range(config.vocab_size)])


def network_of(
    checkpoint: Checkpoint, symbols: Sequence[str], codec: Codec | None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The network in a checkpoint of ours, without fairseq.

    Args:
        checkpoint: the checkpoint.
        symbols: the dictionary's symbols in order, of the data it was trained on.
        codec: these data's tokenizer.

    Returns:
        ``(sizes, weights)``: by the names of ``GPT2Config``, and ``{name: tensor}`` of the network.

    Raises:
        UserError: another model, another dictionary or tokenizer.
    """
    model, weights = checkpoint.config["model"], checkpoint.state["model"]
    if not isinstance(model, Mapping) or any(model.get(name) is None for name in SIZES):
        raise UserError(
            f"{checkpoint.path} is not a checkpoint of ours; name one trained with --arch gpt2 or another of "
            "its sizes"
        )
    sizes = {name: model[name] for name in SIZES}
    own = torch.tensor(fingerprint(symbols, codec))
    weights = require_same_dictionary(weights, own)
    with addressed_to_the_user((ValueError, TypeError)), torch.device("meta"):
        network = GPT2(GPT2Config(vocab_size=len(symbols), **sizes)).state_dict()
    try:
        weights = folded(weights, NETWORK_PREFIX)
    except ValueError as error:
        raise UserError(f"{checkpoint.path} is damaged: {error}; use an earlier checkpoint") from error
    check_state(
        weights, {**{NETWORK_PREFIX + name: value for name, value in network.items()}, FINGERPRINT: own}
    )
    return sizes, {name.removeprefix(NETWORK_PREFIX): value for name, value in weights.items()}
