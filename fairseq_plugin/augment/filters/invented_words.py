"""Words that stand nowhere in train: some are new, most of a small model's are not words at all.

How many a sentence may hold is read off real sentences that were held out, so that a rich language or a
small training set does not make good sentences look invented.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.reports.display import percent
from fairseq_plugin.text.words import words

AUTO, OFF = "auto", "off"
HELD_OUT = 0.95  # of real held-out sentences pass
_ENOUGH = 100  # valid sentences: the rarest 5 % are five or more


def spelled(text: str) -> list[str]:
    """The words of a text that are of letters.

    >>> spelled("It's 7 p.m.!")
    ['it', 's', 'p', 'm']
    """
    return [word for word in words(text) if any(map(str.isalpha, word))]


def invented_share(text: str, known: Collection[str]) -> float:
    """Share of a text's words that are not known, in [0, 1]; 0 for a text without words."""
    found = spelled(text)
    return sum(word not in known for word in found) / len(found) if found else 0.0


def usual_share(train: Sequence[str], valid: Sequence[str]) -> tuple[float, str]:
    """The share of unknown words that 95 % of real sentences do not exceed.

    Args:
        train, valid: texts; ``valid`` may be empty.

    Returns:
        The share, in [0, 1], and which sentences it was read off: valid's against train or, where there are
        fewer than 100, each of train's against all others.
    """
    if len(valid) >= _ENOUGH:
        known = {word for text in train for word in spelled(text)}
        shares, whose = [invented_share(text, known) for text in valid], "the valid sentences"
    else:
        in_sentences = Counter(word for text in train for word in set(spelled(text)))
        known = {word for word, count in in_sentences.items() if count > 1}
        shares, whose = [invented_share(text, known) for text in train], "the training sentences"
    return sorted(shares)[max(0, math.ceil(HELD_OUT * len(shares)) - 1)], whose


class InventedWords:
    """Rejects sentences with more words that stand nowhere in train than real ones have.

    Args:
        train, valid: texts.
        most: ``"auto"``: :func:`usual_share`; else the most, a share in [0, 1].

    Attributes:
        most: share of a sentence's words.
    """

    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, train: Sequence[str], valid: Sequence[str], most: float | str = AUTO) -> None:
        self._known = {word for text in train for word in spelled(text)}
        said = "more than --invented-words allows"
        if most == AUTO:
            most, whose = usual_share(train, valid)
            said = f"more than in 95 % of {whose}"
        self.most = float(most)
        self.reasons: Mapping[str, str] = {
            "invented_words": f"more than {percent(self.most)} of its words stand nowhere in train: {said}"
        }

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        shares = [invented_share(candidate.text, self._known) for candidate in candidates]
        return ["invented_words" if share > self.most else None for share in shares]
