"""One process at a time: a lock file ``.X.lock`` beside ``X`` that names its owner.

The file holds the owner's process id, host and starting time as JSON. It appears whole (a link to a finished
file), so that nobody reads half an owner. A lock whose owner is dead is taken over with a line: on this host
that can be told, for a process id that was given out again belongs to a process that started at another
time. Of several who take over at once one wins: they queue on the old file's ``flock``, and whoever comes
second finds a new file under the name.
"""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import cannot_write, is_running, remove_leftovers, temporary_name

NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # file systems without hard links
BEING_WRITTEN = 10.0  # seconds; without links, a new lock is empty for a moment

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """A process that holds a lock.

    Attributes:
        pid, host: which process.
        boot: id of the host's boot, or "" where that is unknown; after another boot, all are dead.
        started: clock ticks from boot to the process's start, or None where that is unknown.
    """

    pid: int
    host: str
    boot: str
    started: int | None

    @classmethod
    def this_process(cls) -> "Owner":
        """The process that asks."""
        return cls(os.getpid(), socket.gethostname(), _boot(), _start_of(os.getpid()))

    @classmethod
    def parse(cls, content: bytes) -> "Owner | None":
        """From a lock file's bytes; None when they name nobody (a disk that lost them, another program)."""
        try:
            stated = json.loads(content)
            owner = cls(**{item.name: stated[item.name] for item in fields(cls)})
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        is_valid = type(owner.pid) is int and owner.pid > 0 and isinstance(owner.host, str)
        return owner if is_valid else None

    def may_live(self) -> bool:
        """False when the process is known to be gone. Of another host's processes nothing is known."""
        if self.host != socket.gethostname():
            return True
        if self.boot and _boot() and self.boot != _boot():
            return False
        started = _start_of(self.pid)
        if started is not None and self.started is not None:
            return started == self.started
        return is_running(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class FolderLock:
    """The lock of a folder or file, held between :meth:`acquire` and :meth:`release`, or in a ``with`` block.

    A process that is killed leaves it behind; the next one takes it over. It belongs to the process that
    acquired it: a forked child neither holds nor releases it.
    """

    def __init__(
        self, path: str | os.PathLike[str], flag: str = "--to", what: str | os.PathLike[str] | None = None
    ) -> None:
        """
        Args:
            path: what is locked; its lock is beside it (``runs/a`` -> ``runs/.a.lock``). Where the
                parent folder may not be written, name a file inside: ``runs/a/training``.
            flag: the flag that named it, for messages.
            what: how messages call it, if not by its path.
        """
        self.path = lock_path(path)
        self._what, self._flag = Path(what or path), flag
        self._mine: Owner | None = None

    def acquire(self) -> "FolderLock":
        """Take the lock; parents of the path are made.

        Raises:
            UserError: another process holds it (the message names it), or it cannot be written.
        """
        mine = Owner.this_process()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.path)
            while not self._create(mine) and not self._take_over(mine):
                pass  # it was released between our two looks
        except OSError as error:
            raise cannot_write(self._what, error) from error
        self._mine = mine
        return self

    def release(self) -> None:
        """Give the lock back; does nothing where this process does not hold it."""
        mine, self._mine = self._mine, None
        if mine is None or mine.pid != os.getpid():
            return
        try:
            if Owner.parse(self.path.read_bytes()) == mine:
                self.path.unlink()
        except OSError:
            logger.warning("cannot remove the lock %s; the next run takes it over", self.path)

    def __enter__(self) -> "FolderLock":
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _create(self, mine: Owner) -> bool:
        """True when there was no lock and now there is ours."""
        temporary = self._written(mine)
        try:
            os.link(temporary, self.path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._create_without_links(temporary.read_bytes())
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _create_without_links(self, content: bytes) -> bool:
        try:
            with open(self.path, "xb") as stream:
                stream.write(content)
        except FileExistsError:
            return False
        return True

    def _take_over(self, mine: Owner) -> bool:
        """True when ours replaced a dead owner's; False when the lock changed meanwhile: look again."""
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                stands = os.stat(self.path)
            except FileNotFoundError:
                return False
            seen = os.fstat(handle)
            if (stands.st_dev, stands.st_ino) != (seen.st_dev, seen.st_ino):
                return False
            owner = Owner.parse(os.read(handle, 1 << 16))
            if owner is not None and owner.may_live():
                raise UserError(self._refusal(owner, mine))
            if owner is None and time.time() - seen.st_mtime < BEING_WRITTEN:
                raise UserError(f"{self._flag} {self._what} is being locked by another process; try again")
            os.replace(self._written(mine), self.path)
        finally:
            os.close(handle)
        logger.warning(
            "%s was left by %s, which is gone: taken over", self.path, owner or "an unknown process"
        )
        return True

    def _written(self, mine: Owner) -> Path:
        """A temporary file that names us, on disk."""
        temporary = temporary_name(self.path)
        try:
            with open(temporary, "x", encoding="utf-8") as stream:
                json.dump(asdict(mine), stream)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _refusal(self, owner: Owner, mine: Owner) -> str:
        told = f"{self._flag} {self._what} is in use by {owner}"
        if owner == mine:
            return f"{told}, this process itself; finish the first use before the second"
        if owner.host == mine.host:
            return f"{told}; wait for it to end, or name another folder"
        return f"{told}; wait for it to end, or name another folder; if it is gone, remove {self.path}"


@contextmanager
def owned(path: str | os.PathLike[str], flag: str = "--to") -> Iterator[FolderLock]:
    """Hold the lock of a path for a ``with`` block; see :class:`FolderLock`."""
    with FolderLock(path, flag) as lock:
        yield lock


def lock_path(path: str | os.PathLike[str]) -> Path:
    """Where the lock of a path is: ``X`` -> ``.X.lock`` beside it."""
    path = Path(os.path.abspath(path))  # so that "." and "a/.." have names
    return path.with_name(f".{path.name}.lock")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _start_of(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; -1 for a dead one not yet reaped, None: unknown."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        state, *values = content.rpartition(")")[2].split()  # the name before it may hold anything
        return -1 if state in "ZX" else int(values[18])
    except (OSError, ValueError, IndexError):
        return None
