"""One training per ``--save-dir``: two would overwrite each other's checkpoints."""

import atexit
import os
from pathlib import Path

from fairseq_plugin.storage.lock import FolderLock

_held: dict[Path, FolderLock] = {}


def lock_save_dir(save_dir: str | os.PathLike[str]) -> None:
    """Lock a folder until this process ends; its next training in the same folder needs no second lock.

    Raises:
        UserError: another process trains there; names it.
    """
    path = Path(os.path.abspath(save_dir)) / "training"  # inside: the folder above may belong to others
    if path not in _held:
        _held[path] = FolderLock(path, "--save-dir", what=save_dir).acquire()
        atexit.register(_held[path].release)  # fairseq has no hook for the end of a training
