"""How many more samples to make for each label, and when to give up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.tally import Counts, Tally

MOST_TRIES = 10.0
_HEADROOM = 1.05  # more than the accept share asks for, so that few labels need another round
_MOST_GROWTH = 4  # times what there is: an accept share of few samples is not to be trusted with more
# What to change where most samples are rejected for this reason.
_MENDS = {
    "not_ended": "raise --max-len",
    "duplicate": "ask for fewer, or raise --temperature or --top-p",
    "copy_of_train": "raise --temperature, or train less: the model knows train by heart",
    "conflict": "train longer: the model does not tell the labels apart",
    "doubtful_label": "train longer, or lower --judge-threshold",
    "less_confident": "raise --most-tries, or keep a larger share (--keep-best)",
    "invented_words": "train longer, or raise --invented-words",
    "near_duplicate": "ask for fewer, or raise --temperature or --near-duplicates",
}
_OTHERWISE = "train longer or on more rows, or set the filter of that reason less strictly"


@dataclass(frozen=True)
class Limits:
    """When a label is given up.

    Attributes:
        most_tries: samples per sample asked for.
        least_share: of accepted samples ...
        after: ... once there are so many of a label.
    """

    most_tries: float = MOST_TRIES
    least_share: float = 0.01
    after: int = 2000

    def __post_init__(self) -> None:
        if not 1 <= self.most_tries <= 1000:
            raise UserError(f"--most-tries {self.most_tries:g} must be from 1 to 1,000")


def next_counts(asked: Sequence[int], counts: Sequence[Counts], limits: Limits) -> list[int]:
    """How many more samples to make of each label.

    Args:
        asked: samples to be accepted, by label.
        counts: what was made and accepted so far, by label.
        limits: when to stop.

    Returns:
        One number per label, >= 0; 0 where there are enough, or where the label is given up.
    """
    return [_more(number, own, limits) for number, own in zip(asked, counts, strict=True)]


def _more(asked: int, counts: Counts, limits: Limits) -> int:
    if counts.kept >= asked or is_given_up(asked, counts, limits):
        return 0
    if not counts.generated:
        return asked
    missing = asked - counts.kept
    wanted = math.ceil(missing / max(counts.kept_share, 1e-9) * _HEADROOM)
    return min(wanted, _MOST_GROWTH * counts.generated, _most(asked, limits) - counts.generated)


def is_given_up(asked: int, counts: Counts, limits: Limits) -> bool:
    """Whether a label has fallen short for good."""
    hopeless = counts.generated >= limits.after and counts.kept_share < limits.least_share
    return counts.kept < asked and (hopeless or counts.generated >= _most(asked, limits))


def _most(asked: int, limits: Limits) -> int:
    return math.ceil(asked * limits.most_tries)


def shortage(asked: Sequence[int], tally: Tally, limits: Limits, may_be_fewer: bool = False) -> str | None:
    """Which labels fell short, why, and what to change, in one line; None where none did.

    Args:
        asked: accepted samples of each label.
        tally: what there is.
        limits: of the tries.
        may_be_fewer: --allow-fewer is given.
    """
    short = [
        (name, number, own)
        for number, (name, own) in zip(asked, tally.labels.items(), strict=True)
        if own.kept < number
    ]
    if not short:
        return None
    told = [
        f"label {name!r} has {own.kept:,} of {number:,} ({_reasons(own)} of {own.generated:,} samples)"
        for name, number, own in short[:3]
    ]
    more = f" and {len(short) - 3} more labels" if len(short) > 3 else ""
    gravest = {max(own.reasons, key=lambda reason: own.reasons[reason]) for _, _, own in short}
    mends = sorted({_MENDS.get(reason, _OTHERWISE) for reason in gravest})
    if not may_be_fewer:
        way_out = ", --allow-fewer writes what there is"
    else:
        way_out = "" if tally.total.kept else ", and there is nothing to write"
    return (
        f"fell short: {'; '.join(told)}{more}; {', or '.join(mends)}; --most-tries {limits.most_tries:g} is "
        f"the limit{way_out}"
    )


def _reasons(counts: Counts) -> str:
    told = sorted(((count, name) for name, count in counts.reasons.items() if count), reverse=True)
    return ", ".join(f"{count:,} {name}" for count, name in told[:4]) or "nothing rejected"
