"""The tables of the repetition study's page."""

import math
import statistics

from scipy.stats import t as student

MLE = "mle"
DECODINGS = ("greedy", "beam=5", "top-p=0.9")
# heading -> (where it stands, metric), of the final checkpoints
FINAL = {
    "ppl": ("single", "ppl"),
    "rep/128": ("single", "rep/128"),
    "greedy seq-rep-4": ("greedy", "seq-rep-4"),
    "greedy uniq-seq": ("greedy", "uniq-seq"),
    "beam seq-rep-4": ("beam=5", "seq-rep-4"),
    "top-p seq-rep-4": ("top-p=0.9", "seq-rep-4"),
    "top-p seq-rep-1": ("top-p=0.9", "seq-rep-1"),
}


def tables(report):
    """Markdown lines: per form the growth, the final numbers and the paired ratios; then decoding."""
    machine = report["machine"]
    lines = [f"({report['made']}; {machine['cores']} cores, {machine['cpu']}, no GPU used)", ""]
    for form, runs in report["runs"].items():
        lines += [f"### {form[0].upper()}{form[1:]}", ""]
        lines += _growth(report, runs) + _final(report, runs) + _ratios(report, runs)
    lines += _remedies(report)
    return lines + _cost(report)


def spread(values):
    """``(mean, half width)`` of the mean's 95 % interval (Student's t); half width None for one value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    quantile = float(student.ppf(0.975, len(values) - 1))
    return mean, quantile * statistics.stdev(values) / len(values) ** 0.5


def paired_ratio(pick, seeds, base):
    """``(ratio, low, high)`` against ``base`` by seed: geometric mean, 95 % interval (t on logarithms).

    Args:
        pick: number of a run.
        seeds, base: ``{seed: run}``; seeds that both have are compared.

    Returns:
        None where a number is 0 or missing; low and high None for one seed.
    """
    pairs = [(pick(seeds[seed]), pick(base[seed])) for seed in seeds if seed in base]
    if not pairs or any(not a or not b for a, b in pairs):
        return None
    mean, half = spread([math.log(a / b) for a, b in pairs])
    if half is None:
        return math.exp(mean), None, None
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _title(report, name, seeds, base):
    fewer = "" if len(seeds) == len(base) else f" ({len(seeds)} seeds)"
    return report["titles"][name] + fewer


def _growth(report, runs):
    """Greedy seq-rep-4 on the way: maximum likelihood's own, then the ratios to it at the same update."""
    base = runs[MLE]
    points = list(next(iter(base.values()))["curve"])
    first = ["*maximum likelihood: validation perplexity*"]
    second = ["*maximum likelihood: greedy seq-rep-4*"]
    for point in points:
        for row, metric, digits in ((first, "valid ppl", 1), (second, "seq-rep-4", 3)):
            row.append(f"{statistics.fmean(run['curve'][point][metric] for run in base.values()):.{digits}f}")
    rows = [first, second]
    for name, seeds in runs.items():
        if name != MLE:
            cells = [
                paired_ratio(lambda run, at=at: run["curve"][at]["seq-rep-4"], seeds, base) for at in points
            ]
            rows.append([_title(report, name, seeds, base), *map(_ratio, cells)])
    head = ["greedy seq-rep-4 against maximum likelihood, after … updates", *points]
    return _table(head, rows)


def _final(report, runs):
    rows = []
    for name, seeds in runs.items():
        cells = [
            _cell(metric, [_at(run, part).get(metric) for run in seeds.values()])
            for part, metric in FINAL.values()
        ]
        rows.append([_title(report, name, seeds, runs[MLE]), *cells])
    human = report["human"]
    cells = [
        "" if (value := (human["single"] if part == "single" else human["continuations"]).get(metric)) is None
        else _number(metric, value)
        for part, metric in FINAL.values()
    ]  # fmt: skip
    head = ["the final checkpoint, test text", *FINAL]
    return _table(head, [*rows, ["*people*", *cells]])


def _at(run, part):
    return run["single"] if part == "single" else run["decodings"][part]


def _ratios(report, runs):
    """Paired by seed: repetition and perplexity of the final checkpoints against maximum likelihood."""
    picks = {
        "perplexity": lambda run: run["single"]["ppl"],
        **{
            f"{decoding} seq-rep-4": lambda run, decoding=decoding: run["decodings"][decoding]["seq-rep-4"]
            for decoding in DECODINGS[:2]
        },
        "top-p=0.9 seq-rep-1": lambda run: run["decodings"]["top-p=0.9"]["seq-rep-1"],
    }
    rows = [
        [_title(report, name, seeds, runs[MLE]),
         *(_ratio(paired_ratio(pick, seeds, runs[MLE])) for pick in picks.values())]
        for name, seeds in runs.items() if name != MLE
    ]  # fmt: skip
    return _table(["the final checkpoint, ratio to maximum likelihood", *picks], rows)


def _remedies(report):
    """Train differently and decode differently, in one table."""
    runs = next(iter(report["runs"].values()))
    metrics = ("seq-rep-1", "seq-rep-4", "seq-rep-4 (words)", "uniq-seq")
    rows = []
    for name, seeds in runs.items():
        decodings = next(iter(seeds.values()))["decodings"]
        for decoding in decodings:
            if decoding == "greedy" or (name == MLE and decoding not in DECODINGS):
                found = [run["decodings"][decoding] for run in seeds.values()]
                cells = [_cell(metric, [one.get(metric) for one in found]) for metric in metrics]
                rows.append([_title(report, name, seeds, runs[MLE]), decoding, *cells])
    human = report["human"]["continuations"]
    rows.append(["*people*", "", *(_number(m, human[m]) for m in metrics)])
    return ["### Train differently, decode differently (from scratch)", "",
            *_table(["trained by", "decoded by", *metrics], rows)]  # fmt: skip


def _cost(report):
    rows, total = [], 0.0
    for form, runs in report["runs"].items():
        costs = [run["cost"] for seeds in runs.values() for run in seeds.values()]
        parts = [sum(cost[part] for cost in costs) / 60 for part in ("training", "curve", "evaluation")]
        total += sum(parts)
        rows.append([form, str(len(costs)), *(f"{part:.0f}" for part in parts)])
    head = ["cost, CPU minutes", "runs", "training", "texts on the way", "final evaluation"]
    return [*_table(head, rows), f"In all {total:.0f} CPU minutes, {total / 2:.0f} minutes of two cores.", ""]


def _cell(metric, values):
    if any(value is None for value in values):  # too little text for this metric in some run
        return "–"
    mean, half = spread(values)
    return _number(metric, mean) + ("" if half is None else f" ± {_number(metric, half)}")


def _number(metric, value):
    if metric.startswith("uniq"):
        return f"{value:,.0f}"
    return f"{value:,.{1 if metric == 'ppl' else 3}f}"


def _ratio(value):
    if value is None:
        return "–"
    ratio, low, high = value
    return f"{ratio:.2f}" + ("" if low is None else f" ({low:.2f} to {high:.2f})")
