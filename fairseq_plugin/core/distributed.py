"""Refuse the trap of several processes that believe they train together and do not."""

import os
from collections.abc import Mapping

import torch.distributed

_MEND = (
    "WORLD_SIZE={size} in the environment, but this process belongs to no process group: {size} processes "
    "would train independently of each other and overwrite each other's checkpoints. On GPUs name their "
    "number: torchrun ... fairseq-train ... --distributed-world-size {size}. On CPUs start every process R "
    "of 0 .. {last} without torchrun: fairseq-train ... --cpu --distributed-backend gloo --ddp-backend "
    "legacy_ddp --distributed-world-size {size} --distributed-rank R --distributed-no-spawn "
    "--distributed-init-method tcp://127.0.0.1:PORT. A process that is meant to be alone: unset WORLD_SIZE"
)


def refuse_lonely_worker(environment: Mapping[str, str] | None = None) -> None:
    """Stop a worker that a launcher started as one of several, but that trains on its own.

    fairseq's default for ``--distributed-world-size`` is the number of local GPUs. Where that is 1 (a CPU
    machine, one GPU a node), the processes of ``torchrun`` never meet. To be called when training is being
    set up, after fairseq has had its chance to initialise the process group.

    Args:
        environment: mapping to read ``WORLD_SIZE`` from; default ``os.environ``.

    Raises:
        RuntimeError: ``WORLD_SIZE`` is greater than 1 (or not a number) and no process group is initialised.
            The message holds the mend.
    """
    value = (os.environ if environment is None else environment).get("WORLD_SIZE", "").strip() or "1"
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return
    if not value.isdecimal():
        raise RuntimeError(
            f"WORLD_SIZE={value!r} in the environment is not a number: unset it, or use torchrun"
        )
    if int(value) > 1:
        raise RuntimeError(_MEND.format(size=int(value), last=int(value) - 1))
