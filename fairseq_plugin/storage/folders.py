"""A folder that is whole or not there: built beside its place, then renamed into it."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256


@contextmanager
def whole_folder(destination):
    """Build a folder that appears under its name only once complete and on disk.

    A folder that stands there already is replaced at the very end; an exception inside the block
    leaves it as it was, and so does removing the temporary folder there. Decide beforehand whether
    it may be replaced.

    Args:
        destination: the final name; parents are made.

    Yields:
        ``Path`` of the temporary folder beside it.
    """
    destination = Path(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        building = tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".tmp", dir=destination.parent)
    except OSError as error:
        raise UserError(f"cannot write {destination}: {error.strerror or error}") from error
    building = Path(building)
    try:
        os.chmod(building, 0o755)  # mkdtemp gives 0700; a result should be readable
        yield building
        if not building.exists():
            return
        to_disk(building)
        _into_place(building, destination)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def to_disk(folder):
    """fsync every file and folder below."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_place(destination, mark):
    """Refuse a ``--to`` that must not be written.

    Args:
        destination: the folder asked for.
        mark: the name of a file that stands in every folder that may be replaced.
    """
    destination = Path(destination)
    if destination.is_symlink() or destination.is_file():
        raise UserError(f"--to {destination} is a file or a link; name a folder")
    if destination.is_dir() and any(destination.iterdir()) and not (destination / mark).is_file():
        raise UserError(f"--to {destination} holds other things than prepared data; name another folder")


def same_folder(building, destination):
    """True when every file of ``building`` stands in ``destination``, byte for byte."""
    names = {path.name for path in building.iterdir()}
    return names <= {path.name for path in destination.iterdir()} and all(
        sha256(building / name) == sha256(destination / name) for name in names
    )


def occupied(destination):
    """The error of a ``--to`` that must not be replaced unasked."""
    return UserError(
        f"--to {destination} holds other prepared data; pass --overwrite, or name another folder"
    )


def leaves_what_stands(building, destination, overwrite):
    """Inside :func:`whole_folder`, once all is built: True when the very same folder stands there already.

    It is left untouched then, and ``building`` removed.

    Raises:
        UserError: other data stand there, and ``overwrite`` is off.
    """
    if not destination.is_dir() or not any(destination.iterdir()):
        return False
    if same_folder(building, destination):
        shutil.rmtree(building)
        return True
    if not overwrite:
        raise occupied(destination)
    return False


def _into_place(building, destination):
    # No portable call swaps two folders: the old one steps aside under a name that tells whose it
    # is, so that a kill between the two renames loses nothing.
    aside = destination.with_name(f".{destination.name}.old")
    replaces = destination.exists()
    if replaces:
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(destination, aside)
    try:
        os.rename(building, destination)
    except OSError:
        if replaces:
            os.rename(aside, destination)
        raise
    shutil.rmtree(aside, ignore_errors=True)
