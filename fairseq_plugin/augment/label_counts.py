"""How many samples of each label, and which id belongs to which label."""

import bisect
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Label

# fairseq keeps every id, size and batch of a generation in memory: about 40 bytes per sample.
MAX_SAMPLES = 10_000_000
MAX_ID = 10**12 - 1  # exact in JSON, and far below the int64 that keys the random numbers


@dataclass(frozen=True)
class SampleIds(Sequence[int]):
    """The ids of a generation, label by label, without a list of them.

    Sample ``k`` of label ``i`` of ``L`` has the id ``k * L + i``: asking for more samples, or for other
    counts of another label, changes no sample that was there before.

    Attributes:
        counts: samples per label, each >= 0.
        first: ``k`` of each label's first sample, >= 0.
    """

    counts: tuple[int, ...]
    first: int = 0

    def of_label(self, label: int) -> range:
        """The ids of one label."""
        num_labels = len(self.counts)
        start = self.first * num_labels + label
        return range(start, start + self.counts[label] * num_labels, num_labels)

    def label_of(self, sample_id: int) -> int:
        """The label index of a sample.

        Raises:
            KeyError: this id was not asked for.
        """
        k, label = divmod(sample_id, len(self.counts))
        if not self.first <= k < self.first + self.counts[label]:
            raise KeyError(sample_id)
        return label

    def labels(self) -> NDArray[np.int32]:
        """Label index of each sample, in the order of iteration."""
        return np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)

    def __len__(self) -> int:
        return sum(self.counts)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]  (no slices)
        label = bisect.bisect_right(self._ends, index)
        return self.of_label(label)[index - (self._ends[label] - self.counts[label])]

    @functools.cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(self.counts))

    def __iter__(self) -> Iterator[int]:
        return itertools.chain.from_iterable(map(self.of_label, range(len(self.counts))))

    def __contains__(self, sample_id: object) -> bool:
        try:
            self.label_of(sample_id)  # type: ignore[arg-type]
        except (KeyError, TypeError):
            return False
        return True

    def first_shared(self, other: "SampleIds") -> int | None:
        """The lowest id that two generations over the same labels both ask for, or None."""
        shared = []
        for label in range(len(self.counts)):
            ours, theirs = self.of_label(label), other.of_label(label)
            if ours and theirs and max(ours[0], theirs[0]) <= min(ours[-1], theirs[-1]):
                shared.append(max(ours[0], theirs[0]))
        return min(shared, default=None)


def check_sample_ids(ids: SampleIds) -> None:
    """Refuse a generation that is too large for one run, or whose ids are out of range.

    Raises:
        UserError: naming the flag and the mend.
    """
    if ids.first < 0:
        raise UserError(f"--first-sample {ids.first} must be 0 or more")
    num_labels = len(ids.counts)
    if (ids.first + max(ids.counts)) * num_labels > MAX_ID:
        most = MAX_ID // num_labels - max(ids.counts)
        asked = f"--first-sample {ids.first} and {max(ids.counts):,} samples of a label"
        mend = f"give --first-sample {most} or less" if most >= 0 else "ask for fewer samples"
        raise UserError(f"{asked} go beyond the last sample id, {MAX_ID:,}: {mend}")
    if len(ids) > MAX_SAMPLES:
        raise UserError(
            f"--samples-per-label asks for {len(ids):,} samples; one run makes at most {MAX_SAMPLES:,}: "
            "ask for fewer, and go on with --first-sample in further runs, each with its own --results-path"
        )


def samples_per_label(
    asked: str | Mapping[str, int], labels: Sequence[Label], flag: str = "--samples-per-label"
) -> list[int]:
    """Read ``--samples-per-label``, or another flag of the same form.

    Args:
        asked: ``"2000"`` (each label), ``"negative=100,positive=50"`` (names or texts; labels left out get
            none), or ``"train:5000"`` (5,000 in all, in the proportions of the training set); or the numbers
            by name, which may then hold any character.
        labels: the manifest's labels.
        flag: for messages.

    Returns:
        One count per label.

    Raises:
        UserError: anything else, an unknown label, or nothing to generate.
    """
    if isinstance(asked, Mapping):
        counts = _by_name(asked, labels, flag)
        asked = repr(dict(asked))
    elif (number := _whole_number(asked := asked.strip())) is not None:
        counts = [number] * len(labels)
    elif asked.startswith("train:") and (number := _whole_number(asked[6:])) is not None:
        counts = _in_proportion(number, [label.counts.get("train", 0) for label in labels], flag)
    else:
        counts = _by_label(asked, labels, flag)
    if sum(counts) == 0:
        raise UserError(f"{flag} {asked} asks for no sample at all; ask for at least one")
    return counts


def _by_name(asked: Mapping[str, int], labels: Sequence[Label], flag: str) -> list[int]:
    for name, count in asked.items():
        if name not in {label.name for label in labels}:
            raise UserError(f"{flag}: there is no label {name!r}")
        if not isinstance(count, Integral) or isinstance(count, bool) or count < 0:
            raise UserError(f"{flag} {count!r} of label {name!r}: give a whole number from 0 on")
    return [int(asked.get(label.name, 0)) for label in labels]


def _by_label(asked: str, labels: Sequence[Label], flag: str) -> list[int]:
    """Counts out of ``LABEL=100,LABEL=50``."""
    # A name goes before a text, as in Manifest.label: the text of one label may be another's name.
    indices = {label.text: i for i, label in enumerate(labels)}
    indices |= {label.name: i for i, label in enumerate(labels)}
    counts: dict[int, int] = {}
    for part in asked.split(","):
        name, _, digits = (word.strip() for word in part.rpartition("="))
        number = _whole_number(digits)
        if number is None or name not in indices or indices[name] in counts:
            names = ", ".join(ascii(label.name)[1:-1] for label in labels)
            raise UserError(
                f"{flag} {asked}: give one number (2000), numbers by label (LABEL=100,LABEL=50; "
                f"the labels are {names}), or train:TOTAL for the training set's proportions"
            )
        counts[indices[name]] = number
    return [counts.get(index, 0) for index in range(len(labels))]


def _whole_number(digits: str) -> int | None:
    # int() refuses more than 4,300 digits with an error of its own.
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 20 else None


def _in_proportion(total: int, weights: list[int], flag: str) -> list[int]:
    """Whole numbers in proportion to ``weights`` with the given sum (largest remainder)."""
    whole = sum(weights)
    if whole == 0:
        raise UserError(f"{flag} train:N: the manifest counts no training examples")
    counts = [total * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in remainders[: total - sum(counts)]:
        counts[i] += 1
    return counts
