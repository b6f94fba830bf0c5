"""What judges that tell probabilities add to the report: their calibration, and real rows they doubt."""

from collections.abc import Sequence

from fairseq_plugin.reports import figures
from fairseq_plugin.reports.display import escape, percent
from fairseq_plugin.reports.opinions import Calibration, DoubtfulRow
from fairseq_plugin.reports.page_parts import chip, figure, folded, table

MOST_DOUBTFUL = 20  # in sight


def calibration(judges: Sequence[Calibration]) -> str:
    """Is each judge right as often as it says?"""
    if not judges:
        return ""
    rows = [
        [escape(one.judge), f"{one.rows:,}", percent(one.accuracy), f"{one.log_loss:.3f}"] for one in judges
    ]
    drawings = []
    for one in judges:
        bins = [(own.confidence, own.accuracy, own.count) for own in one.bins]
        told = "; ".join(f"{percent(x, 0)} sure, right in {percent(y, 0)} of {n:,}" for x, y, n in bins)
        drawing = figures.reliability_chart(bins, f"Reliability of {one.judge}: {told}")
        drawings.append(figure(f"{one.judge}: how sure it is, and how often it is right", drawing))
    head = ["judge", "real sentences", "right", "log loss (nats)"]
    return (
        '<h2>How far the judges can be trusted</h2><p class="note">On real sentences that they were not '
        "trained on. A judge on the line is right as often as it says; below it, it is too sure of itself. "
        "Larger dots stand for more sentences.</p>"
        f'<div class="card">{table(head, rows)}</div><div class="charts">{"".join(drawings)}</div>'
    )


def doubtful(rows: Sequence[DoubtfulRow]) -> str:
    """Real training rows whose label may be wrong."""
    if not rows:
        return ""

    def cells(some: Sequence[DoubtfulRow]) -> str:
        head = ["sentence", "its label", "the judge's"]
        return table(
            head,
            [
                [
                    f"<bdi>{escape(row.text)}</bdi>",
                    f"{chip(row.label)} {percent(row.probability, 0)}",
                    f"{chip(row.judged)} {percent(row.judged_probability, 0)}",
                ]
                for row in some
            ],
            css="texts",
        )

    more = ""
    if len(rows) > MOST_DOUBTFUL:
        more = folded(f"{len(rows) - MOST_DOUBTFUL} more", cells(rows[MOST_DOUBTFUL:]))
    return (
        '<h2>Real rows to look at again</h2><p class="note">The judge finds their labels the least '
        "probable: wrong labels, or rows that it cannot read.</p>"
        f'<div class="card">{cells(rows[:MOST_DOUBTFUL])}</div>{more}'
    )
