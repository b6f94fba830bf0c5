"""Which update a criterion works on: the number that fairseq's trainer hands to ``task.train_step``."""

import functools

from fairseq_plugin.errors import UserError


class UpdateNumber:
    """Follow the training's updates.

    A criterion is not told the update. Its task is, for any model, for every batch of an update
    (``--update-freq``), on every worker, and after a resume: so the task's ``train_step`` notes it.

    Args:
        task: the fairseq task; only this instance's ``train_step`` is wrapped.

    Attributes:
        before: updates made before the one at work; None before the first training step.
    """

    def __init__(self, task):
        self.before = None
        plain = getattr(task, "train_step", None)
        if plain is None:
            return

        @functools.wraps(plain)
        def train_step(sample, model, criterion, optimizer, update_num, *words, **options):
            self.before = int(update_num)
            return plain(sample, model, criterion, optimizer, update_num, *words, **options)

        task.train_step = train_step

    def require(self, flag):
        """``before``, for a flag that depends on it.

        Raises:
            UserError: the criterion was called past the task, so the update is not known.
        """
        if self.before is None:
            raise UserError(f"{flag} depends on the update: train through fairseq's task.train_step")
        return self.before

    def in_words(self):
        """The update at work, counted from 1, for messages."""
        return "an unknown update" if self.before is None else f"update {self.before + 1}"
