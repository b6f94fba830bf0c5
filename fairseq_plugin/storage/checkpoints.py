"""The one way to a checkpoint: bytes read once, every checksum verified, nothing executed, settings checked.

fairseq loads a checkpoint by itself, from a file name, and several times in one command. What it gets is the
name of a private copy in memory that has passed everything here: a training that rewrites the file meanwhile,
or a second file that fairseq would prefer (``NAME-shard0.pt``), cannot slip in behind the check.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.storage.checkpoint_settings import check_settings
from fairseq_plugin.storage.torch_archive import check_archive, in_memory, load_archive

PATTERN = "checkpoint*.pt"
WHAT = "checkpoint"
# fairseq copies over checkpoint_last.pt in place. A file that changed while it was read is read again.
_TRIES, _SECONDS_BETWEEN = 20, 0.1


class DamagedCheckpoint(UserError):
    """A file that is not a whole checkpoint: its checksums fail, or it ends early."""


@dataclass
class Checkpoint:
    """A checkpoint that is whole and safe to build from.

    Attributes:
        path: the file it was read from.
        state: what it holds, tensors on the CPU.
        name: what fairseq can open in place of ``path`` until :meth:`close`: the bytes that were verified.
    """

    path: Path
    state: Mapping[str, Any]
    name: str
    _copy: ExitStack = field(repr=False)

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that fairseq saved."""
        return self.state["cfg"]

    @property
    def num_updates(self) -> int:
        """How many updates it was trained for."""
        return num_updates(self.state)

    def sha256(self) -> str:
        """The SHA-256 of the bytes that were read; before :meth:`close`."""
        return sha256(self.name)

    def close(self) -> None:
        """Free the copy; ``state`` stays usable, ``name`` does not."""
        self._copy.close()


def open_checkpoint(path: str | os.PathLike[str], flag: str = WHAT) -> Checkpoint:
    """Read a checkpoint; every path that reads one goes through here.

    Args:
        path: the file.
        flag: the flag that named it, for messages.

    Returns:
        The :class:`Checkpoint`; :meth:`Checkpoint.close` it when nothing needs its ``name`` any more.

    Raises:
        UserError: there is no such file, it holds more than tensors and plain settings, or its settings could
            run code; :class:`DamagedCheckpoint`: it is damaged. Names the file and what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{flag}: there is no checkpoint {path}; train one, or name another file")
    for _ in range(_TRIES):
        before = _signature(path)
        try:
            return _read(path, flag)
        except DamagedCheckpoint as error:
            damage = error
            time.sleep(_SECONDS_BETWEEN)
            if _signature(path) == before:
                raise
    raise DamagedCheckpoint(f"{damage}; it was rewritten all the time: name a copy of it")


def read_checkpoint(path: str | os.PathLike[str], flag: str = WHAT) -> Mapping[str, Any]:
    """What a checkpoint holds, for readers that need no file name; see :func:`open_checkpoint`."""
    checkpoint = open_checkpoint(path, flag)
    checkpoint.close()
    return checkpoint.state


def num_updates(state: Mapping[str, Any]) -> int:
    """The number of updates that a checkpoint was trained for; 0 where it does not say."""
    history = state.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else None
    number = last.get("num_updates") if isinstance(last, Mapping) else None
    return number if isinstance(number, int) else 0


def newest_whole(folder: str | os.PathLike[str]) -> Checkpoint | None:
    """The whole checkpoint of a folder that was trained longest, by its own count, not the file's time."""
    paths = sorted(Path(folder).glob(PATTERN))
    for path in sorted(paths, key=_claimed_updates, reverse=True):
        try:
            return open_checkpoint(path)
        except UserError:
            continue
    return None


def _read(path: Path, flag: str) -> Checkpoint:
    with ExitStack() as copy:
        stream = copy.enter_context(in_memory(path))
        try:
            check_archive(stream, path, WHAT, "use another one")
        except UserError as error:
            raise DamagedCheckpoint(f"{flag}: {error}") from error
        state = load_archive(stream, f"{flag}: {path}", WHAT)
        if not isinstance(state, Mapping) or not isinstance(state.get("model"), Mapping):
            raise UserError(f"{flag}: {path} is not a fairseq checkpoint: it holds no model")
        check_settings(state, f"{flag}: {path}")
        return Checkpoint(path, state, _name_of(stream, copy), copy.pop_all())


def _name_of(stream: BinaryIO, copy: ExitStack) -> str:
    """A file name under which fairseq can open a stream, also in the processes that it starts."""
    try:
        # Not /proc/self: a child process would look among its own open files.
        name = f"/proc/{os.getpid()}/fd/{stream.fileno()}"
        if os.path.isfile(name):
            return name
    except OSError:  # without memfd_create (not Linux) the copy has no descriptor
        pass
    temporary = tempfile.NamedTemporaryFile(prefix="checkpoint-", suffix=".pt")  # noqa: SIM115
    file = copy.enter_context(temporary)
    stream.seek(0)
    shutil.copyfileobj(stream, file)
    file.flush()
    return file.name


def _claimed_updates(path: Path) -> int:
    """What a file says about its updates, before anything about it is verified; -1: it cannot be read."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # reads no tensor
        return num_updates(state)
    except Exception:  # whatever damage does to torch: such a file comes last
        return -1


def _signature(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
