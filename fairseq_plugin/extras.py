"""Packages that only some uses need, imported when they are needed."""

import importlib
from typing import Any

from fairseq_plugin.errors import UserError


def require_extra(module: str, needed_for: str, extra: str, instead: str = "") -> Any:
    """Import a module of an optional package.

    Args:
        module: its full name.
        needed_for: what needs the package, for a person.
        extra: of ours, that installs it.
        instead: what to do without it, from the comma or semicolon on.

    Returns:
        The module.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{needed_for} needs {module.partition('.')[0]}, which is not installed: pip install "
            f"'fairseq-scalegrad[{extra}]'{instead}"
        ) from error
