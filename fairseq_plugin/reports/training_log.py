"""Curves out of fairseq's training log (``--log-format json --log-file FILE``, or a saved console log).

fairseq adds a handler to the log file for every epoch and every validation, so a line of epoch k
is there several times; points are therefore keyed by update, and the last word counts. A run that was
resumed goes on in the same file: where the update number steps back, the points after the step-back were made
again and the old ones are dropped.
"""

import bisect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError

CURVES = {
    "loss": "loss as trained (bits per token)",
    "nll_loss": "negative log likelihood (bits per token)",
    "ppl": "perplexity per token",
    "accuracy": "share of next tokens guessed right",
    "novel": "share of targets that were novel",
    "rep_128": "share of guesses that repeat one of the last 128 tokens",
    "wrep_128": "share of guesses that repeat one of the last 128 tokens and are wrong",
    "human_rep_128": "share of true tokens that repeat one of the last 128",
    "gamma": "gamma",
    "lr": "learning rate",
}
LOG_NAMES = ("train.log", "train.jsonl", "train.json", "log.json", "log.jsonl")


Points = list[tuple[int, float]]  # (update, value), by update


@dataclass(frozen=True)
class Curves:
    """What a training log tells.

    Attributes:
        train, valid: the points of each curve of :data:`CURVES` that has a finite value.
        epochs: ``(update, epochs done)``, by update; epochs done may be a fraction.
    """

    train: dict[str, Points] = field(default_factory=dict)
    valid: dict[str, Points] = field(default_factory=dict)
    epochs: Points = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is any curve."""
        return bool(self.train or self.valid)

    def of_split(self, split: str) -> dict[str, Points]:
        """The curves of "train" or "valid"."""
        return self.valid if split == "valid" else self.train


def parse_training_log(text: str) -> Curves:
    """Read the curves.

    Args:
        text: the log. Lines that hold no JSON object are passed over.
    """
    points: dict[str, dict[int, Any]] = {
        "interval": {}, "epoch": {}, "valid": {}, "clock": {}, "epoch ends": {},
    }  # fmt: skip
    for line in text.split("\n"):
        record = _json_object(line)
        if record is None:
            continue
        series, prefix = _series_of(record)
        update = _number(record.get(f"{prefix}num_updates"))
        if update is None:
            continue
        for by_update in points.values():
            while by_update and next(reversed(by_update)) > update:  # they are in ascending order
                by_update.popitem()
        values = {curve: _number(record.get(prefix + curve)) for curve in CURVES}
        points[series].setdefault(int(update), {}).update(
            {curve: value for curve, value in values.items() if value is not None}
        )
        # fairseq writes epochs done as "update" where it logs an interval; "epoch" counts from 1.
        for clock, where, key in (("clock", "interval", "update"), ("epoch ends", "epoch", "epoch")):
            if series == where and (done := _number(record.get(key))) is not None:
                points[clock][int(update)] = done
    # Means over a whole epoch do not belong among means over single intervals: use one kind.
    train = points["interval"] if len(points["interval"]) > 1 else points["epoch"] or points["interval"]
    # An epoch that --max-update cut short ends in the log too: its end tells less than an interval.
    epochs = sorted((points["clock"] or points["epoch ends"]).items())
    return Curves(_curves(train), _curves(points["valid"]), epochs)


@dataclass(frozen=True)
class Best:
    """The validation with the lowest loss, the earlier one of equals.

    Attributes:
        update: number of updates done.
        loss: in bits per token, as fairseq logs it.
        epoch: the running epoch, from 1; None where the log tells no epochs.
    """

    update: int
    loss: float
    epoch: int | None


def best_validation(curves: Curves) -> Best | None:
    """Find the best epoch; None where nothing was validated."""
    points = curves.valid.get("loss") or curves.valid.get("nll_loss")
    if not points:
        return None
    update, loss = min(points, key=lambda point: (point[1], point[0]))
    (done,) = epochs_at(curves.epochs, [update]) or [None]
    return Best(update, loss, None if done is None else max(1, math.ceil(done - 1e-3)))


def epochs_at(clock: Points, updates: Sequence[float]) -> list[float] | None:
    """Epochs done at each of some updates, between and beyond the logged ones by straight lines.

    Args:
        clock: :attr:`Curves.epochs`.
        updates: numbers of updates.

    Returns:
        One number per update; None where the log tells no epochs.

    >>> epochs_at([(100, 1.0), (200, 2.0)], [50, 150, 300])
    [0.5, 1.5, 3.0]
    """
    clock = [(0, 0.0), *((update, done) for update, done in clock if update > 0)]
    if len(clock) < 2:
        return None
    found = []
    for update in updates:
        right = min(max(1, bisect.bisect_left(clock, (update, -math.inf))), len(clock) - 1)
        (u0, e0), (u1, e1) = clock[right - 1], clock[right]
        found.append(e0 + (e1 - e0) * (update - u0) / (u1 - u0))
    return found


def _series_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """What a record speaks of, and the prefix of its keys."""
    for prefix, series in (("valid_", "valid"), ("train_", "epoch")):
        if f"{prefix}num_updates" in record:
            return series, prefix
    return "interval", ""


def _curves(by_update: Mapping[int, Mapping[str, float]]) -> dict[str, Points]:
    curves = {}
    for curve in CURVES:
        found = [(update, values[curve]) for update, values in sorted(by_update.items()) if curve in values]
        if found:
            curves[curve] = found
    return curves


def _json_object(line: str) -> dict[str, Any] | None:
    start = line.find("{")
    if start < 0:
        return None
    try:
        record = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _number(value: object) -> float | None:
    """fairseq writes numbers as numbers or as strings."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        value = float(value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_run(paths: Sequence[str | Path]) -> Curves:
    """Read a run: one log, or the logs of its restarts in their order.

    Args:
        paths: log files, or folders that hold one (:data:`LOG_NAMES`).

    Raises:
        UserError: no such file, or no record of training in it.
    """
    texts = []
    for path in map(Path, paths):
        if path.is_dir():
            found = next((path / name for name in LOG_NAMES if (path / name).is_file()), None)
            if found is None:
                raise UserError(f"{path} holds no {' or '.join(LOG_NAMES)}; name fairseq-train's --log-file")
            path = found
        if not path.is_file():
            raise UserError(
                f"there is no log {path}; name fairseq-train's --log-file, or a folder that holds it"
            )
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
    curves = parse_training_log("\n".join(texts))
    if not curves:
        raise UserError(
            f"{' '.join(map(str, paths))}: no record of training; train with --log-format json "
            "--log-file FILE"
        )
    return curves


