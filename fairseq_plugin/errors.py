"""One way to tell a user what is wrong: what, which value, and the mend."""

from contextlib import contextmanager


class UserError(ValueError):
    """Input that the user can mend. The message names the flag or file, the value and the mend."""


@contextmanager
def addressed_to_the_user(kind):
    """Turn errors of a kind into :class:`UserError`: core raises plain ones, whose words are meant for the user."""
    try:
        yield
    except kind as error:
        raise UserError(str(error)) from error


@contextmanager
def plain_errors():
    """End the process with one line and status 1 on a :class:`UserError`, instead of a traceback.

    Works as a context manager and as a decorator. Anything else passes through untouched: a
    traceback is the right answer to a bug of ours.

    Raises:
        SystemExit: in place of a ``UserError``.
    """
    try:
        yield
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
