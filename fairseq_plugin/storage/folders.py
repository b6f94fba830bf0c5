"""A folder that is whole or not there: built beside its place, then renamed into it.

Publishing replaces nothing that it did not see at the start. A new folder is renamed onto its name, which
fails where anything but an empty folder has appeared. A folder that is to be replaced steps aside first, and
only if it is the one that was there at the start.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import leftovers, remove_leftovers, sha256, temporary_name, writing_errors
from fairseq_plugin.storage.lock import owned

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a folder will appear, and what was there when the command began.

    Attributes:
        path: the final name.
        seen: what tells the folder that was there from any other; None for none or an empty one.
        flag: the flag that named it, for messages.
    """

    path: Path
    seen: tuple | None
    flag: str = "--to"

    @classmethod
    def look(cls, path: str | os.PathLike[str], flag: str = "--to") -> "Place":
        """The place as it is now; a folder that a kill left aside in mid-replacement returns to it first."""
        path = Path(path) if Path(path).name not in ("", "..") else Path(os.path.abspath(path))
        _bring_back(path)
        return cls(path, _identity(path), flag)


@contextmanager
def whole_folder(destination: "str | os.PathLike[str] | Place") -> Iterator[Path]:
    """Build a folder that appears under its name only once complete and on disk.

    What was at the place when it was looked at is replaced at the very end; an exception inside the
    block leaves it as it was. Decide beforehand whether it may be replaced. The place is locked meanwhile.

    Args:
        destination: the :class:`Place` that the command looked at when it began, or a name, which is
            looked at now; parents are made.

    Yields:
        ``Path`` of the temporary folder beside it.

    Raises:
        UserError: another process writes there, something has appeared meanwhile, or it cannot be written.
    """
    place = destination if isinstance(destination, Place) else Place.look(destination)
    with owned(place.path, place.flag):
        remove_leftovers(place.path)
        building = temporary_name(place.path)
        with writing_errors(place.path, building):
            try:
                building.mkdir()
                yield building
                to_disk(building)
                _into_place(building, place)
            finally:
                shutil.rmtree(building, ignore_errors=True)


class _StandsAlready(Exception):
    """What was built equals what is there."""


def publish_prepared(place: Place, overwrite: bool, fill: Callable[[Path], None]) -> bool:
    """Build a prepared folder, and publish it unless the very same one is there already.

    Args:
        place: looked at when the command began.
        overwrite: replace other data that was there.
        fill: writes everything into a folder.

    Returns:
        True when the same folder is there; it is left untouched.

    Raises:
        UserError: other data stand there and ``overwrite`` is off; see :func:`whole_folder` for the rest.
    """
    try:
        with whole_folder(place) as building:
            fill(building)
            if place.path.is_dir() and any(place.path.iterdir()):
                if same_folder(building, place.path):
                    raise _StandsAlready
                if not overwrite:
                    raise occupied(place)
    except _StandsAlready:
        return True
    return False


def to_disk(folder: Path) -> None:
    """fsync every file and folder below."""
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_place(destination: str | os.PathLike[str], mark: str) -> Place:
    """Look at a ``--to``, and refuse one that must not be written.

    Args:
        destination: the folder asked for.
        mark: the name of a file that is in every folder that may be replaced.
    """
    path = Path(destination)
    if path.is_symlink() or path.is_file():
        raise UserError(f"--to {destination} is a file or a link; name a folder")
    place = Place.look(path)
    if place.seen is not None and not (path / mark).is_file():
        raise UserError(f"--to {destination} holds other things than prepared data; name another folder")
    return place


def same_folder(building: Path, destination: Path) -> bool:
    """True when every file of ``building`` is in ``destination``, byte for byte."""
    names = [path.relative_to(building) for path in building.rglob("*") if path.is_file()]
    return all(
        (destination / name).is_file() and sha256(building / name) == sha256(destination / name)
        for name in names
    )


def occupied(place: Place) -> UserError:
    """The error of a place that must not be replaced unasked."""
    return UserError(
        f"{place.flag} {place.path} holds other prepared data; pass --overwrite, or name another folder"
    )


def _identity(path: Path) -> tuple | None:
    """The folder itself and what it holds by name, size and time; None for nothing or an empty folder."""
    try:
        stands = path.lstat()
        entries = sorted(
            (entry.name, status.st_ino, status.st_size, status.st_mtime_ns)
            for entry in os.scandir(path)
            for status in [entry.stat(follow_symlinks=False)]
        )
    except NotADirectoryError:
        return ("file", path.lstat().st_ino)
    except FileNotFoundError:
        return None
    return (stands.st_dev, stands.st_ino, tuple(entries)) if entries else None


def _into_place(building: Path, place: Place) -> None:
    # No portable call swaps two folders: the old one steps aside under a name that tells whose it is, so that
    # a kill between the two renames loses nothing; the next look brings it back.
    aside = None
    if place.seen is not None:
        if _identity(place.path) is None:
            raise _changed(place, "is gone")
        aside = temporary_name(place.path, "old")
        os.rename(place.path, aside)
        # Compared after the step aside: nobody can put another folder under our eyes any more.
        if _identity(aside) != place.seen:
            _return(aside, place)
            raise _changed(place, "has changed")
    try:
        os.rename(building, place.path)  # fails on anything but nothing and an empty folder
    except OSError as error:
        if aside is not None:
            _return(aside, place)
        if not os.path.lexists(place.path):
            raise
        raise _changed(place, "has appeared") from error
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _return(aside: Path, place: Place) -> None:
    try:
        os.rename(aside, place.path)
    except OSError:
        logger.warning("%s: what stood there before is kept as %s", place.path, aside)


def _changed(place: Place, how: str) -> UserError:
    return UserError(
        f"{place.flag} {place.path} {how} since this command began, by another program's hand: nothing is "
        "replaced; look at it, and start again or name another folder"
    )


def _bring_back(path: Path) -> None:
    """Undo or finish the replacement in whose middle a process died."""
    for aside in leftovers(path, "old"):
        try:
            if not os.path.lexists(path):
                os.rename(aside, path)
                logger.warning("%s: a killed run had moved it aside; it is back", path)
            elif leftovers(path):  # the new one was not in place yet: what is there now came from elsewhere
                kept = aside.with_suffix(".kept")
                os.rename(aside, kept)
                logger.warning("%s: what stood there before a killed run is kept as %s", path, kept)
            else:
                shutil.rmtree(aside, ignore_errors=True)
        except FileNotFoundError:
            continue  # another process was faster
