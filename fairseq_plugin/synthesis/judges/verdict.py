"""The judges' figures in words: what is wrong with the rows, or that nothing was found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fairseq_plugin.reports.display import percent
from fairseq_plugin.synthesis.judges.judgement import Judgement

GOOD, FAIR, BAD = "good", "fair", "bad"
WORTHLESS = 3  # exit status of synthesize.py

_HARD_TO_TELL = 0.56  # AUC: CART reaches .57 to .59 on usual tables
_EASY_TO_TELL = 0.75
_WORTHLESS_AREA = 0.95
_COPIES_ALARM = 0.45  # AUC against training rows; 0.5 without copies
_FAR_COLUMN = 0.05  # KS or TV, three times the real one, and beyond chance
_TRENDS = 0.05  # mean difference of pairs, twice the real one, and beyond chance
_NEARLY_ALL, _USEFUL, _USELESS, _NOTHING = 0.98, 0.9, 0.5, 0.1  # share of what real rows teach
_MOSTLY_COPIES = 0.5


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict.

    Attributes:
        tone: ``good``, ``fair`` or ``bad``.
        sentence: with the figures, as plain text.
        worthless: the rows are of no use because of it.
    """

    tone: str
    sentence: str
    worthless: bool = False


@dataclass(frozen=True)
class RowsVerdict:
    """Attributes:
    findings: the worst first.
    """

    findings: Sequence[Finding]

    @property
    def tone(self) -> str:
        """Of the worst finding."""
        return self.findings[0].tone

    @property
    def is_worthless(self) -> bool:
        return any(finding.worthless for finding in self.findings)

    @property
    def sentence(self) -> str:
        """The first words."""
        if self.is_worthless:
            return "Do not use these rows."
        return {
            GOOD: "These rows are like the real ones, as far as the judges can tell.",
            FAIR: "These rows can be used with care: they are not quite like the real ones.",
            BAD: "Something is wrong with these rows.",
        }[self.tone]

    @property
    def status(self) -> int:
        """Exit status: 0, or ``WORTHLESS``."""
        return WORTHLESS if self.is_worthless else 0


def verdict_on(judgement: Judgement) -> RowsVerdict:
    """Say it in words."""
    found = [
        *_likeness(judgement),
        *_copies(judgement),
        *_columns(judgement),
        *_trends(judgement),
        *_usefulness(judgement),
    ]
    order = {BAD: 0, FAIR: 1, GOOD: 2}
    return RowsVerdict(sorted(found, key=lambda one: (not one.worthless, order[one.tone])))


def _likeness(judgement: Judgement) -> Iterator[Finding]:
    told = judgement.held_out
    if told is None:
        return
    figures = (
        f"a random forest tells them from held-out rows with an AUC of {told.forest:.3f}, boosted trees with "
        f"{told.boosted:.3f} (0.5: not at all; give or take {2 * told.error:.3f} with {told.rows:,} rows of "
        "each)"
    )
    if told.worst >= _WORTHLESS_AREA:
        yield Finding(BAD, f"Nearly every row is told from a real one: {figures}.", worthless=True)
    elif told.worst >= _EASY_TO_TELL:
        yield Finding(BAD, f"The rows are easily told from real ones: {figures}.")
    elif told.worst > _HARD_TO_TELL + 2 * told.error:
        yield Finding(FAIR, f"The rows can be told from real ones, though not easily: {figures}.")
    else:
        yield Finding(GOOD, f"The rows are hardly told from real ones: {figures}.")


