"""config.json of a Hugging Face GPT-2 folder: read strictly, written plainly."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_plugin.checksums import Checksums
from fairseq_plugin.errors import UserError

CONFIG_NAME = "config.json"
# The largest values that are read, far above any GPT-2: beyond them a slip or a damaged file is certain, and
# memory for the model would be asked for in vain.
LARGEST = {
    "vocab_size": 10_000_000,
    "n_positions": 10_000_000,
    "n_embd": 65_536,
    "n_layer": 1_000,
    "n_head": 1_000,
    "eos_token_id": 10_000_000,
}
# What our network computes. A key left out means transformers' default, which is the first.
_SUPPORTED: dict[str, tuple[object, ...]] = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "reorder_and_upcast_attn": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
    "quantization_config": (None,),
}


@dataclass(frozen=True)
class HFConfig:
    """What a folder says of its model.

    Attributes:
        vocab_size: ids in the embedding table.
        n_positions, n_embd, n_layer, n_head, layer_norm_epsilon: as in ``GPT2Config``.
        eos_token_id: id of ``<|endoftext|>``.
    """

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    layer_norm_epsilon: float
    eos_token_id: int

    def sizes(self) -> dict[str, Any]:
        """The sizes that a model config shares, by name."""
        names = ("n_layer", "n_head", "n_embd", "n_positions", "layer_norm_epsilon")
        return {name: getattr(self, name) for name in names}


def read_config(folder: str | os.PathLike[str], checksums: Checksums | None = None) -> HFConfig:
    """Read and check ``config.json``.

    Args:
        folder: the Hugging Face folder.
        checksums: the folder's record, with which the file is compared.

    Raises:
        UserError: no such file, no JSON, or a model that our network does not compute; names key and value.
    """
    path = Path(folder) / CONFIG_NAME
    values = read_json(path, checksums)
    for key, allowed in _SUPPORTED.items():
        value = values.get(key, allowed[0])
        if not any(value is known or (value == known and type(value) is type(known)) for known in allowed):
            raise UserError(
                f"{path}: {key} is {value!r}; only {' or '.join(map(repr, allowed))} is supported"
            )
    config = HFConfig(
        **{
            name: _size(path, values, name)
            for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")
        },
        layer_norm_epsilon=_epsilon(path, values),
        eos_token_id=_size(path, values, "eos_token_id", lowest=0, default=50256),
    )
    if config.n_embd % config.n_head:
        raise UserError(f"{path}: n_embd {config.n_embd} is not a multiple of n_head {config.n_head}")
    if values.get("n_inner") not in (None, 4 * config.n_embd):
        raise UserError(
            f"{path}: n_inner is {values['n_inner']!r}; only 4 x n_embd = {4 * config.n_embd} is supported"
        )
    if config.eos_token_id >= config.vocab_size:
        raise UserError(
            f"{path}: eos_token_id {config.eos_token_id} is not below vocab_size {config.vocab_size}"
        )
    return config


def config_values(config: HFConfig) -> dict[str, object]:
    """The content of ``config.json`` for a model of ours, by key."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": config.vocab_size,
        "n_positions": config.n_positions,
        "n_ctx": config.n_positions,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": None,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "initializer_range": 0.02,
        "bos_token_id": config.eos_token_id,
        "eos_token_id": config.eos_token_id,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def read_json(path: Path, checksums: Checksums | None = None) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        path: the file.
        checksums: its folder's record, with which the file is compared.

    Raises:
        UserError: the file is missing, not the one recorded, or holds no JSON object.
    """
    try:
        content = path.read_bytes()
        if checksums is not None:
            checksums.check(path.name, hashlib.sha256(content).hexdigest())
        values = json.loads(content.decode("utf-8"))
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}; name a complete Hugging Face GPT-2 folder") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} holds no JSON object")
    return values


def _size(
    path: Path, values: Mapping[str, Any], name: str, lowest: int = 1, default: int | None = None
) -> int:
    value, largest = values.get(name, default), LARGEST[name]
    if type(value) is not int or not lowest <= value <= largest:
        shown = repr(value)[:40]
        raise UserError(f"{path}: {name} must be a whole number in {lowest} .. {largest:,}, not {shown}")
    return value


def _epsilon(path: Path, values: Mapping[str, Any]) -> float:
    value = values.get("layer_norm_epsilon", 1e-5)
    if type(value) is not float or not 0 < value < 1:
        raise UserError(f"{path}: layer_norm_epsilon must be in (0, 1), not {value!r}")
    return value