def name_runs(paths: Sequence[str | Path]) -> list[str]:
    """A short name for every log: what tells its path from the others' (``runs/a/train.log`` -> ``a``)."""
    parts = [Path(path).absolute().parts for path in paths]
    parts = [one[:-1] if one[-1] in LOG_NAMES else (*one[:-1], _without_ending(one[-1])) for one in parts]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _without_ending(name: str) -> str:
    return next(
        (name[: -len(end)] for end in (".log", ".jsonl", ".json", ".txt") if name.endswith(end)), name
    )


def find_training_log(
    path: str | Path | None, checkpoint: str | Path | None
) -> tuple[Curves, str] | tuple[None, None]:
    """Read the log that was named, or one that is beside the checkpoint.

    Args:
        path: the value of ``--train-log``, or None.
        checkpoint: the checkpoint's path, or None.

    Returns:
        ``(curves, path)``, or ``(None, None)`` where none was named and none is there.

    Raises:
        UserError: the named file is missing or holds no training record.
    """
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"--train-log {path} does not exist; give fairseq-train's --log-file")
        curves = parse_training_log(Path(path).read_text(encoding="utf-8", errors="replace"))
        if not curves:
            raise UserError(
                f"--train-log {path} holds no training record; train with --log-format json --log-file FILE"
            )
        return curves, str(path)
    if checkpoint is not None:
        for name in LOG_NAMES:
            candidate = Path(checkpoint).parent / name
            if candidate.is_file():
                curves = parse_training_log(candidate.read_text(encoding="utf-8", errors="replace"))
                if curves:
                    return curves, str(candidate)
    return None, None
