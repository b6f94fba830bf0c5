"""One way to tell a user what is wrong: what, which value, and the mend."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

# What a full disk, a read-only one, a used-up quota and missing rights raise: the user's to mend, wherever.
USERS_TO_MEND = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EFBIG)


class UserError(ValueError):
    """Input that the user can mend. The message names the flag or file, the value and the mend."""


class CannotWriteError(UserError, OSError):
    """A file or folder could not be written, such as on a full disk; what stood there before is unchanged.

    An ``OSError`` too, for callers that go on without the file.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        """
        Args:
            message: the line for the user.
            reason: the operating system's words alone.
        """
        super().__init__(message)
        self.strerror = reason

    def __str__(self) -> str:
        return str(self.args[0])  # OSError's own would look for an error number


@contextmanager
def addressed_to_the_user(kind: type[Exception] | tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn errors of a kind into :class:`UserError`: core raises plain ones, in words for the user."""
    try:
        yield
    except kind as error:
        raise UserError(str(error)) from error


@contextmanager
def plain_errors() -> Iterator[None]:
    """End the process with one line and status 1 on a :class:`UserError`, instead of a traceback.

    So do errors of the operating system that the user can mend: a full disk, missing rights. Works as a
    context manager and as a decorator. Anything else passes through untouched: a traceback is the right
    answer to a bug of ours.

    Raises:
        SystemExit: in place of such an error.
    """
    try:
        yield
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    except OSError as error:
        if error.errno not in USERS_TO_MEND:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        raise SystemExit(f"error: {where}{error.strerror}") from error
