"""What our tasks do about checkpoints before fairseq opens one: it gets verified private copies.

fairseq reads ``--path``, ``--lm-path``, ``--restore-file``, ``--continue-once`` and
``--finetune-from-model`` by itself, by name, after ``setup_task``. No hook lies in between, so the task puts
the names of verified copies into fairseq's own configuration, from which its commands take them, and puts
the given names back once they have been read.
``fairseq-validate`` opens its file before any task exists: there the argument parser, which every task may
extend (``add_args``), exchanges the name.
"""

import argparse
import logging
import os
import sys
from ast import literal_eval
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from fairseq import utils
from fairseq.distributed import utils as distributed_utils
from omegaconf import DictConfig, OmegaConf

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.storage.checkpoint_restart import Restart, choose_restart
from fairseq_plugin.storage.checkpoint_settings import check_model
from fairseq_plugin.storage.checkpoints import Checkpoint, open_checkpoint
from fairseq_plugin.storage.data_identity import check_identity
from fairseq_plugin.storage.training_settings import (
    DATA,
    changed_data,
    changed_settings,
    check_changes,
    check_same_optimizer,
    optimizer_overrides,
    told_settings,
)
from fairseq_plugin.tasks.disk_errors import explain_disk_errors
from fairseq_plugin.tasks.log_file import close_repeated_handlers
from fairseq_plugin.tasks.patience import PATIENCE, patience_state, restore_patience
from fairseq_plugin.tasks.save_dir_lock import lock_save_dir

logger = logging.getLogger(__name__)


_TRAINING = ("fairseq-train", "train")  # python -m fairseq_cli.train is the second


