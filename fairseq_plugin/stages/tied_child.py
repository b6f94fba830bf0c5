"""A command that does not outlive the process that started it: a killed run leaves nothing running.

This file is a program, too: ``python tied_child.py PARENT COMMAND...`` ties itself to its parent, and becomes
the command. Linux keeps the tie when a process becomes another program. It would be simpler to tie the child
between fork and exec (``preexec_fn``), but there Python must not run where the parent has threads, and
notebooks and progress bars have them.
"""

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h: a signal for this process when its parent is gone
_NOT_FOUND = 127  # exit status where there is no such program, as shells have it


def tied(command: Sequence[str]) -> list[str]:
    """The words that run a command so that it ends when this process does, however that ends.

    The kernel counts the thread that starts the command as its parent: it has to wait for the command, as
    ``subprocess.run`` does. Elsewhere than on Linux the command is left as it is.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    import ctypes  # here: whoever only asks for the words does not pay for it

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the tie held, and nobody would ever tell
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"error: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(_NOT_FOUND)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
