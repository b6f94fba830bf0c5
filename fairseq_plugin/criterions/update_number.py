"""Which update a criterion works on: the number that fairseq's trainer hands to ``task.train_step``."""

import functools
from typing import Any

from fairseq_plugin.errors import UserError


class UpdateNumber:
    """Follow the training's updates.

    A criterion is told neither the update nor its number, and there is no plain way to ask: the trainer hands
        the number to ``task.train_step`` alone, of whatever task is trained, stock ones included, and keeps
        it to itself otherwise. (``model.set_num_updates`` reaches modules of the model only.) So the
        ``train_step`` of this one task object notes the number it is called with, for every batch of an
        update (``--update-freq``), on every worker, and after a resume; the class and all other tasks stay as
        they are.

    Args:
        task: the fairseq task.

    Attributes:
        before: updates made before the one at work; None before the first training step.
    """

    def __init__(self, task: Any) -> None:
        self.before: int | None = None
        plain = getattr(task, "train_step", None)
        if plain is None:
            return

        @functools.wraps(plain)
        def train_step(
            sample: Any,
            model: Any,
            criterion: Any,
            optimizer: Any,
            update_num: int,
            *args: Any,
            **options: Any,
        ) -> Any:
            self.before = int(update_num)
            return plain(sample, model, criterion, optimizer, update_num, *args, **options)

        task.train_step = train_step

    def require(self, flag: str) -> int:
        """``before``, for a flag that depends on it.

        Raises:
            UserError: the criterion was called past the task, so the update is not known.
        """
        if self.before is None:
            raise UserError(f"{flag} depends on the update: train through fairseq's task.train_step")
        return self.before

    def in_words(self) -> str:
        """The update at work, counted from 1, for messages."""
        return "an unknown update" if self.before is None else f"update {self.before + 1}"

    def done_in_words(self) -> str:
        """After which update a validation comes, for messages: that update has changed the weights."""
        return "" if self.before is None else f" after update {self.before + 1}"
