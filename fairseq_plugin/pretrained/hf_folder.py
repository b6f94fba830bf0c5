"""A Hugging Face GPT-2 folder into our network: every tensor accounted for, every number finite.

Legend: V ids of the folder's table, S symbols of the dictionary, P rows of our padded table, D width.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fairseq_plugin.checksums import read_checksums
from fairseq_plugin.core.feature_embedding import set_rows
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import CONFIG_NAME, HFConfig, read_config
from fairseq_plugin.pretrained.tensor_files import TensorFiles, find_files, open_folder
from fairseq_plugin.pretrained.vocabulary import map_table

PREFIX = "transformer."
# Masks that old versions of transformers saved; they hold no weights.
_OLD_BUFFER = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
_HEAD = "lm_head.weight"


def is_transposed(name: str) -> bool:
    """Hugging Face stores the matrices of attention and perceptron as (in, out), we as (out, in)."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def expected_shapes(config: HFConfig) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a Hugging Face GPT-2 of this config, by its name without prefix."""
    width = config.n_embd
    shapes: dict[str, tuple[int, ...]]
    shapes = {"wte.weight": (config.vocab_size, width), "wpe.weight": (config.n_positions, width)}
    for i in range(config.n_layer):
        for name, shape in _block_shapes(width).items():
            shapes[f"h.{i}.{name}"] = shape
    return {**shapes, "ln_f.weight": (width,), "ln_f.bias": (width,)}


def check_folder(folder: str | os.PathLike[str], flag: str = "--pretrained-model") -> None:
    """Refuse what is not a folder, and tell a hub name how to become one."""
    if Path(folder).is_dir():
        return
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(folder)):
        raise UserError(
            f"{flag}: there is no folder {folder}; if it is a model's name on the Hugging Face hub, fetch "
            f"it once: python scripts/convert_gpt2.py fetch {folder} --to {Path(folder).name}"
        )
    raise UserError(f"{flag}: there is no folder {folder}; name a Hugging Face GPT-2 folder")


