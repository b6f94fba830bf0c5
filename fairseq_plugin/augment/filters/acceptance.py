"""Which samples are accepted: the one place where filters are asked, for whole sets and for streams alike."""

import math
from collections.abc import Callable, Sequence

from fairseq_plugin.augment.filters.chain import Candidate, FilterChain, tally
from fairseq_plugin.augment.filters.sample_ids import SampleIds
from fairseq_plugin.reports.tally import Tally

SURPLUS, LESS_CONFIDENT = "surplus", "less_confident"
_SURPLUS = "was accepted, but more than asked for"
_LESS_CONFIDENT = "was accepted, but the label of others of its label is more probable (--keep-best)"


def num_to_accept(number: int, keep_best: float | None) -> int:
    """Samples of which the best are so many.

    >>> num_to_accept(3, keep_best=0.1)
    30
    """
    return number if keep_best is None else math.ceil(number / keep_best - 1e-9)  # 3 / 0.1 is above 30


class Acceptance:
    """Verdicts on samples as they come; some bytes for each, and no text.

    Args:
        filters: a chain that has not seen anything yet.
        labels: names, by index.
        asked: of each label keep so many, those with the lowest ids; None: all.
        keep_best: of each label keep this share of what is accepted, in (0, 1], but not more than asked for:
            those with the highest confidence, of equal ones those with the lowest ids. None: see ``asked``.
        confidence: of the sample with an id; with ``keep_best``.

    Attributes:
        reasons: name of each reason -> what it says of a sample.
        notes: what a person should know of the filters.
        num_added, num_accepted: so far, all labels together; surplus is accepted until :meth:`limit`.
    """

    def __init__(
        self,
        filters: FilterChain,
        labels: Sequence[str],
        asked: Sequence[int] | None = None,
        keep_best: float | None = None,
        confidence: Callable[[int], float] | None = None,
    ) -> None:
        self._filters, self._labels, self._asked = filters, list(labels), asked
        self.notes = filters.notes
        self._keep_best, self._confidence = keep_best, confidence
        assert (keep_best is None) == (confidence is None)
        self.reasons = dict(filters.reasons)
        if keep_best is not None:
            self.reasons[LESS_CONFIDENT] = _LESS_CONFIDENT
        elif asked is not None:
            self.reasons[SURPLUS] = _SURPLUS
        self.num_added, self.num_accepted = 0, 0
        self._names: list[str | None] = [None, *self.reasons]
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._ids = SampleIds(len(labels))
        # By label: the code of what became of each.
        self._found = [bytearray() for _ in labels]

    def add(self, candidates: Sequence[Candidate]) -> None:
        """Judge more samples, those of each label in the order of their ids."""
        for one, reason in zip(candidates, self._filters.check(candidates), strict=True):
            self._ids.add(one.id)
            self._found[one.label].append(self._codes[reason])
            self.num_accepted += reason is None
        self.num_added += len(candidates)
        for sample_id, reason in self._filters.revoked:
            self.num_accepted -= self.reason(sample_id) is None
            label, place = self._ids.place(sample_id)
            self._found[label][place] = self._codes[reason]

    def reason(self, sample_id: int) -> str | None:
        """Why a sample is not accepted; None: it is.

        Raises:
            KeyError: it was not added.
        """
        label, place = self._ids.place(sample_id)
        return self._names[self._found[label][place]]

    def limit(self) -> None:
        """Call it after the last sample: what was accepted and shall not be kept gets its reason."""
        reason = SURPLUS if self._keep_best is None else LESS_CONFIDENT
        for label, found in enumerate(self._found):
            accepted = [place for place, code in enumerate(found) if self._names[code] is None]
            number = len(accepted) if self._asked is None else self._asked[label]
            if self._keep_best is not None and self._confidence is not None:
                number = min(number, math.ceil(len(accepted) * self._keep_best - 1e-9))
                sure = [self._confidence(self._ids.of(label, place)) for place in accepted]
                accepted = [accepted[i] for i in sorted(range(len(sure)), key=lambda i: (-sure[i], i))]
            for place in accepted[number:]:
                found[place] = self._codes[reason]
            self.num_accepted -= len(accepted[number:])

    def tally(self) -> Tally:
        """The verdicts counted."""
        labels = [label for label, found in enumerate(self._found) for _ in found]
        verdicts = [self._names[code] for found in self._found for code in found]
        return tally(labels, verdicts, self._labels, list(self.reasons))
