"""Errors speak of the commands' flags; in Python these have the names of arguments."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields

from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.errors import UserError

# --max-tokens is preparation's, too, and that is no argument.
_FILTERS = {field.name for field in fields(FilterOptions)} - {"max_tokens"}
_NAMES = {
    "gamma": "gamma",
    "seed": "seed",
    "from": "pretrained",
    "pretrained-model": "pretrained",
    "gpt2-bpe": "pretrained",
    "epochs": "epochs",
    "temperature": "temperature",
    "top-k": "top_k",
    "sampling-topk": "top_k",
    "top-p": "top_p",
    "sampling-topp": "top_p",
    "max-len": "max_len",
    "max-len-b": "max_len",
    "device": "device",
    "to": "folder",
    "per-label": "n",
    "text-column": "text_column",
    "label-column": "label_column",
    "valid": "valid",
    "allow-fewer": "allow_fewer=True",
    "most-tries": "most_tries",
    **{name.replace("_", "-"): name for name in _FILTERS},
    "overwrite": "overwrite=True",
}


def in_python(message: str, names: Mapping[str, str] = _NAMES) -> str:
    """The flags in a message, by the names of arguments; others stay as they are.

    Args:
        message: of an error.
        names: argument of each flag, without dashes; the default ones are those of ``Augmenter``.

    >>> in_python("--max-len 0 must be at least 1; --max-tokens 3")
    'max_len 0 must be at least 1; --max-tokens 3'
    """
    return re.sub(r"--([a-z][a-z0-9-]*)", lambda found: names.get(found[1], found[0]), message)


@contextmanager
def arguments_named(names: Mapping[str, str] = _NAMES) -> Iterator[None]:
    """Name arguments instead of flags in a :class:`UserError`; ``names`` as for :func:`in_python`."""
    try:
        yield
    except UserError as error:
        error.args = (in_python(str(error), names), *error.args[1:])
        raise
