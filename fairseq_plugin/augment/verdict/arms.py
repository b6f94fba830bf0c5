"""What new rows must be compared with: the same real rows, used in every way that costs nothing.

A classifier that sees more rows makes more updates and meets the labels in other proportions, and may be
better for that alone. So the cheap arms get as many rows of each label as the new rows have.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from fairseq_plugin.augment.verdict.eda import Synonyms, change
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.labelled.split import sentence_key

REAL, REPEATED, EDA = "real", "real, repeated", "real + EDA"
SYNTHETIC, BOTH = "synthetic", "real + synthetic"
TAUGHT = "real + taught"  # the new rows under the soft labels of a teacher
CHEAP = (REAL, REPEATED, EDA)


def arms(
    train: Examples, synthetic: Examples, seed: int, synonyms: Synonyms | None = None
) -> dict[str, Examples]:
    """The training rows of every arm.

    Args:
        train: real rows.
        synthetic: new rows.
        seed: of the rows that are repeated and changed.
        synonyms: for EDA.
    """
    wanted = Counter(label for label, _ in synthetic)
    cheap = cheap_arms(train, wanted, seed, synonyms)
    return {**cheap, SYNTHETIC: synthetic, BOTH: [*train, *synthetic]}


def cheap_arms(
    train: Examples, wanted: Mapping[int, int], seed: int, synonyms: Synonyms | None = None
) -> dict[str, Examples]:
    """The training rows of the arms in :data:`CHEAP`: the real ones, and ``wanted`` more of each label."""
    more = repeats(train, wanted, seed)
    changed = [(label, change(text, seed, sample, synonyms)) for sample, (label, text) in enumerate(more)]
    return {REAL: train, REPEATED: [*train, *more], EDA: [*train, *changed]}


def repeats(train: Examples, wanted: Mapping[int, int], seed: int) -> list[tuple[int, str]]:
    """Rows to add so that each label has ``wanted`` more: every row equally often, but for the remainder."""
    by_label: dict[int, list[str]] = {}
    for label, text in train:
        by_label.setdefault(label, []).append(text)
    found: list[tuple[int, str]] = []
    for label, texts in sorted(by_label.items()):
        generator, count = random.Random(f"{seed} {label}"), wanted.get(label, 0)
        whole, rest = divmod(count, len(texts))
        found += [(label, text) for text in texts * whole + generator.sample(texts, rest)]
    return found


def without_copies(synthetic: Examples, held: Sequence[str]) -> list[tuple[int, str]]:
    """The new rows that are no sentence of ``held``, compared without case and spacing."""
    known = set(map(sentence_key, held))
    return [(label, text) for label, text in synthetic if sentence_key(text) not in known]
