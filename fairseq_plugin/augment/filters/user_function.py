"""A person's own Python function, named ``module:function``, and the filter that asks it."""

import importlib
import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.display import short


def load_function(name: str, flag: str) -> Callable[..., Any]:
    """Import a function; its module may lie in the current directory.

    Args:
        name: ``package.module:function``; the function may be an attribute, ``module:Class.method``.
        flag: that gave it, for messages.

    Raises:
        UserError: no such module or function, or a module that fails when it is imported.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise UserError(f"{flag} {name} must be module:function, for example my_rules:is_polite")
    if module_name.endswith(".py") or os.sep in module_name:
        example = module_name.removesuffix(".py").replace(os.sep, ".")
        raise UserError(f"{flag} {name}: give the module's name, not its file: {example}:{attribute}")
    with _current_directory_first():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # whatever a person's module does when it is imported
            where = "it is looked for in the current directory and on PYTHONPATH"
            raise UserError(
                f"{flag} {name}: cannot import {module_name} ({type(error).__name__}: {error}); {where}"
            ) from error
    try:
        function = operator.attrgetter(attribute)(module)
    except AttributeError as error:
        raise UserError(f"{flag} {name}: {module.__file__} has no {attribute!r}") from error
    if not callable(function):
        raise UserError(f"{flag} {name}: {attribute!r} is a {type(function).__name__}, not a function")
    return function


@contextmanager
def _current_directory_first() -> Iterator[None]:
    """Let Python look for modules in the current directory; a script's own folder is where it looks else."""
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path.pop(0)


class Predicate:
    """Rejects what a person's own function says no to.

    Args:
        name: ``module:function``, called with a text and the name of its label; it returns True for what
            shall be kept, and always the same for the same pair.
        labels: names, by index.
        flag: that gave the name.

    Raises:
        UserError: see :func:`load_function`.
    """

    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, name: str, labels: Sequence[str], flag: str = "--predicate") -> None:
        self._function, self._labels = load_function(name, flag), labels
        self._told = f"{flag} {name}"
        self.reasons: Mapping[str, str] = {"predicate": f"is rejected by {self._told}"}

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        return [None if self._keeps(candidate) else "predicate" for candidate in candidates]

    def _keeps(self, candidate: Candidate) -> bool:
        shown = f"sample {candidate.id} ({short(candidate.text, 60)!r})"
        try:
            answer = self._function(candidate.text, self._labels[candidate.label])
        except Exception as error:  # whatever a person's function does
            raise UserError(
                f"{self._told} failed on {shown}: {type(error).__name__}: {error}; mend the function"
            ) from error
        if not isinstance(answer, (bool, np.bool_)):
            raise UserError(
                f"{self._told} answered {shown} with {short(repr(answer), 60)}; it must return True or False"
            )
        return bool(answer)
