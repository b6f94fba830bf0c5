"""Tensors by name from the weight files of a Hugging Face folder, whichever kind they are.

Nothing here runs code from a file: safetensors holds none, and ``pytorch_model.bin`` is unpickled with
``weights_only=True``.
"""

from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open

from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import read_json

SAFETENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"


class TensorFiles:
    """The tensors of a folder, read one at a time.

    Args:
        shapes: ``{name: shape}`` of all of them.
        read: function from a name to its tensor.
    """

    def __init__(self, shapes, read):
        self.shapes, self._read = shapes, read

    def __getitem__(self, name):
        return self._read(name)


def open_folder(folder):
    """Find the weight files of a folder; safetensors before sharded safetensors before a pickle.

    Raises:
        UserError: none is there, or it cannot be read.
    """
    folder = Path(folder)
    if (folder / SAFETENSORS).is_file():
        return _open_safetensors([folder / SAFETENSORS])
    if (folder / INDEX).is_file():
        return _open_sharded(folder)
    if (folder / PICKLED).is_file():
        return _open_pickled(folder / PICKLED)
    raise UserError(
        f"{folder} holds neither {SAFETENSORS} nor {INDEX} nor {PICKLED}; name a Hugging Face GPT-2 folder"
    )


def _open_sharded(folder):
    index = folder / INDEX
    where = read_json(index).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise UserError(f"{index} has no weight_map; fetch the folder again")
    names = sorted({str(file) for file in where.values()})
    for name in names:
        # A name with a folder in it could point anywhere on this machine.
        if Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{index}: there is no file {name!r} beside it; fetch the folder again")
    tensors = _open_safetensors([folder / name for name in names])
    for name in sorted(tensors.shapes.keys() ^ where.keys()):
        raise UserError(f"{index} and its files disagree about {name!r}; fetch the folder again")
    return tensors


def _open_safetensors(paths):
    shapes, files = {}, {}
    for path in paths:
        with _named_errors(path):
            file = safe_open(path, framework="pt").__enter__()
            found = {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}
        for name in found.keys() & shapes.keys():
            raise UserError(f"{path}: {name!r} stands in two files; fetch the folder again")
        shapes.update(found)
        files.update(dict.fromkeys(found, (path, file)))

    def read(name):
        path, file = files[name]
        with _named_errors(path):
            return file.get_tensor(name)

    return TensorFiles(shapes, read)


def _open_pickled(path):
    with _named_errors(path):
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(tensors, dict) or not all(
        isinstance(value, torch.Tensor) for value in tensors.values()
    ):
        raise UserError(f"{path} holds no tensors by name; export the model again, as {SAFETENSORS}")
    return TensorFiles(
        {str(name): tuple(value.shape) for name, value in tensors.items()}, tensors.__getitem__
    )


@contextmanager
def _named_errors(path):
    # The libraries raise their own errors, KeyError, ValueError, RuntimeError, EOFError, UnpicklingError
    # and more for a damaged file: at this border each of them means the same.
    try:
        yield
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{path} cannot be read, it is damaged or of another kind: {reason}") from error
