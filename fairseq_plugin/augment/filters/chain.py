"""Which generated samples are kept, and the one reason why each other one is not.

A filter looks at candidates in the order of their sample ids and names a reason for those that it rejects.
:class:`FilterChain` asks one filter after the other; every candidate gets exactly one verdict, so
``in = out + rejected`` holds by construction, and :func:`tally` checks it all the same. What is decided does
not depend on the sizes of the batches in which candidates come.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairseq_plugin.reports.tally import Counts, Tally
from fairseq_plugin.text.words import folded_key


@dataclass(frozen=True)
class Candidate:
    """A generated sample that may become a row.

    Attributes:
        id: the sample's number.
        label: index of the label that it was generated for.
        text: decoded, the white space around it taken off where real rows were read so; "" where ``special``.
        symbols: the dictionary's symbols joined by spaces, without the end token.
        num_tokens: tokens drawn, the end token included.
        ended: whether the end token was reached.
        score: sum of the tokens' log probabilities given the label (nats); NaN where it is not known.
    """

    id: int
    label: int
    text: str
    symbols: str
    num_tokens: int
    ended: bool
    score: float = float("nan")

    @property
    def special(self) -> bool:
        """Whether it holds a symbol that is not text (``<unk>``, a filler word)."""
        return not all(symbol.isascii() and symbol.isdecimal() for symbol in self.symbols.split())


class Filter(Protocol):
    """One rule, or several; may keep state, such as the texts seen so far.

    Attributes:
        revoked: what the last ``check`` has to say about candidates that it or an earlier one let pass or
            rejected for another reason: their ids, and the reason that counts from now on.
    """

    @property
    def reasons(self) -> Mapping[str, str]:
        """Name of each reason -> what it says of a sample."""
        ...

    @property
    def revoked(self) -> Sequence[tuple[int, str]]: ...

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        """Judge candidates; called with consecutive batches in the order of sample ids.

        Returns:
            One entry per candidate: ``None`` for one that passes, else a name out of ``reasons``.
        """
        ...


class FilterChain:
    """Filters one after the other; each sees what all before it let pass.

    Args:
        filters: in the order in which their reasons go before one another; of no reason two.
        notes: what a person should know of them, in sentences.

    Attributes:
        revoked: after :meth:`check`, verdicts on candidates of *earlier* calls that have changed. Those on
            the call's own are already in what it returned.
    """

    def __init__(self, filters: Sequence[Filter], notes: Sequence[str] = ()) -> None:
        self.filters, self.notes = list(filters), list(notes)
        self.reasons = {name: said for own in self.filters for name, said in own.reasons.items()}
        assert len(self.reasons) == sum(len(own.reasons) for own in self.filters), "a reason of two filters"
        self.revoked: list[tuple[int, str]] = []

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        """See :meth:`Filter.check`."""
        verdicts: list[str | None] = [None] * len(candidates)
        passing = list(range(len(candidates)))
        places = {candidate.id: place for place, candidate in enumerate(candidates)}
        revoked: list[tuple[int, str]] = []
        for own in self.filters:
            if not passing:  # a filter without candidates has nothing to revoke
                break
            found = own.check([candidates[place] for place in passing])
            for place, verdict in zip(passing, found, strict=True):
                verdicts[place] = verdict
            passing = [place for place in passing if verdicts[place] is None]
            revoked += own.revoked
        # Only now: that a candidate is revoked later must not change what later filters saw of it, or the
        # size of the batches would.
        for sample_id, reason in revoked:
            if sample_id in places:
                verdicts[places[sample_id]] = reason
        self.revoked = [(sample_id, reason) for sample_id, reason in revoked if sample_id not in places]
        return verdicts


def exact_key(text: str) -> str:
    """Compare texts as they are, without the white space around them."""
    return text.strip()


KEYS: dict[str, Callable[[str], str]] = {"exact": exact_key, "folded": folded_key}


def tally(
    labels: Sequence[int], verdicts: Sequence[str | None], names: Sequence[str], reasons: Sequence[str]
) -> Tally:
    """Count verdicts.

    Args:
        labels: label index per candidate.
        verdicts: from :meth:`FilterChain.check`.
        names: name per label index.
        reasons: every reason that there can be, in order.
    """
    by_label: list[list[str | None]] = [[] for _ in names]
    for label, verdict in zip(labels, verdicts, strict=True):
        by_label[label].append(verdict)
    own_counts = [_counts(own, reasons) for own in by_label]
    found = Tally(_counts(verdicts, reasons), dict(zip(names, own_counts, strict=True)))
    for part in ("generated", "kept", "rejected"):
        assert getattr(found.total, part) == sum(getattr(own, part) for own in found.labels.values()), part
    return found


def _counts(verdicts: Sequence[str | None], reasons: Sequence[str]) -> Counts:
    found = Counter(verdicts)
    kept = found.pop(None, 0)
    unknown = set(found) - set(reasons)
    assert not unknown, unknown
    by_reason = {reason: found[reason] for reason in reasons}
    counts = Counts(len(verdicts), kept, sum(found.values()), by_reason)
    assert counts.generated == counts.kept + counts.rejected
    return counts
