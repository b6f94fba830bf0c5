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
        self._epochs = num_epochs
        form = (
            "{desc} {percentage:3.0f}% |{bar}| {n:.1f} of {total} epochs, at most {remaining} left{postfix}"
        )
        self._bar = tqdm(
            total=num_epochs,
            desc=name,
            disable=not sys.stderr.isatty(),
            leave=False,
            bar_format=form,
            mininterval=0.5,
        )
        self._best = math.inf

    def see(self, line: str) -> str | None:
        """See :class:`~fairseq_plugin.stages.stage.Watcher`."""
        record = _record(line)
        if record is None:
            return None
        if "valid_loss" in record:
            return self._validation(record)
        self._move(_number(record.get("update") or record.get("epoch")) or 0.0)
        return None

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _move(self, epochs_done: float) -> None:
        if epochs_done > self._bar.n:
            self._bar.update(min(epochs_done, self._epochs) - self._bar.n)

    def _validation(self, record: dict[str, object]) -> str:
        perplexity = _number(record.get("valid_ppl")) or math.nan
        accuracy = _number(record.get("valid_accuracy"))
        loss = _number(record.get("valid_loss")) or math.nan
        is_best, self._best = loss < self._best, min(loss, self._best)
        epoch = int(_number(record.get("epoch")) or 0)
        shown = "" if accuracy is None else f", next-token accuracy {accuracy:.4f}"
        self._move(epoch)
        self._bar.set_postfix_str(f", perplexity {perplexity:.2f}", refresh=False)
        better = "" if is_best else " (not better)"
        return f"epoch {epoch}: validation perplexity {perplexity:.2f}{shown}{better}"


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
