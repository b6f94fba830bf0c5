"""What ``fairseq-generate`` is asked to do, checked while an earlier run's results are still there.

The stock command empties ``generate-SUBSET.txt`` before it builds the task: a mistyped flag would cost
whatever was generated before. The only method of a task that it calls earlier is ``add_args``, with the
parser of the command line; so the flags are read once more there, and checked by the task itself.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from fairseq import tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import DictConfig

from fairseq_plugin.augment.generations.record import generation_lock
from fairseq_plugin.errors import UserError, plain_errors

_COMMANDS = ("fairseq-generate", "generate")  # python -m fairseq_cli.generate is the second


class ChecksBeforeGeneration:
    """A mixin for tasks: :meth:`check_generation` is called before ``fairseq-generate`` touches earlier
    results."""

    record_kind = ""  # what a generation's files are called

    @classmethod
    def add_args(cls, parser: argparse.ArgumentParser) -> None:
        """Add the task's flags, and check the command line where earlier results are at stake."""
        super().add_args(parser)  # type: ignore[misc]
        # At import fairseq calls this for every task, with a group of a parser that it throws away.
        if Path(sys.argv[0]).stem not in _COMMANDS or not isinstance(parser, argparse.ArgumentParser):
            return
        args, _ = parser.parse_known_args()
        with plain_errors():
            _check_flags(args)
            if _results_at_stake(args):
                # fairseq sets some flags that were not given to other values than None; so their defaults do.
                given = {name: value for name, value in vars(args).items() if value is not None}
                config: Any = convert_namespace_to_omegaconf(argparse.Namespace(**given))
                task = tasks.setup_task(config.task)
                task.check_generation(config)  # type: ignore[attr-defined]
                task.release_copies()  # type: ignore[attr-defined]  (the command makes its own)
                generation_lock(args.results_path, cls.record_kind).acquire().release()

    def check_generation(self, config: DictConfig) -> None:
        """Refuse what a generation with this configuration would refuse once it has begun.

        Args:
            config: fairseq's whole configuration.

        Raises:
            UserError: naming the flag.
        """
        raise NotImplementedError


def _check_flags(args: argparse.Namespace) -> None:
    """What fairseq itself only asserts."""
    if args.path is None:
        raise UserError("--path is missing: give the checkpoint that shall generate")
    if args.sampling and args.nbest != args.beam:
        raise UserError(
            f"--sampling draws --beam {args.beam} texts per sample and --nbest is {args.nbest}: give both "
            "the same number, --beam 1 --nbest 1 for one text"
        )


def _results_at_stake(args: argparse.Namespace) -> bool:
    if args.results_path is None:
        return False
    printed = Path(args.results_path) / f"generate-{args.gen_subset}.txt"
    return printed.is_file() and printed.stat().st_size > 0
