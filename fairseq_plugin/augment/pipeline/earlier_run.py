"""What an earlier run has left in the same folder: it is gone on with, named, or replaced on request."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

_OURS = ("checkpoints", "generated", "augmented", "judge.json", "verdict.json", "steps")


def check_source(request: AugmentRequest, data: Path) -> None:
    """Make sure that the source's files are those that an earlier run prepared.

    Args:
        request: with a source.
        data: the prepared folder, which need not be there.

    Raises:
        UserError: a file has changed, and nothing is to be overwritten.
    """
    if request.overwrite or not (data / MANIFEST).is_file():
        return
    known = Manifest.load(data).source_files
    for split, path in request.files().items():
        if split in known and known[split].sha256 != sha256(path):
            raise UserError(
                f"{path} has changed since {data} was prepared from it: give --overwrite to start "
                "again with it (the earlier results go), or another --to"
            )


def begin_run(run: Path, data: Path, train: Sequence[str], overwrite: bool) -> None:
    """Note what a run is made from; what an earlier one made from something else goes or is named.

    Args:
        run: folder of the setting.
        data: the prepared folder.
        train: the command that trains; empty where a checkpoint is given.
        overwrite: results of other data or another command go.

    Raises:
        UserError: results of other data, or a damaged note, and nothing is to be overwritten.
    """
    place = run / "steps" / "run.json"
    now = {"manifest": sha256(data / MANIFEST), "train": list(train)}
    try:
        before = read_sealed(place)
    except OSError:
        before = now  # a new run, or one whose note is lost: every command checks for itself
    if before is None and not overwrite:
        raise UserError(
            f"{place} is damaged: its digest is not its own, so what {run} was made from is not known: "
            "give --overwrite to start again, or another --to"
        )
    before = before or {}
    if before.get("manifest") != now["manifest"] and not overwrite:
        raise UserError(
            f"{run} holds results of other data than {data} now is: give --overwrite to replace them, or "
            "another --to"
        )
    if overwrite and (before.get("manifest"), before.get("train")) != tuple(now.values()):
        for name in _OURS:
            path = run / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for folder in (place.parent, run / "checkpoints"):  # fairseq writes its log before it makes it
        folder.mkdir(parents=True, exist_ok=True)
    write_sealed(place, now)
