"""Fidelity against diversity of a small generator: what temperature, top-p and gamma do to it.

A generator for each gamma is trained on k rows per class (``fairseq-train``), and sampled at each setting.
New rows are taken as they come, without any filter, and stand beside held-out real rows: what is far from
those in any figure is not real text, however good its other figures are.

    python benchmarks/quality_curve.py                      # the embedded reviews; half an hour on 2 cores
    python benchmarks/quality_curve.py --data DIR --to DIR  # DIR holds train.* and test.*

Writes ``quality_curve.json``, ``.png``, ``.svg`` and the table of ``quality_curve.md``. The same command
goes on where it was stopped.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from fairseq_plugin.augment.verdict.study.generator import Generator  # noqa: E402
from fairseq_plugin.augment.verdict.study.quality import REAL, Quality, measure_quality  # noqa: E402
from fairseq_plugin.augment.verdict.study.request import StudyRequest  # noqa: E402
from fairseq_plugin.augment.verdict.study.splits import draw_split, read_set  # noqa: E402
from fairseq_plugin.augment.verdict.study.yardstick import Yardstick  # noqa: E402
from fairseq_plugin.errors import plain_errors  # noqa: E402

RESULT = Path(__file__).with_suffix("")
GAMMAS = (1.0, 0.5, 0.2)
TEMPERATURES = (0.5, 0.7, 1.0, 1.3)  # without top-p
TOP_PS = (0.8, 0.9, 0.95)  # at temperature 1
COLOURS = dict(zip(GAMMAS, ("#000000", "#0072b2", "#d55e00"), strict=True))
SWEEPS = (  # line style, (temperature, top_p) along the line
    ("o-", [(temperature, 1.0) for temperature in TEMPERATURES]),
    ("s:", [(1.0, top_p) for top_p in (*TOP_PS, 1.0)]),
)


def settings():
    """``(gamma, temperature, top_p)`` of every set."""
    for gamma in GAMMAS:
        yield from ((gamma, temperature, 1.0) for temperature in TEMPERATURES)
        yield from ((gamma, 1.0, top_p) for top_p in TOP_PS)


def name_of(gamma, temperature, top_p):
    return f"gamma {gamma:g}, temperature {temperature:g}, top-p {top_p:g}"


def reviews(to):
    """The embedded set."""
    if not (to / "train.tsv").exists():
        command = [sys.executable, ROOT / "scripts" / "make_reviews.py", "--to", to, "--noise", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return to


def make(data, to, k, times):
    """Train, sample and measure; the result as JSON holds it."""
    whole = read_set(data)
    split = draw_split(whole, k, number=1)
    base = StudyRequest(data, to, times=times, choose_from=1)
    sets = {REAL: whole.test}
    for gamma, temperature, top_p in settings():
        folder = to / f"k-{k}"
        generator = Generator(replace(base, top_p=top_p), whole.labels, folder, k, number=1, gamma=gamma)
        generator.train(split)
        sets[name_of(gamma, temperature, top_p)] = generator.draw(split, temperature).raw
        print(name_of(gamma, temperature, top_p), flush=True)
    yardstick = Yardstick.of(whole)
    num_words, num_sentences, found = measure_quality(sets, split.train, whole.pool, yardstick)
    return {
        "set": whole.name, "k": k, "words": num_words, "sentences": num_sentences,
        "machine": machine_class(os.cpu_count() or 1),
        "quality": {name: asdict(quality) for name, quality in found.items()},
    }  # fmt: skip


def markdown(result):
    """The table."""
    distinct = [f"distinct-{n}" for n in (1, 2, 3)]
    head = [
        "set",
        "labels that fit",
        *distinct,
        "self-BLEU",
        "new runs of 4 words",
        "copies of train",
        "with an invented word",
    ]
    lines = [
        f"{result['set']}, {result['k']} rows per class; distinct-n of {result['words']:,} words, self-BLEU "
        f"of {result['sentences']:,} sentences of each set.", "",
        f"| {' | '.join(head)} |", f"| ---{' | ---:' * (len(head) - 1)} |",
    ]  # fmt: skip
    for name, stated in result["quality"].items():
        own = Quality(**stated)
        shares = [own.fidelity, *own.distinct, own.self_bleu, own.novel, own.copied, own.invented]
        cells = ["–" if share is None else f"{share:.3f}" for share in shares]
        lines.append(f"| {'*real, held out*' if name == REAL else name} | {' | '.join(cells)} |")
    return [*lines, "", f"![fidelity against diversity]({RESULT.name}.png)", ""]


def draw(result):
    """Three panels: fidelity against self-BLEU and distinct-2, and invented words by temperature."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    quality = {name: Quality(**stated) for name, stated in result["quality"].items()}
    real = quality[REAL]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 4.2), layout="constrained")
    for axes, pick in ((left, lambda own: own.self_bleu), (middle, lambda own: own.distinct[1])):
        for gamma in GAMMAS:
            for style, sweep in SWEEPS:
                points = [quality[name_of(gamma, *one)] for one in sweep]
                axes.plot([pick(own) for own in points], [own.fidelity for own in points], style,
                          color=COLOURS[gamma], markersize=4, linewidth=1.3)  # fmt: skip
        axes.plot([pick(real)], [real.fidelity], "*", color="#009e73", markersize=15)
    for gamma in GAMMAS:
        own = [quality[name_of(gamma, temperature, 1.0)].invented for temperature in TEMPERATURES]
        right.plot(TEMPERATURES, own, "o-", color=COLOURS[gamma], markersize=4, label=f"gamma {gamma:g}")
    right.axhline(real.invented, color="#009e73", linewidth=1.3, label="real, held out")
    right.plot([], [], "ko-", markersize=4, label="temperature 0.5 to 1.3")
    right.plot([], [], "ks:", markersize=4, label="top-p 0.8 to 0.95")
    left.set(xlabel="self-BLEU (sentences alike)", ylabel="labels that fit (share)")
    middle.set(xlabel="distinct-2 (different pairs of words)", ylabel="labels that fit (share)")
    right.set(xlabel="temperature", ylabel="sentences with an invented word (share)", ylim=(0, 1))
    for axes in (left, middle, right):
        axes.grid(color="#e5e5e5", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    for ending in ("png", "svg"):
        figure.savefig(RESULT.with_name(f"{RESULT.name}.{ending}"), dpi=110)
    plt.close(figure)


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, help="labelled rows (default: the embedded reviews)")
    add("--to", type=Path, default=ROOT / "runs" / "quality_curve", help="folder of the runs")
    add("--k", type=int, default=300, help="rows per class (default: 300)")
    add("--times", type=int, default=1, help="new rows per class, as a multiple of k (default: 1)")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    result = make(args.data or reviews(args.to / "reviews"), args.to, args.k, args.times)
    result = {"made": date.today().isoformat(), **result}
    write_result(RESULT, result, markdown(result), "Fidelity against diversity")
    draw(result)
    print("\n".join(markdown(result)))


if __name__ == "__main__":
    main()
