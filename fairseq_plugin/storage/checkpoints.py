"""Is a checkpoint whole, and what was it trained for? Asked before anything is loaded from it.

``torch.load`` does not look at the archive's checksums: a flipped bit becomes a wrong weight. The ZIP
directory holds a CRC32 for every tensor, and checking it unpickles nothing.
"""

import zipfile
import zlib
from pathlib import Path

import torch

from fairseq_plugin.errors import UserError


def is_whole(path):
    """True if the file is a complete torch archive and every CRC32 in it holds; reads the whole file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError):
        return False  # damaged headers surface as any of these


def newest_whole(folder):
    """The most recently written whole checkpoint of a folder, or ``None``."""
    candidates = sorted(Path(folder).glob("checkpoint*.pt"), key=lambda p: p.stat().st_mtime, reverse=True)
    return next((path for path in candidates if is_whole(path)), None)


def read_whole(path):
    """What a checkpoint holds, its tensors mapped into memory; nothing in it is executed.

    Raises:
        UserError: it holds more than tensors, numbers, texts and their containers.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler's own error has no public name here that is not pickle's
        if type(error).__name__ != "UnpicklingError":
            raise
        raise UserError(
            f"{path} is no checkpoint of ours: it holds more than tensors and settings"
        ) from error


def go_on_from(folder):
    """The checkpoint for ``--restore-file``, or ``None`` where fairseq's own choice is right.

    A kill can leave ``checkpoint_last.pt`` torn or not yet written while the one before stands whole beside it.
    """
    last, newest = Path(folder) / "checkpoint_last.pt", newest_whole(folder)
    return None if newest is None or (last.is_file() and is_whole(last)) else newest


def require_whole(path, flag):
    """Refuse a missing or damaged checkpoint before fairseq opens it.

    Args:
        path: the checkpoint.
        flag: the flag that named it, for the message.

    Raises:
        UserError: names the file, what is wrong, and the newest whole checkpoint beside it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{flag}: there is no checkpoint {path}; train one, or name another file")
    if is_whole(path):
        return
    other = newest_whole(path.parent)
    mend = f"the newest whole one beside it is {other}" if other else f"no whole one stands in {path.parent}"
    raise UserError(f"{flag}: checkpoint {path} is damaged or cut short (its checksums fail); {mend}")


def read_config(path):
    """The configuration that fairseq saved in a checkpoint, as plain dicts; no tensor is read.

    Raises:
        UserError: the file holds no fairseq configuration.
    """
    state = read_whole(path)
    config = state.get("cfg") if isinstance(state, dict) else None
    if not isinstance(config, dict):
        raise UserError(f"{path} is no fairseq checkpoint: it holds no configuration")
    return config


def require_for_generation(paths, task, *also):
    """The checkpoints to generate from exist, are whole, and were trained for ``task``, or for one of ``also``.

    Raises:
        UserError: names the first that is not.
    """
    for path in paths:
        require_whole(path, "--path")
        trained = (read_config(path).get("task") or {}).get("_name", task)
        if trained not in (task, *also):
            raise UserError(
                f"--path {path} was trained with --task {trained}, not {task}: "
                "give a checkpoint of this task, or use that task"
            )


def require_for_restart(save_dir, restore_file):
    """The checkpoint that training would go on from is whole, if there is one.

    Args:
        save_dir: ``--save-dir``.
        restore_file: ``--restore-file``; a bare name stands in ``save_dir``.

    Raises:
        UserError: it is damaged. Training must neither stop with a riddle nor start from scratch unasked.
    """
    restore = Path(restore_file)
    if len(restore.parts) == 1:
        restore = Path(save_dir) / restore
    if restore.is_file():
        require_whole(restore, "--restore-file")
    elif restore_file != "checkpoint_last.pt":  # anything but fairseq's default was asked for by name
        raise UserError(f"--restore-file: there is no checkpoint {restore}; name another file")
    elif (other := newest_whole(save_dir)) is not None:
        raise UserError(
            f"--save-dir {save_dir} holds checkpoints but no {restore_file}: training would start from scratch and "
            f"overwrite them; go on with --restore-file {other}, or give another --save-dir"
        )
