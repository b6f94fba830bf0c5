"""A folder that is whole or not there, under a name that nothing has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.folders import Place, whole_folder


@contextmanager
def new_folder(path: str | Path, flag: str = "--to") -> Iterator[Path]:
    """Fill a folder that appears under ``path`` only once it is complete.

    Args:
        path: the final name; nothing may be there.
        flag: the flag that named it, for the message.

    Yields:
        The temporary folder, beside the final one. An exception inside the block removes it.

    Raises:
        UserError: something is there already, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise UserError(f"{flag}: {path} exists already; name a new folder, or remove it first")
    with whole_folder(Place(path, None, flag)) as temporary:
        yield temporary
        _set_modes(temporary)


def _set_modes(folder: Path) -> None:
    # Some libraries write for the owner alone. Files get the mode that the umask gives to any other.
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)
