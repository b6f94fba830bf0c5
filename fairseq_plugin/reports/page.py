"""The report as one HTML page: no script, nothing fetched from anywhere, every text escaped.

What decides whether the set is used comes first, where it comes from last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.reports import page_first as first
from fairseq_plugin.reports import page_judges as judges
from fairseq_plugin.reports import page_sections as sections
from fairseq_plugin.reports.display import escape
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.opinions import Calibration, DoubtfulRow, Fidelity, Verdict
from fairseq_plugin.reports.page_parts import folded, table, whole_page
from fairseq_plugin.reports.tally import Tally
from fairseq_plugin.reports.training_log import Curves


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes:
        name: of the data.
        labels: ``(name, text)`` of each.
        counts: what was kept and rejected.
        reasons: what each reason for rejection says of a sample.
        verdict: whether to use the set; None where nobody has judged it.
        fidelity: of the labels; None where no classifier could be trained.
        calibrations: of judges that tell probabilities.
        doubtful: real rows whose label a judge does not believe.
        facts: measures beside the real set.
        curves, log: of the training, and the log's path; None where there is no log.
        rejected: a few texts of each reason.
        seed, tokens, seconds: of the generation.
        provenance: ``(what, value)``, in order.
        notes: sentences for the reader.
        asked: sentences that were to be kept, all labels together; None: as many as pass.
    """

    name: str
    labels: Sequence[tuple[str, str]]
    counts: Tally
    reasons: Mapping[str, str]
    verdict: Verdict | None
    fidelity: Fidelity | None
    facts: Facts
    curves: Curves | None
    log: str | None
    rejected: Mapping[str, Sequence[str]]
    seed: int
    tokens: int
    seconds: float | None
    provenance: Sequence[tuple[str, object]]
    notes: Sequence[str]
    calibrations: Sequence[Calibration] = ()
    doubtful: Sequence[DoubtfulRow] = ()
    asked: int | None = None


def render(report: Report) -> str:
    """Write the page, as text."""
    facts = report.facts
    labels = first.labels(report.labels, report.counts, report.fidelity) + first.compared(report.verdict)
    examples = first.examples(report.labels, facts.neighbours)
    body = [
        first.head(
            report.name, report.verdict, report.counts.total, report.asked, report.fidelity, facts.lengths
        ),
        f'<div class="first"><section>{labels}</section><section>{examples}</section></div>',
        sections.lengths(facts.lengths),
        sections.diversity(facts, report.seed),
        sections.likeness(report.labels, facts),
        sections.rejections(report.counts, report.reasons, report.rejected, report.labels),
        judges.calibration(report.calibrations),
        judges.doubtful(report.doubtful),
        sections.training(report.curves, report.log),
        _provenance(report.provenance, report.notes, report.tokens, report.seconds),
    ]
    return whole_page(
        f"{report.name}: augmented set",
        body,
        "Words are runs of letters and digits, or single other characters, without regard to "
        "case; in scripts without spaces (Chinese, say) each character. Every subset is drawn with the "
        "generation's seed: the same input gives the same page.",
    )


def _provenance(
    provenance: Sequence[tuple[str, object]], notes: Sequence[str], tokens: int, seconds: float | None
) -> str:
    rows = [[escape(what), f"<code>{escape(str(value))}</code>"] for what, value in provenance]
    if seconds:
        rows.append(["speed", f"<code>{tokens / seconds:,.0f} tokens per second</code>"])
    told = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    files = table([], rows, css="plain")
    return f"<h2>Where it comes from</h2>{told}{folded('Files, hashes, settings, versions', files)}"
