"""A Hugging Face GPT-2 folder into our network: every tensor accounted for, every number finite.

Legend: V rows of the folder's table, S symbols of the dictionary, P rows of our padded table, D width.
"""

import re
from pathlib import Path

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import read_config
from fairseq_plugin.pretrained.tensor_files import open_folder
from fairseq_plugin.pretrained.vocabulary import map_rows

PREFIX = "transformer."
# Masks that old versions of transformers saved; they hold no weights.
_OLD_BUFFER = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
_HEAD = "lm_head.weight"


def is_transposed(name):
    """Hugging Face stores the matrices of attention and perceptron as (in, out), we as (out, in)."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def expected_shapes(config):
    """``{name without prefix: shape}`` of the tensors in a Hugging Face GPT-2 of this config."""
    width = config.n_embd
    shapes = {"wte.weight": (config.vocab_size, width), "wpe.weight": (config.n_positions, width)}
    for i in range(config.n_layer):
        for name, shape in _block_shapes(width).items():
            shapes[f"h.{i}.{name}"] = shape
    return {**shapes, "ln_f.weight": (width,), "ln_f.bias": (width,)}


def require_folder(folder, flag="--pretrained-model"):
    """Refuse what is no folder, and tell a hub name how to become one."""
    if Path(folder).is_dir():
        return
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(folder)):
        raise UserError(
            f"{flag}: there is no folder {folder}; if it is a model's name on the Hugging Face hub, fetch "
            f"it once: python scripts/convert_gpt2.py fetch {folder} --to {Path(folder).name}"
        )
    raise UserError(f"{flag}: there is no folder {folder}; name a Hugging Face GPT-2 folder")


def read_sizes(folder):
    """The sizes of a folder's model, by the names of ``GPT2Config``.

    Raises:
        UserError: no such folder, or a model that our network does not compute.
    """
    require_folder(folder)
    return read_config(folder).sizes()


def read_folder(folder, flag="--pretrained-model"):
    """Open a folder and check the names and shapes of its tensors; no tensor is read yet.

    Args:
        folder: a Hugging Face GPT-2 folder.
        flag: what named it, for the message.

    Returns:
        ``(config, tensors)``: an ``HFConfig``, and a mapping from a name without prefix to its tensor in
        Hugging Face's orientation, which is checked to be float and finite when it is read.

    Raises:
        UserError: a tensor is missing, unknown or of the wrong shape; names it.
    """
    require_folder(folder, flag)
    config, files = read_config(folder), open_folder(folder)
    if config.n_layer > len(files.shapes):  # keeps a mad number from filling the memory with names
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
        _require_shape(folder, name, files.shapes[source[name]], shape)
    for name in source.keys() - expected.keys():
        if name != _HEAD and not _OLD_BUFFER.fullmatch(name):
            raise UserError(
                f"{folder}: {name!r} is no tensor of a GPT-2 language model of {config.n_layer} layers"
            )
    tensors = _Checked(
        folder, files, {name: source[name] for name in source if not _OLD_BUFFER.fullmatch(name)}
    )
    if _HEAD in source:
        _require_shape(folder, _HEAD, files.shapes[source[_HEAD]], expected["wte.weight"])
        if not torch.equal(tensors[_HEAD], tensors["wte.weight"]):
            raise UserError(
                f"{folder}: {_HEAD!r} differs from 'wte.weight'; only tied embeddings are supported"
            )
    return config, tensors


@torch.no_grad()
def load_weights(folder, gpt2, symbols, eos, end_id=None, complete=False):
    """Fill a network with a folder's weights, the embedding table in the order of a dictionary.

    Args:
        folder: the Hugging Face folder.
        gpt2: our network, of the folder's sizes.
        symbols, eos: the dictionary's symbols in order, and its index of ``</s>``.
        end_id: token id that ``</s>`` stands for in the data's tokenizer; ``None``: it has none, or unknown.
        complete: the dictionary is known to list all ids of its tokenizer.

    Returns:
        A sentence on what became of the rows.

    Raises:
        UserError: folder and dictionary do not go together, or a tensor is damaged; names it.
    """
    config, tensors = read_folder(folder)
    _require_same_end(folder, config, symbols, end_id)
    row_map = map_rows(symbols, eos, config.eos_token_id, config.vocab_size)
    if complete and row_map.without_symbol:
        raise UserError(
            f"--pretrained-model {folder}: its table has {config.vocab_size:,} rows, "
            f"{len(row_map.without_symbol):,} of "
            "them without a symbol in the data's complete dictionary: it belongs to another tokenizer; "
            "prepare the "
            "data with the model's own"
        )
    targets = dict(gpt2.named_parameters())
    for name, target in targets.items():
        value = tensors[name].to(target.dtype)
        if name == "wte.weight":
            value = _reorder(value, row_map.rows, target.shape[0])
        target.copy_(value.t() if is_transposed(name) else value)
    return row_map.summary()


def _reorder(wte_VD, rows_S, num_padded):
    wte_PD = wte_VD.new_zeros(num_padded, wte_VD.shape[1])
    known_S = rows_S >= 0
    wte_PD[: len(rows_S)][known_S] = wte_VD[rows_S[known_S]]
    return wte_PD


class _Checked:
    """Tensors that are looked through when they are read."""

    def __init__(self, folder, files, source):
        self._folder, self._files, self._source = folder, files, source

    def __iter__(self):
        return iter(self._source)

    def __getitem__(self, name):
        tensor = self._files[self._source[name]]
        if not tensor.is_floating_point():
            raise UserError(f"{self._folder}: {name!r} is of type {tensor.dtype}, not of floating point")
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"{self._folder}: {name!r} holds NaN or infinite numbers; fetch or export the folder again"
            )
        return tensor


def _without_prefix(folder, names):
    source = {}
    for name in names:
        short = name.removeprefix(PREFIX)
        if short in source:
            raise UserError(f"{folder}: {name!r} stands there twice, with and without {PREFIX!r}")
        source[short] = name
    return source


def _require_shape(folder, name, found, wanted):
    if tuple(found) != wanted:
        raise UserError(f"{folder}: {name!r} has shape {tuple(found)}, config.json makes it {wanted}")


def _require_same_end(folder, config, symbols, end_id):
    found = config.eos_token_id
    if end_id is not None and found != end_id:
        raise UserError(
            f"--pretrained-model {folder}: its end token has id {found}, the data's tokenizer has "
            f"{end_id}; prepare "
            "the data with the model's own tokenizer"
        )
    if end_id is None and str(found) in symbols:
        raise UserError(
            f"--pretrained-model {folder}: id {found} is its end token, but an ordinary token of the data's "
            "dictionary; prepare the data with the model's own tokenizer"
        )


def _block_shapes(width):
    shapes = {}
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