def _copies(judgement: Judgement) -> Iterator[Finding]:
    close, told = judgement.closeness, judgement.train
    figures = (
        f"{percent(close.copied)} of them are training rows, cell by cell, and "
        f"{percent(close.held_out_copied)} of the held-out rows; their closest training row is "
        f"{close.synthetic[0]:.3f} away (median), that of held-out rows {close.held_out[0]:.3f}"
    )
    rows = min(close.rows)
    chance = 2 * (max(close.held_out_copied, 1 / rows) / rows) ** 0.5
    has_copies = close.copied > 1.5 * close.held_out_copied + chance
    is_close = close.synthetic[0] < 0.7 * close.held_out[0]
    is_alarmed = told is not None and told.forest < min(_COPIES_ALARM, 0.5 - 3 * told.error)
    if has_copies or is_close:
        is_mostly = close.copied >= _MOSTLY_COPIES and has_copies
        yield Finding(BAD, f"The rows repeat training rows: {figures}.", worthless=is_mostly)
    elif is_alarmed and told is not None:
        yield Finding(
            FAIR,
            "Parts of training rows come back: a forest tells the rows from training rows with an AUC of "
            f"{told.forest:.3f}, where 0.5 is usual; {figures}.",
        )
    else:
        yield Finding(GOOD, f"The rows do not repeat training rows more than chance does: {figures}.")


def _columns(judgement: Judgement) -> Iterator[Finding]:
    chance = 1.63 * _by_chance(judgement)  # Kolmogorov and Smirnov's, at 1 %
    far = [one for one in judgement.marginals if one.synthetic > max(_FAR_COLUMN, 3 * one.real, chance)]
    if not far:
        new, real = judgement.mean_marginal
        what = "Every column has the distribution of the real one"
        if new > max(_FAR_COLUMN, real):
            what = "No column differs from the real one by more than so few rows can tell"
        yield Finding(
            GOOD,
            f"{what}: KS or total variation is {new:.3f} on average, {real:.3f} for held-out rows.",
        )
        return
    far.sort(key=lambda one: -one.synthetic)
    named = ", ".join(
        f"{one.name!r} ({one.measure} {one.synthetic:.3f}, real {one.real:.3f})" for one in far[:5]
    )
    more = f" and {len(far) - 5} more" if len(far) > 5 else ""
    yield Finding(
        BAD if far[0].synthetic > 0.2 else FAIR, f"Columns whose distribution is another one: {named}{more}."
    )


def _trends(judgement: Judgement) -> Iterator[Finding]:
    new, real = judgement.pairs.synthetic, judgement.pairs.real
    if len(judgement.pairs.names) < 2:
        return
    figures = f"pairs of columns differ by {new:.3f} on average, those of held-out rows by {real:.3f}"
    if new > max(_TRENDS, 2 * real, 1.6 * _by_chance(judgement)):
        yield Finding(
            BAD if new > 0.15 else FAIR, f"Columns go together otherwise than in real rows: {figures}."
        )
    else:
        yield Finding(GOOD, f"Columns go together as in real rows: {figures}.")


def _by_chance(judgement: Judgement) -> float:
    """How much a share of as many rows differs by chance, up to a factor."""
    train, _, synthetic = judgement.rows
    return (1 / train + 1 / synthetic) ** 0.5


def _usefulness(judgement: Judgement) -> Iterator[Finding]:
    found = judgement.usefulness
    if found is None:
        return
    figures = (
        f"{found.measure} of {found.target!r} on held-out rows is {found.synthetic.forest:.3f} (forest) and "
        f"{found.synthetic.boosted:.3f} (boosted trees) after new rows, {found.real.forest:.3f} and "
        f"{found.real.boosted:.3f} after real ones"
    )
    if found.kept <= _NOTHING:
        yield Finding(
            BAD, f"The rows teach next to nothing about {found.target!r}: {figures}.", worthless=True
        )
    elif found.kept < _USELESS:
        yield Finding(BAD, f"The rows teach little about {found.target!r}: {figures}.")
    elif found.kept < _USEFUL:
        yield Finding(FAIR, f"The rows teach less about {found.target!r} than real ones: {figures}.")
    elif not found.is_learnable:
        yield Finding(
            GOOD, f"Real rows teach nothing about {found.target!r}, nor do the new ones: {figures}."
        )
    else:
        nearly = "nearly " if found.kept < _NEARLY_ALL else ""
        yield Finding(GOOD, f"The rows teach {nearly}what real rows teach: {figures}.")


def as_text(verdict: RowsVerdict) -> str:
    """For a terminal."""
    return "\n".join([verdict.sentence, *(f"- {finding.sentence}" for finding in verdict.findings)])
