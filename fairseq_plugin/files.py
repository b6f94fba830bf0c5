"""Files that are whole or not there: temporary file, fsync, ``os.replace``.

Temporary names hold the process that made them, so that the next run removes what a killed one left and
spares what a living one is about to finish: ``.NAME.HOST-PID-XXXX.tmp``.
"""

import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fairseq_plugin.errors import USERS_TO_MEND, CannotWriteError


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under ``path`` only once it is complete and on disk.

    Args:
        path: the final name; its folder must exist.
        mode: ``"w"`` (UTF-8, newlines untouched) or ``"wb"``.

    Yields:
        The open temporary file. An exception inside the block leaves the previous file as it was.

    Raises:
        CannotWriteError: the disk is full, read-only or not ours; the previous file is unchanged.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb', not {mode!r}")
    path = Path(path)
    remove_leftovers(path)
    temporary = temporary_name(path)
    with writing_errors(path, temporary):
        try:
            with _created(temporary, mode) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _created(path: Path, mode: str) -> IO[Any]:
    if mode == "wb":
        return open(path, "xb")  # "x": never over another file
    return open(path, "x", encoding="utf-8", newline="")


@contextmanager
def writing_errors(path: Path, *own: Path) -> Iterator[None]:
    """Turn what a disk refuses into one line that names ``path``.

    Args:
        path: what is being written.
        own: temporary names; errors about any other file pass through, for they are not about ``path``.
    """
    try:
        yield
    except CannotWriteError:
        raise
    except OSError as error:
        names = {os.fspath(name) for name in (path, *own)}
        places = [str(one) for one in (error.filename, error.filename2) if one is not None]  # copies have two
        is_ours = not places or any(
            place == name or place.startswith(name + os.sep) for place in places for name in names
        )
        if not is_ours or (error.filename is None and error.errno not in USERS_TO_MEND):
            raise
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> CannotWriteError:
    """The one line about a path that the operating system does not let us write."""
    reason = error.strerror or str(error)
    return CannotWriteError(f"cannot write {path}: {reason}; what stood there before is unchanged", reason)


def temporary_name(path: Path, ending: str = "tmp") -> Path:
    """A name beside ``path`` that nothing else has and that tells whose it is."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.{ending}")


def leftovers(path: Path, ending: str = "tmp") -> list[Path]:
    """What dead processes of this host left beside ``path`` under :func:`temporary_name`, by name."""
    form = re.compile(rf"\.{re.escape(path.name)}\.{re.escape(_host())}-(\d+)-[0-9a-f]{{8}}\.{ending}")
    found = []
    try:
        entries = sorted(os.listdir(path.parent))
    except OSError:
        return []  # no such folder: whoever writes there will say so
    for name in entries:
        match = form.fullmatch(name)
        if match is not None and not is_running(int(match[1])):
            found.append(path.with_name(name))
    return found


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files and folders that killed runs left beside ``path``."""
    for left in leftovers(path):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Whether this host runs a process of that number."""
    if pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # another user's; or no number that can be asked about: spared
    return True


def sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]  # short: names have 255 bytes
