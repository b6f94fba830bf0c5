"""Errors speak of the commands' flags; in Python these have the names of arguments."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fairseq_plugin.errors import UserError


def in_python(message: str, names: Mapping[str, str]) -> str:
    """The flags in a message, by the names of arguments; others stay as they are.

    Args:
        message: of an error.
        names: argument of each flag, without dashes.

    >>> in_python("--max-len 0 must be at least 1; --max-tokens 3", {"max-len": "max_len"})
    'max_len 0 must be at least 1; --max-tokens 3'
    """
    return re.sub(r"--([a-z][a-z0-9-]*)", lambda found: names.get(found[1], found[0]), message)


@contextmanager
def arguments_named(names: Mapping[str, str]) -> Iterator[None]:
    """Name arguments instead of flags in a :class:`UserError`; ``names`` as for :func:`in_python`."""
    try:
        yield
    except UserError as error:
        error.args = (in_python(str(error), names), *error.args[1:])
        raise
