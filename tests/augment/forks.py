"""Processes without an interpreter's start: forks of the test's process, which has imported all."""

import os
import sys
import traceback
from collections.abc import Callable

import torch


def in_fork(work: Callable[[], object]) -> int:
    """Run something in a child, silently.

    Returns:
        Its process id; its status is 0 if the work ended without an exception.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # pytest's own is no file
            torch.set_num_threads(1)  # threads do not survive a fork
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid
