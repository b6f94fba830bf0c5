"""Is an augmented set worth using? A first answer, from the judge's two tables of counts.

Agreement alone says little: a judge that guesses agrees with half of the labels where there are two, and
a judge that is often wrong on real rows agrees less with right labels too. So agreement is the mean over
labels of the share that the judge agrees with, and what counts is how far it is above chance, on the
synthetic rows against the real ones:

    skill = (agreement - 1 / L) / (1 - 1 / L),    L labels; 0 for guessing, 1 for full agreement
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fairseq_plugin.reports.display import percent

UNCHECKED = "The new labels are not checked"
LEAST_SKILL = 0.1  # on real rows; below it the judge cannot tell the labels apart
LEAST_SHARE = 0.25  # of the judge's skill on real rows; two labels and a perfect judge: 62.5 % agreement
GOOD_SHARE = 0.8  # the same: 90 %
NOT_WORTH_USING = "Not worth using: "  # how such a sentence begins

Counts = Sequence[Sequence[int]]  # [given label][the judge's label]


@dataclass(frozen=True)
class Verdict:
    """One sentence for a person, and whether the set is worth using (None: it could not be checked)."""

    sentence: str
    is_worth_using: bool | None


def agreement(counts: Counts) -> float:
    """Mean over the labels that have rows of the share that the judge agrees with.

    >>> agreement([[90, 10], [150, 50]])
    0.575
    """
    shares = [given[label] / sum(given) for label, given in enumerate(counts) if sum(given)]
    return sum(shares) / len(shares)


def verdict(labels: Sequence[str], real: Counts | None, synthetic: Counts) -> Verdict:
    """Judge a set by its labels.

    Args:
        labels: their names, in the order of the counts.
        real: counts on the real valid set; None if there is none.
        synthetic: counts on the rows that were kept.
    """
    num_labels = len(labels)
    if not sum(map(sum, synthetic)):
        return Verdict(f"{NOT_WORTH_USING}nothing was kept.", False)
    if num_labels < 2 or real is None or not sum(map(sum, real)):
        reason = "there is only one label" if num_labels < 2 else "there are no real validation rows"
        return Verdict(f"{UNCHECKED}: {reason}.", None)
    chance = 1 / num_labels
    on_real, on_synthetic = agreement(real), agreement(synthetic)
    figures = (
        f"a judge agrees with {percent(on_synthetic)} of them and with {percent(on_real)} of the real ones "
        f"(mean over the labels); guessing gives {percent(chance)}"
    )
    skill = (on_real - chance) / (1 - chance)
    if skill < LEAST_SKILL:
        return Verdict(f"{UNCHECKED}: the judge does not know the real ones: {figures}.", None)
    share = (on_synthetic - chance) / (1 - chance) / skill
    if share < LEAST_SHARE:
        mend = "More rows, more epochs or a pretrained model help."
        return Verdict(f"{NOT_WORTH_USING}the new labels do not fit the sentences: {figures}. {mend}", False)
    missing = ", ".join(repr(name) for name, given in zip(labels, synthetic) if not sum(given))
    lack = f" Nothing was kept of {missing}." if missing else ""
    fit = "fit the sentences" if share >= GOOD_SHARE else "fit the sentences only in part"
    return Verdict(f"The new labels {fit}: {figures}.{lack}", True)
