"""A full or read-only disk under fairseq's own writers: one line with the path instead of a traceback.

fairseq writes checkpoints, logs and printed samples itself, and its commands catch nothing. Python's own last
word, ``sys.excepthook``, is the one plain place that such an error passes in every command.
"""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from fairseq_plugin.errors import USERS_TO_MEND
from fairseq_plugin.storage.checkpoints import PATTERN

# The folders that fairseq's commands write to, and what may be left half-written there.
_FLAGS = ("--save-dir", "--results-path", "--log-file", "--tensorboard-logdir")
# torch writes archives from C++, which has no error number for what the file said.
_TORCH_WRITER = ("PytorchStreamWriter failed", "file write failed", "unexpected pos")


def explain_disk_errors(arguments: list[str]) -> None:
    """From here to the end of the process, say in one line what the disk refuses; other errors as before.

    Args:
        arguments: the command line, which names the folders.
    """
    before = sys.excepthook
    folders = {flag: value for flag in _FLAGS if (value := _value(arguments, flag)) is not None}
    # A log line that cannot be written is not worth the traceback that logging prints for each.
    logging.raiseExceptions = False
    # fairseq logs the traceback of a failed save, then raises it: said once is enough.
    logging.getLogger("fairseq.checkpoint_utils").addFilter(_is_not_a_traceback)

    def explain(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        reason = _reason(error)
        if reason is None:
            before(kind, error, traceback)
            return
        _remove_half_written(folders.get("--save-dir"))
        print(f"error: {reason(folders)}", file=sys.stderr)

    sys.excepthook = explain


def _is_not_a_traceback(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Traceback")


class _Reason:
    """Why the disk refused, and where if the error says it."""

    def __init__(self, words: str, path: object = None) -> None:
        self.words, self.path = words, path

    def __call__(self, folders: dict[str, str]) -> str:
        where = str(self.path) if self.path is not None else ", ".join(map(" ".join, folders.items()))
        mend = "make room or name another folder, and run the same command again"
        return f"{where or 'a file'}: {self.words}; {mend}"


def _reason(error: BaseException) -> _Reason | None:
    """What the user can mend about an error, its causes included; ``None``: it is something else."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in USERS_TO_MEND:
            return _Reason(os.strerror(one.errno), one.filename)
    for one in _chain(error):
        if isinstance(one, RuntimeError) and any(words in str(one) for words in _TORCH_WRITER):
            return _Reason("a checkpoint could not be written (is the disk full?)")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _remove_half_written(save_dir: str | None) -> None:
    """Remove what fairseq left of a checkpoint it could not finish; this training alone owns the folder."""
    for path in Path(save_dir).glob(PATTERN + ".tmp") if save_dir else ():
        path.unlink(missing_ok=True)


def _value(arguments: list[str], flag: str) -> str | None:
    """The last value of a flag on a command line: ``--flag value`` or ``--flag=value``."""
    found = None
    for place, word in enumerate(arguments):
        if word == flag and place + 1 < len(arguments):
            found = arguments[place + 1]
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found
