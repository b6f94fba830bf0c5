"""Files that are whole or not there: temporary file, fsync, ``os.replace``."""

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path, mode="w"):
    """Open a file that appears under ``path`` only once it is complete and on disk.

    Args:
        path: the final name; its folder must exist.
        mode: ``"w"`` (UTF-8, newlines untouched) or ``"wb"``.

    Yields:
        The open temporary file. An exception inside the block leaves the previous file as it was.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb', not {mode!r}")
    path = Path(path)
    text = {"encoding": "utf-8", "newline": ""} if mode == "w" else {}
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **text) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp gives 0600; a result should be readable
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256(path):
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask():
    # os.umask has no getter: set and restore.
    mask = os.umask(0)
    os.umask(mask)
    return mask