class VerifiedCheckpoints:
    """A mixin for tasks; ``setup_task`` calls :meth:`verify_checkpoints` on the new task."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._copies: list[Checkpoint] = []
        self._given_names: dict[str, object] = {}  # restored once fairseq has read the copies
        self._root: DictConfig | None = None
        self._goes_on_from: Checkpoint | None = None  # a training whose settings must be the same

    def data_identity(self) -> dict[str, object]:
        """What tells this task's data from others, kept in checkpoints: see :mod:`storage.data_identity`."""
        raise NotImplementedError

    @classmethod
    def add_args(cls, parser: argparse.ArgumentParser) -> None:
        """Add the task's flags, and check on the way what no task sees in time.

        That is ``--path`` of ``fairseq-validate``, and a batch size that ``fairseq-train`` only asserts.
        """
        super().add_args(parser)  # type: ignore[misc]
        # At import fairseq calls this for every task, with a group of a parser that it throws away.
        if Path(sys.argv[0]).stem in _TRAINING and isinstance(parser, argparse.ArgumentParser):
            args, _ = parser.parse_known_args()
            with plain_errors():
                if args.max_tokens is None and args.batch_size is None:
                    raise UserError(
                        "no batch size is given: add --max-tokens N (tokens per batch, padding included) or "
                        "--batch-size N (examples per batch)"
                    )
        if isinstance(parser, argparse.ArgumentParser) and Path(sys.argv[0]).name.startswith("fairseq-"):
            explain_disk_errors(sys.argv)
        flags = {flag: action for action in parser._actions for flag in action.option_strings}
        if "--path" in flags and not flags.keys() & {"--beam", "--context-window"}:  # of generate; of eval-lm
            flags["--path"].type = _verified_name
        for flag, check in _CHECKS.items():
            if flag in flags:  # fairseq uses them before any task exists, or stumbles over them later
                flags[flag].type = check

    def verify_checkpoints(self, cfg: DictConfig, task: str, *also: str) -> None:
        """Verify the checkpoints that the command will read, and let fairseq read copies of them.

        Args:
            cfg: the task's configuration, below the command's.
            task: the task that checkpoints for ``--path`` were trained with,
            also: or one of these.

        Raises:
            UserError: one is missing, damaged, unsafe, or of another task or training.
        """
        # fairseq hands over a copy of the task's section; the command's own configuration is its parent.
        self._root = cfg.__dict__.get("_parent")
        if cfg.path:
            self._verify_for_reading(cfg, self._root, (task, *also))
        elif self._root is not None and "checkpoint" in self._root:
            self._verify_for_training(cfg, self._root)

    def trained_positions(self) -> int | None:
        """Positions of the GPT-2 in ``--path``, before it is built; ``None``: another model, or no file."""
        models = [checkpoint.config.get("model") for checkpoint in self._copies]
        found = [model.get("n_positions") for model in models if isinstance(model, Mapping)]
        known = [positions for positions in found if isinstance(positions, int)]
        return min(known) if known and len(known) == len(found) else None

    def _verify_for_reading(self, cfg: DictConfig, root: DictConfig | None, tasks: tuple[str, ...]) -> None:
        _refuse_shards(root)
        checkpoints = [open_checkpoint(path, "--path") for path in utils.split_paths(cfg.path)]
        self._copies += checkpoints
        for checkpoint in checkpoints:
            trained = (checkpoint.config.get("task") or {}).get("_name", tasks[0])
            if trained not in tasks:
                raise UserError(
                    f"--path {checkpoint.path} was trained with --task {trained}, not {tasks[0]}: "
                    "give a checkpoint of this task, or use that task"
                )
        if root is None:  # a caller without a command: it loads what it likes
            return
        root.common_eval.path = os.pathsep.join(checkpoint.name for checkpoint in checkpoints)
        if root.generation.lm_path:
            self._copies.append(open_checkpoint(root.generation.lm_path, "--lm-path"))
            root.generation.lm_path = self._copies[-1].name

    def _verify_for_training(self, cfg: DictConfig, root: DictConfig) -> None:
        flags = root.checkpoint
        if (
            not flags.no_save and distributed_utils.get_global_rank() == 0
        ):  # workers of one run share the folder
            lock_save_dir(flags.save_dir)
        start = choose_restart(
            flags.save_dir,
            flags.restore_file,
            flags.finetune_from_model,
            flags.checkpoint_suffix,
            flags.continue_once,
        )
        if start is None:
            return
        self._copies.append(start.checkpoint)
        if start.message:
            logger.warning(start.message)
        if not start.is_new and not flags.reset_optimizer and not flags.reset_dataloader:
            self._check_settings(start.checkpoint, root, cfg.accept_changed_settings)
            if not flags.reset_meters:
                restore_patience(start.checkpoint.state.get("task_state") or {})
        self._put_into_configuration(start, root)

    def _check_settings(self, checkpoint: Checkpoint, root: DictConfig, accepted: bool) -> None:
        self._goes_on_from = None if accepted else checkpoint
        current = cast(dict[str, Any], OmegaConf.to_container(root, resolve=True, enum_to_str=True))
        saved_data = (checkpoint.state.get("task_state") or {}).get(DATA)
        changes = changed_settings(checkpoint.config, current)
        changes += changed_data(saved_data, self.data_identity())
        if message := check_changes(changes, checkpoint.path, accepted):
            logger.warning(message)
        check_same_optimizer(checkpoint.config, current, checkpoint.path)
        if told := told_settings(checkpoint.config, current):
            logger.info("going on from %s with %s", checkpoint.path, ", ".join(map(str, told)))
        if changed := optimizer_overrides(checkpoint.config, current):
            self._given_names["optimizer_overrides"] = given = root.checkpoint.optimizer_overrides
            root.checkpoint.optimizer_overrides = repr(changed | literal_eval(given))

    def _put_into_configuration(self, start: Restart, root: DictConfig) -> None:
        flags, name = root.checkpoint, start.checkpoint.name
        if distributed_utils.get_global_rank() and not _every_rank_reads(root):
            name = str(start.checkpoint.path)  # rank 0 sends what it read; here the name must only exist
            start.checkpoint.close()
        logger.info("fairseq reads %s as %s", start.checkpoint.path, name)
        self._given_names |= {key: flags[key] for key in ("restore_file", "finetune_from_model")}
        if start.is_new:
            flags.finetune_from_model = name
        else:  # fairseq refuses both together, although the second is only for the first launch
            flags.restore_file, flags.finetune_from_model = name, None

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """fairseq's hook at the beginning of an epoch; by then it has opened ``--log-file`` once more."""
        super().begin_epoch(epoch, model)  # type: ignore[misc]
        close_repeated_handlers()

    def get_batch_iterator(self, dataset: Any, **kwargs: Any) -> Any:
        """fairseq's hook that comes after every command has read its checkpoints, and before it saves one."""
        self.release_copies()
        return super().get_batch_iterator(dataset, **kwargs)  # type: ignore[misc]

    def release_copies(self) -> None:
        """Free the copies and put the names back that the user gave, for the checkpoints to be saved."""
        if self._root is not None:
            for key, value in self._given_names.items():
                self._root.checkpoint[key] = value
        for checkpoint in self._copies:
            checkpoint.close()
        self._given_names, self._copies = {}, []

    def build_model(self, cfg: object, from_checkpoint: bool = False) -> Any:
        """Build a model; one that a checkpoint names only if that runs nothing of what it says."""
        if from_checkpoint:  # also for callers who load a checkpoint without our commands
            with plain_errors():
                plain = OmegaConf.to_container(cfg, resolve=False) if OmegaConf.is_config(cfg) else cfg
                check_model(plain, "the checkpoint")
        model = super().build_model(cfg, from_checkpoint)  # type: ignore[misc]
        if self._goes_on_from is not None and OmegaConf.is_config(cfg):
            with plain_errors():  # now the sizes that --arch decides are known
                built = {"model": OmegaConf.to_container(cast(DictConfig, cfg), resolve=True)}
                saved = {"model": self._goes_on_from.config.get("model")}
                check_changes(changed_settings(saved, built), self._goes_on_from.path, accepted=False)
        return model

    def state_dict(self) -> dict[str, Any]:
        """fairseq's hook: what a checkpoint keeps of the task."""
        own = {DATA: self.data_identity(), PATIENCE: patience_state()}
        return {**super().state_dict(), **own}  # type: ignore[misc]

    @plain_errors()
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """fairseq's hook before it builds a checkpoint's model: was it trained with these labels and symbols?

        Raises:
            SystemExit: with others.
        """
        if message := check_identity(state_dict.get(DATA), self.data_identity()):
            logger.info(message)
        own = (DATA, PATIENCE)
        super().load_state_dict({k: v for k, v in state_dict.items() if k not in own})  # type: ignore[misc]


