"""The metrics of continuations: at token and at word level, of any system and of human text.

Names end in ``(words)`` at word level. A word is a run without white space in the decoded continuation. The
first one may be the rest of a word that the prefix began; it is counted as it is, for all systems alike.
Human text also holds ends of documents: a token like others at token level, the end of a word at word level.
"""

from collections.abc import Hashable, Sequence

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.columns import Column
from fairseq_plugin.evaluation.repetition import ORDERS, measure_repetition, variety
from fairseq_plugin.reports.bootstrap import DEFAULT, Bootstrap

WORDS = " (words)"


def continuation_column(
    name: str,
    tokens: Sequence[Sequence[int]] | None,
    words: Sequence[Sequence[str]] | None,
    units: Hashable,
    group: str | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Column:
    """Measure continuations.

    Args:
        name: heading of the column.
        tokens: token ids of each, or None where they are not known.
        words: words of each, or None where they are not known.
        units: what was continued, in order: equal for systems that can be paired.
        group: see :class:`~fairseq_plugin.evaluation.columns.Column`.
        bootstrap: of the intervals.

    Raises:
        UserError: there is no continuation, or nothing in any.
    """
    column = Column(name, group)
    for ending, texts, uniq, total in (("", tokens, "uniq-seq", "tokens"), (WORDS, words, "uniq-w", "words")):
        if texts is None:
            continue
        if not any(texts) and ending and tokens is not None:
            column.notes.append(f"{name}: white space only, no word in any continuation")
            column.values["words"] = 0
            continue
        if not any(texts):
            raise UserError(f"{name}: all continuations are empty: there is nothing to evaluate")
        found = variety(texts)
        column.values["continuations"] = found.num_texts
        column.values[total] = found.num_tokens
        # Of a decoding that collapsed into a few long words, only the rest has 4-grams: their variety would
        # be told as the decoding's own.
        orders = [n for n in ORDERS if 2 * found.too_short[n] <= found.num_texts]
        column.take(measure_repetition(texts, units, orders, bootstrap), ending)
        column.values |= {f"distinct-{n}{ending}": found.distinct[n] for n in orders}
        column.values[uniq] = found.uniq
        short = {n: count for n, count in found.too_short.items() if count}
        if short:
            listed = ", ".join(f"{count:,} for n = {n}" for n, count in short.items())
            column.notes.append(
                f"{name}: of {found.num_texts:,} continuations, shorter than n {total} and left out of the "
                f"n-gram metrics: {listed}"
            )
        if untold := sorted({*ORDERS} - {*orders}):
            listed = ", ".join(map(str, untold))
            column.notes.append(
                f"{name}: more than half of its continuations have fewer than {untold[0]} {total}: metrics "
                f"of n = {listed} and diversity would tell of the others alone and are left out"
            )
    return column


def note_unequal_totals(columns: Sequence[Column]) -> list[str]:
    """A sentence where columns differ in their totals: their uniq and distinct-n must not be compared."""
    notes: list[str] = []
    for total, metrics in (("tokens", "uniq-seq and distinct-n"), ("words", "uniq-w and distinct-n (words)")):
        totals = {column.name: column.values[total] for column in columns if total in column.values}
        if len(set(totals.values())) > 1:
            listed = ", ".join(f"{name} {number:,}" for name, number in totals.items())
            notes.append(f"{metrics} grow or fall with the amount of text; the {total} differ: {listed}")
    return notes
