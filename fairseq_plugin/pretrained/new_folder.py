"""A folder that is whole or not there: filled under another name, then renamed."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.folders import to_disk


@contextmanager
def new_folder(path, flag="--to"):
    """Fill a folder that appears under ``path`` only once it is complete.

    Args:
        path: the final name; nothing may stand there.
        flag: the flag that named it, for the message.

    Yields:
        The temporary folder, beside the final one. An exception inside the block removes it.

    Raises:
        UserError: something stands there already, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise UserError(f"{flag}: {path} exists already; name a new folder, or remove it first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise UserError(f"{flag}: cannot write to {path.parent}: {error.strerror}") from error
    try:
        yield temporary
        to_disk(temporary)
        temporary.chmod(0o755)  # mkdtemp gives 0700; a result should be readable
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