def read_sizes(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The sizes of a folder's model, by the names of ``GPT2Config``; no weight is read.

    Raises:
        UserError: no such folder, a model that our network does not compute, or one that is larger than the
            folder's weight files, for which memory would be asked in vain.
    """
    check_folder(folder)
    checksums = read_checksums(folder)
    config = read_config(folder, checksums)
    sizes = config.sizes()
    num_bytes = find_files(Path(folder), checksums).num_bytes()
    if (num_weights := _num_weights(config)) > num_bytes:
        stated = ", ".join(f"{name} {value:,}" for name, value in sizes.items() if name.startswith("n_"))
        raise UserError(
            f"{Path(folder) / CONFIG_NAME}: vocab_size {config.vocab_size:,}, {stated} make a model of "
            f"{num_weights:,} numbers, but the folder's weight files have {num_bytes:,} bytes: fetch it again"
        )
    return sizes


def _num_weights(config: HFConfig) -> int:
    width = config.n_embd
    return (config.vocab_size + config.n_positions) * width + config.n_layer * 12 * width**2


def read_folder(
    folder: str | os.PathLike[str], flag: str = "--pretrained-model"
) -> tuple[HFConfig, "CheckedTensors"]:
    """Open a folder and check the names and shapes of its tensors; no tensor is read yet.

    Args:
        folder: a Hugging Face GPT-2 folder.
        flag: what named it, for the message.

    Returns:
        ``(config, tensors)``: the second by names without prefix.

    Raises:
        UserError: a tensor is missing, unknown or of the wrong shape; names it.
    """
    check_folder(folder, flag)
    checksums = read_checksums(folder)
    config, files = read_config(folder, checksums), open_folder(Path(folder), checksums)
    if config.n_layer > len(files.shapes):  # keeps an absurd number from filling the memory with names
        raise UserError(
            f"{folder}: n_layer is {config.n_layer}, the weight file has {len(files.shapes)} tensors"
        )
    source = _without_prefix(folder, files.shapes)
    expected = expected_shapes(config)
    for name, shape in expected.items():
        if name not in source:
            raise UserError(
                f"{folder}: {name!r} is missing from the weights; fetch or export the folder again"
            )
        _check_shape(folder, name, files.shapes[source[name]], shape)
    for name in source.keys() - expected.keys():
        if name != _HEAD and not _OLD_BUFFER.fullmatch(name):
            raise UserError(
                f"{folder}: {name!r} is not a tensor of a GPT-2 language model of {config.n_layer} layers"
            )
    tensors = CheckedTensors(
        folder, files, {name: source[name] for name in source if not _OLD_BUFFER.fullmatch(name)}
    )
    if _HEAD in source:
        _check_shape(folder, _HEAD, files.shapes[source[_HEAD]], expected["wte.weight"])
        if not torch.equal(tensors[_HEAD], tensors["wte.weight"]):
            raise UserError(
                f"{folder}: {_HEAD!r} differs from 'wte.weight'; only tied embeddings are supported"
            )
    return config, tensors


@torch.no_grad()
def load_weights(
    folder: str | os.PathLike[str],
    gpt2: GPT2,
    symbols: Sequence[str],
    eos: int,
    end_id: int | None = None,
    complete: bool = False,
) -> str:
    """Fill a network with a folder's weights, the embedding table in the order of a dictionary.

    Args:
        folder: the Hugging Face folder.
        gpt2: our network, of the folder's sizes.
        symbols, eos: the dictionary's symbols in order, and its index of ``</s>``.
        end_id: token id that ``</s>`` stands for in the data's tokenizer; ``None``: it has none, or unknown.
        complete: the dictionary is known to list all ids of its tokenizer.

    Returns:
        A sentence on what became of the table's rows, and one on the files read.

    Raises:
        UserError: folder and dictionary do not go together, or a tensor is damaged; names it.
    """
    config, tensors = read_folder(folder)
    _check_same_end(folder, config, symbols, end_id)
    table_map = map_table(symbols, eos, config.eos_token_id, config.vocab_size)
    if complete and table_map.without_symbol:
        raise UserError(
            f"--pretrained-model {folder}: its table has {config.vocab_size:,} rows, "
            f"{len(table_map.without_symbol):,} of them without a symbol in the data's complete dictionary: "
            "it belongs to another tokenizer; prepare the data with the model's own"
        )
    fill(gpt2, tensors, lambda wte_VD: _reorder(wte_VD, table_map.ids))
    return f"{table_map.summary()}; read {tensors.provenance()}"


@torch.no_grad()
def fill(
    gpt2: GPT2, tensors: Mapping[str, torch.Tensor], table_of: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Give a network a folder's weights.

    Args:
        gpt2: of the folder's sizes.
        tensors: of the folder, by names without prefix.
        table_of: from the folder's embedding table ``(V, D)`` to that of the dictionary ``(S, D)``; the
            padding after it becomes zero.
    """
    for name, target in gpt2.named_parameters():
        if not name.startswith("wte."):
            value = tensors[name].to(target.dtype)
            target.copy_(value.t() if is_transposed(name) else value)
    table_SD = table_of(tensors["wte.weight"].to(gpt2.wpe.weight.dtype))
    num_padding = gpt2.config.padded_vocab_size - len(table_SD)
    set_rows(gpt2.wte, torch.nn.functional.pad(table_SD, (0, 0, 0, num_padding)))


def _reorder(wte_VD: torch.Tensor, ids_S: torch.Tensor) -> torch.Tensor:
    wte_SD = wte_VD.new_zeros(len(ids_S), wte_VD.shape[1])
    known_S = ids_S >= 0
    wte_SD[known_S] = wte_VD[ids_S[known_S]]
    return wte_SD


class CheckedTensors(Mapping[str, torch.Tensor]):
    """Tensors in Hugging Face's orientation, each found to be floating point and finite when it is read."""

    def __init__(self, folder: str | os.PathLike[str], files: TensorFiles, source: Mapping[str, str]) -> None:
        """
        Args:
            folder: for messages.
            files: the weight files.
            source: the name in the files of each tensor.
        """
        self._folder, self._files, self._source = folder, files, source

    def provenance(self) -> str:
        """See :meth:`TensorFiles.provenance`."""
        return self._files.provenance()

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor = self._files[self._source[name]]
        if not tensor.is_floating_point():
            raise UserError(f"{self._folder}: {name!r} is of type {tensor.dtype}, not of floating point")
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"{self._folder}: {name!r} holds NaN or infinite numbers; fetch or export the folder again"
            )
        return tensor


def _without_prefix(folder: str | os.PathLike[str], names: Mapping[str, object]) -> dict[str, str]:
    source: dict[str, str] = {}
    for name in names:
        short = name.removeprefix(PREFIX)
        if short in source:
            raise UserError(f"{folder}: {name!r} is there twice, with and without {PREFIX!r}")
        source[short] = name
    return source


def _check_shape(
    folder: str | os.PathLike[str], name: str, found: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    if tuple(found) != wanted:
        raise UserError(f"{folder}: {name!r} has shape {tuple(found)}, config.json makes it {wanted}")


def _check_same_end(
    folder: str | os.PathLike[str], config: HFConfig, symbols: Sequence[str], end_id: int | None
) -> None:
    found = config.eos_token_id
    if end_id is not None and found != end_id:
        raise UserError(
            f"--pretrained-model {folder}: its end token has id {found}, the data's tokenizer has {end_id}; "
            "prepare the data with the model's own tokenizer"
        )
    if end_id is None and str(found) in symbols:
        raise UserError(
            f"--pretrained-model {folder}: id {found} is its end token, but an ordinary token of the data's "
            "dictionary; prepare the data with the model's own tokenizer"
        )


def _block_shapes(width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, num_in, num_out in (
        ("attn.c_attn", width, 3 * width),
        ("attn.c_proj", width, width),
        ("mlp.c_fc", width, 4 * width),
        ("mlp.c_proj", 4 * width, width),
    ):
        shapes[f"{layer}.weight"], shapes[f"{layer}.bias"] = (num_in, num_out), (num_out,)
    for norm in ("ln_1", "ln_2"):
        shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (width,)
    return shapes
