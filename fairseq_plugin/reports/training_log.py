"""Curves out of fairseq's training log (``--log-format json --log-file FILE``, or a saved console log).

fairseq adds a handler to the log file for every epoch and every validation, so a line of epoch k
stands there several times; points are therefore keyed by update, and the last word counts. A run that was
resumed goes on in the same file: where the update number steps back, the points after the step-back were made
again and the old ones are dropped.
"""

import json
import math
from pathlib import Path

from fairseq_plugin.errors import UserError

CURVES = {
    "loss": "loss as trained (bits per token)",
    "nll_loss": "negative log likelihood (bits per token)",
    "ppl": "perplexity per token",
    "accuracy": "share of next tokens guessed right",
    "novel": "share of targets that were novel",
    "lr": "learning rate",
}
LOG_NAMES = ("train.log", "train.jsonl", "train.json", "log.json", "log.jsonl")


def parse_training_log(text):
    """Read the curves.

    Args:
        text: the log. Lines that hold no JSON object are passed over.

    Returns:
        ``{"train": {curve: [(update, value), ...]}, "valid": {...}}``, sorted by update; curves
        without a finite value are left out.
    """
    points = {"interval": {}, "epoch": {}, "valid": {}}
    for line in text.split("\n"):
        record = _json_object(line)
        if record is None:
            continue
        series, prefix = _series_of(record)
        update = _number(record.get(f"{prefix}num_updates"))
        if update is None:
            continue
        for by_update in points.values():
            for stale in [u for u in by_update if u > update]:
                del by_update[stale]
        values = {curve: _number(record.get(prefix + curve)) for curve in CURVES}
        points[series].setdefault(int(update), {}).update(
            {curve: value for curve, value in values.items() if value is not None}
        )
    # Means over a whole epoch do not belong among means over single intervals: use one kind.
    train = points["interval"] if len(points["interval"]) > 1 else points["epoch"] or points["interval"]
    return {"train": _curves(train), "valid": _curves(points["valid"])}


def _series_of(record):
    """What a record speaks of, and the prefix of its keys."""
    for prefix, series in (("valid_", "valid"), ("train_", "epoch")):
        if f"{prefix}num_updates" in record:
            return series, prefix
    return "interval", ""


def _curves(by_update):
    curves = {}
    for curve in CURVES:
        found = [(update, values[curve]) for update, values in sorted(by_update.items()) if curve in values]
        if found:
            curves[curve] = found
    return curves


def _json_object(line):
    start = line.find("{")
    if start < 0:
        return None
    try:
        record = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _number(value):
    """fairseq writes numbers as numbers or as strings."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        value = float(value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def find_training_log(path, checkpoint):
    """Read the log that was named, or one that stands beside the checkpoint.

    Args:
        path: the value of ``--train-log``, or None.
        checkpoint: the checkpoint's path, or None.

    Returns:
        ``(curves, path)``, or ``(None, None)`` where none was named and none stands there.

    Raises:
        UserError: the named file is missing or holds no training record.
    """
    if path is not None:
        if not Path(path).is_file():
            raise UserError(f"--train-log {path} does not exist; give fairseq-train's --log-file")
        curves = parse_training_log(Path(path).read_text(encoding="utf-8", errors="replace"))
        if not curves["train"] and not curves["valid"]:
            raise UserError(
                f"--train-log {path} holds no training record; train with --log-format json --log-file FILE"
            )
        return curves, str(path)
    if checkpoint is not None:
        for name in LOG_NAMES:
            candidate = Path(checkpoint).parent / name
            if candidate.is_file():
                curves = parse_training_log(candidate.read_text(encoding="utf-8", errors="replace"))
                if curves["train"] or curves["valid"]:
                    return curves, str(candidate)
    return None, None
