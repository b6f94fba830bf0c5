"""Which checkpoint a training goes on from when the same command runs again."""

import os
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.checkpoints import (
    PATTERN,
    Checkpoint,
    DamagedCheckpoint,
    newest_whole,
    open_checkpoint,
)

DEFAULT = "checkpoint_last.pt"  # of --restore-file


@dataclass(frozen=True)
class Restart:
    """Where a training starts.

    Attributes:
        checkpoint: what it starts from.
        message: one line about a choice that is not fairseq's own, or ``None``.
        is_new: a new training from these weights (``--finetune-from-model``), not one that goes on.
    """

    checkpoint: Checkpoint
    message: str | None = None
    is_new: bool = False


def choose_restart(
    save_dir: str | os.PathLike[str],
    restore_file: str = DEFAULT,
    finetune_from: str | None = None,
    suffix: str = "",
    continue_once: str | None = None,
) -> Restart | None:
    """The checkpoint that a training starts from; ``None``: it starts from scratch.

    A kill can leave ``checkpoint_last.pt`` torn, because fairseq copies over it in place, or not there at
    all. Then the whole one beside it that was trained longest takes its place.

    Args:
        save_dir: ``--save-dir``.
        restore_file: ``--restore-file``; a bare name is looked for in ``save_dir`` first.
        finetune_from: ``--finetune-from-model``, for a ``save_dir`` without any checkpoint.
        suffix: ``--checkpoint-suffix``.
        continue_once: ``--continue-once``, likewise; it comes before the other one.

    Raises:
        UserError: the file that was asked for is missing or damaged, or there are checkpoints and none is
            whole: training must not start from scratch unasked.
    """
    for path in sorted(Path(save_dir).glob(PATTERN)):
        if path.is_dir():  # fairseq would end in a traceback when it writes its own there
            raise UserError(
                f"--save-dir {save_dir}: {path} is a folder, where a checkpoint belongs; move it away"
            )
    if restore_file != DEFAULT:
        return _asked_for(Path(save_dir), restore_file)
    last = Path(save_dir) / DEFAULT.replace(".pt", f"{suffix}.pt")
    reason = f"there is no {last}"
    if last.is_file():
        try:
            return Restart(open_checkpoint(last, "--restore-file"))
        except DamagedCheckpoint as error:
            reason = str(error)
    newest = newest_whole(save_dir)
    if newest is not None:
        mend = f"going on from {newest.path}, the newest whole one (update {newest.num_updates:,})"
        return Restart(newest, f"{reason}; {mend}")
    if found := sorted(Path(save_dir).glob(PATTERN)):
        raise UserError(
            f"--save-dir {save_dir} holds checkpoints ({', '.join(path.name for path in found[:3])}) but "
            f"none is whole ({reason}): training would start from scratch; move them away, or give another "
            "--save-dir"
        )
    if continue_once:
        return Restart(open_checkpoint(continue_once, "--continue-once"))
    if finetune_from:
        return Restart(open_checkpoint(finetune_from, "--finetune-from-model"), is_new=True)
    return None


def _asked_for(save_dir: Path, restore_file: str) -> Restart:
    path = Path(restore_file)
    if len(path.parts) == 1 and (save_dir / path).is_file():
        path = save_dir / path
    try:
        return Restart(open_checkpoint(path, "--restore-file"))
    except DamagedCheckpoint as error:
        newest = newest_whole(path.parent)
        if newest is None:
            raise UserError(f"{error}; there is no whole one in {path.parent}") from error
        newest.close()
        raise UserError(f"{error}; the newest whole one beside it is {newest.path}") from error
