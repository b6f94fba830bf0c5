"""The report of a study: a sentence, tables, JSON. Words claim no more than :mod:`.comparisons` does."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fairseq_plugin.augment.verdict.quick import points
from fairseq_plugin.augment.verdict.study.arms import CHEAP, NEW, STUDENTS
from fairseq_plugin.augment.verdict.study.comparisons import GAIN, HARM, Comparison, Found, Way
from fairseq_plugin.augment.verdict.study.request import StudyRequest, splits_advised
from fairseq_plugin.augment.verdict.study.splits import LabelledSet
from fairseq_plugin.reports.display import percent, visible

FACTS = {
    "train_seconds": "training, s",
    "sample_seconds": "sampling, s",
    "ended_share": "ended",
    "accepted_share": "accepted",
    "used_share": "of what was wanted",
    "fidelity": "labels that fit",
}


def size(k: int) -> str:
    """A k, for people."""
    return f"{k:,}" if k else "all"


def sentence(whole: LabelledSet, found: Found) -> str:
    """What the study comes to, in plain words."""
    told = [one for one in found.comparisons if one.arm != NEW[0]]
    if not told:
        return f"{visible(whole.name)}: nothing has been compared yet."
    gains = [one for one in told if one.outcome == GAIN]
    harms = [one for one in told if one.outcome == HARM]
    begin = f"{visible(whole.name)}, {len(told)} comparisons of real rows with and without new ones"
    if gains:
        best = max(gains, key=lambda one: one.gain.value)
        few = " (on fewer splits than a credible comparison needs)" if best.is_few else ""
        said = (
            f"{len(gains)} {'shows' if len(gains) == 1 else 'show'} a gain over the best that costs nothing, "
            f"the largest {points(best.gain)} at k = {size(best.k)} ({_name(best)}){few}"
        )
    else:
        said = "none shows a gain over the best that costs nothing"
    harm = f"{len(harms)} {'do' if len(harms) != 1 else 'does'} worse than the real rows alone"
    return f"{begin}: {said}; {harm if harms else 'none does worse than the real rows alone'}."


def _name(one: Comparison) -> str:
    return f"{STUDENTS[one.student].name}, {one.arm}, gamma {one.gamma:g}, temperature {one.temperature:g}"


def tables(request: StudyRequest, whole: LabelledSet, found: Found) -> list[str]:
    """Markdown lines: what was done, a table of accuracies per student, a table of the generators."""
    lines = [sentence(whole, found), "", *_method(request, whole), ""]
    for student in dict.fromkeys(student for student, _ in found.cheap):
        lines += [f"**{STUDENTS[student].name}**: accuracy, mean over splits ± standard deviation, and in "
                  "parentheses the mean over labels, each counted alike", ""]  # fmt: skip
        lines += _cheap_table(student, found)
        lines += _new_table(student, found)
    return [*lines, *_generators(found)] if found.facts else lines


def _method(request: StudyRequest, whole: LabelledSet) -> list[str]:
    left_out = "; ".join(f"{count:,}: {reason}" for reason, count in whole.left_out.items())
    start = f"from {request.pretrained.name}" if request.pretrained else "from scratch"
    return [
        f"{len(whole.labels)} labels, measured on {len(whole.test):,} rows of {whole.test_name}; k rows per "
        f"class and k more for dev, drawn from {len(whole.pool):,} rows of train"
        + (f" (left out: {left_out})" if left_out else "") + ". The generator (GPT-2 "
        f"{start}), the filters, the judges and every choice have seen these 2 k rows per class and nothing "
        f"else. New rows per class: {request.times} k; a judge takes the most confident out of "
        f"{request.choose_from} times as many."
    ]  # fmt: skip


def _cheap_table(student: str, found: Found) -> list[str]:
    own = {k: ways for (name, k), ways in found.cheap.items() if name == student}
    names = [name for name in CHEAP if any(name in ways for ways in own.values())]
    lines = _head(["k", "splits", *names, "s per point"])
    for k, ways in own.items():
        splits = len(next(iter(ways.values())).accuracies)
        short = f"{splits} (of {splits_advised(k)})" if splits < splits_advised(k) else str(splits)
        cells = [_accuracy(ways[name]) if name in ways else "–" for name in names]
        seconds = sum(way.seconds for way in ways.values())
        lines.append(_row([size(k), short, *cells, f"{seconds:.1f}"]))
    return [*lines, ""]


def _new_table(student: str, found: Found) -> list[str]:
    own = [one for one in found.comparisons if one.student == student]
    if not own:
        return []
    lines = _head(
        ["k", "gamma", "T", "trained on", "accuracy", "over the best cheap, points", "p", "outcome", "s"]
    )
    for one in sorted(own, key=lambda one: (list(found.cheap).index((student, one.k)), -one.gamma)):
        low, high = one.gain.interval
        gain = f"{100 * one.gain.value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] ({one.best_cheap})"
        outcome = f"**{one.outcome}**" if one.outcome == GAIN else one.outcome
        if one.is_few and one.outcome == GAIN:
            outcome += " (few splits)"
        lines.append(
            _row([size(one.k), f"{one.gamma:g}", f"{one.temperature:g}", one.arm, _accuracy(one.way), gain,
                  f"{one.p:.3f}", outcome, f"{one.way.seconds:.1f}"])
        )  # fmt: skip
    return [*lines, ""]


def _generators(found: Found) -> list[str]:
    real = next(iter(found.facts.values())).get("fidelity_of_real")
    lines = [
        "**Generators**, mean over splits. Labels that fit: share of new rows whose label a judge of the "
        f"whole training set gives too (real held-out rows: {percent(real)}); no arm has seen that judge.",
        "",
        *_head(["k", "gamma", "T", *FACTS.values()]),
    ]
    for (k, gamma, temperature), facts in found.facts.items():
        facts = facts | {"accepted_share": facts["accepted"] / max(1.0, facts["generated"])}
        cells = [
            (f"{facts[name]:.1f}" if name.endswith("seconds") else percent(facts[name]))
            if name in facts
            else "–"
            for name in FACTS
        ]
        lines.append(_row([size(k), f"{gamma:g}", f"{temperature:g}", *cells]))
    return [*lines, ""]


def _accuracy(way: Way) -> str:
    shown = f"{100 * way.accuracy:.1f} ± {100 * way.spread:.1f}"
    return shown if way.balanced is None else f"{shown} ({100 * way.balanced:.1f})"


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), _row(["---:"] * len(names))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def to_json(request: StudyRequest, whole: LabelledSet, found: Found) -> dict[str, Any]:
    """All figures, as JSON holds them."""
    return {
        "sentence": sentence(whole, found),
        "set": {
            "name": whole.name, "labels": len(whole.labels), "test_rows": len(whole.test),
            "test_file": whole.test_name, "pool_rows": len(whole.pool), "left_out": whole.left_out,
        },
        "settings": request.facts(),
        "cheap": [
            {"student": student, "k": k, "arm": name, **asdict(way)}
            for (student, k), ways in found.cheap.items() for name, way in ways.items()
        ],
        "comparisons": [asdict(one) for one in found.comparisons],
        "generators": [
            {"k": k, "gamma": gamma, "temperature": temperature, **facts}
            for (k, gamma, temperature), facts in found.facts.items()
        ],
    }  # fmt: skip
