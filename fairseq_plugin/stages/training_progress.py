"""What a person sees of a training: a line per validation, and a bar with the time left.

fairseq's ``--log-format json`` says all that is needed; its own bar would take the place of the log that the
curves are drawn from.
"""

import json
import math
import sys

from tqdm import tqdm


class TrainingProgress:
    """Follows a training by its JSON lines.

    Args:
        num_epochs: most epochs.
        name: of the training, before the bar.
    """

    def __init__(self, num_epochs: int, name: str = "training") -> None:
        self._most = num_epochs
        self._bar = self._make_bar(num_epochs, name, "{n:.1f} of {total} epochs")
        self._best = math.inf

    @staticmethod
    def _make_bar(total: int, name: str, done: str) -> tqdm:
        form = "{desc} {percentage:3.0f}% |{bar}| " + done + ", at most {remaining} left{postfix}"
        return tqdm(
            total=total,
            desc=name,
            disable=not sys.stderr.isatty(),
            leave=False,
            bar_format=form,
            mininterval=0.5,
        )

    def see(self, line: str) -> str | None:
        """See :class:`~fairseq_plugin.stages.stage.Watcher`."""
        record = _record(line)
        if record is None:
            return None
        if "valid_loss" in record:
            return self._validation(record)
        self._move(self._done(record))
        return None

    def _done(self, record: dict[str, object]) -> float:
        """Epochs done at a line of the log."""
        return _number(record.get("update") or record.get("epoch")) or 0.0

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _move(self, done: float) -> None:
        if done > self._bar.n:
            self._bar.update(min(done, self._most) - self._bar.n)

    def _validation(self, record: dict[str, object]) -> str:
        perplexity = _number(record.get("valid_ppl")) or math.nan
        accuracy = _number(record.get("valid_accuracy"))
        loss = _number(record.get("valid_loss")) or math.nan
        # fairseq states the best so far, this one included, as its checkpoint knows it: since before a kill.
        stated = _number(record.get("valid_best_loss"))
        best = self._best if stated is None or stated >= loss else min(stated, self._best)
        is_best, self._best = loss < best, min(loss, best)
        epoch = int(_number(record.get("epoch")) or 0)
        shown = "" if accuracy is None else f", next-token accuracy {accuracy:.4f}"
        update = int(_number(record.get("valid_num_updates")) or 0)
        self._move(self._done_at(epoch, update))
        self._bar.set_postfix_str(f", perplexity {perplexity:.2f}", refresh=False)
        better = "" if is_best else " (not better)"
        return f"{self._where(epoch, update)}: validation perplexity {perplexity:.2f}{shown}{better}"

    def _done_at(self, epoch: int, update: int) -> float:
        """What a validation says of the way so far."""
        return epoch

    def _where(self, epoch: int, update: int) -> str:
        return f"epoch {epoch}"


class UpdateProgress(TrainingProgress):
    """Follows a training that has a number of updates, and validations inside epochs.

    Args:
        num_updates: most updates.
        name: of the training, before the bar.
    """

    def __init__(self, num_updates: int, name: str = "training") -> None:
        super().__init__(num_updates, name)
        self._bar.close()
        self._bar = self._make_bar(num_updates, name, "{n:.0f} of {total} updates")

    def _done(self, record: dict[str, object]) -> float:
        return _number(record.get("num_updates")) or 0.0

    def _done_at(self, epoch: int, update: int) -> float:
        return update

    def _where(self, epoch: int, update: int) -> str:
        return f"update {update:,}, epoch {epoch}"


def _record(line: str) -> dict[str, object] | None:
    start = line.find('{"')
    if start < 0:
        return None
    try:
        record = json.loads(line[start:])
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