def _every_rank_reads(root: DictConfig) -> bool:
    """Whether fairseq loads the checkpoint in every process; see its ``Trainer.load_checkpoint``."""
    return bool(
        root.checkpoint.load_checkpoint_on_all_dp_ranks
        or root.distributed_training.ddp_backend == "fully_sharded"
        or getattr(root.model, "base_layers", 0)
    )


def _refuse_shards(root: DictConfig | None) -> None:
    flags = getattr(root, "checkpoint", None)
    if flags is not None and (flags.checkpoint_suffix or flags.checkpoint_shard_count != 1):
        raise UserError(
            f"--checkpoint-suffix {flags.checkpoint_suffix!r} --checkpoint-shard-count "
            f"{flags.checkpoint_shard_count}: "
            "checkpoints in several files are not read by this task; leave both flags out"
        )


def _seed(text: str) -> int:
    if not 0 <= (seed := int(text)) < 2**32:  # numpy's range
        raise argparse.ArgumentTypeError(f"--seed {seed}: give a seed from 0 to {2**32 - 1:,}")
    return seed


def _update_freq(text: str) -> list[int]:
    numbers = [int(number) for number in text.strip("[]() ").split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"--update-freq {text}: give whole numbers of 1 or more")
    return numbers


def _at_least_one(flag: str) -> Callable[[str], int]:
    def check(text: str) -> int:
        if (number := int(text)) < 1:
            raise argparse.ArgumentTypeError(f"{flag} {number}: give a whole number of 1 or more")
        return number

    return check


_COUNTS = ("--batch-size", "--batch-size-valid", "--max-tokens", "--max-tokens-valid", "--num-shards")
_CHECKS: dict[str, Callable[[str], object]] = {
    "--seed": _seed,
    "--update-freq": _update_freq,
    **{flag: _at_least_one(flag) for flag in _COUNTS},
}


# fairseq-validate parses its command line four times, and opens the name after that: kept open to the end.
_validated: dict[tuple[str, int, int], Checkpoint] = {}


@plain_errors()
def _verified_name(path: str) -> str:
    stat = os.stat(path) if os.path.exists(path) else None
    key = (path, stat.st_mtime_ns, stat.st_size) if stat else (path, 0, 0)
    if key not in _validated:
        _validated[key] = open_checkpoint(path, "--path")
    return _validated[key].name
