"""Do synthetic rows help a model of Abalone? 3,000 real rows against 3,000 real and 3,000 synthetic ones.

    python benchmarks/abalone.py --data DIR --to DIR    # DIR of tables.py, whose rows it takes

A random forest and boosted trees learn ``Rings`` from the training rows of a seed, with and without the rows
that a system made of them, and predict it for the held-out rows. It takes whatever systems and seeds
``tables.py`` left in ``--to``, and says which are missing. Rows that are not valid are left out, as a person
would. Writes ``abalone.json``, the tables of ``abalone.md`` and the density pictures.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.abalone_picture import draw  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from benchmarks.parts import part  # noqa: E402
from benchmarks.table_rivals import RIVALS  # noqa: E402
from benchmarks.table_split import TABLES, Split, is_valid  # noqa: E402
from benchmarks.tables import OURS, PACKAGES  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.files import sha256  # noqa: E402
from fairseq_plugin.synthesis.judges.discriminator import TREES, boosted, forest  # noqa: E402
from fairseq_plugin.synthesis.judges.rows import without_missing  # noqa: E402

RESULT = Path(__file__).with_suffix("")
TABLE = "abalone"
SYSTEMS = (*OURS, "be_great", *reversed(RIVALS), *(name for name in PACKAGES if name != "be_great"))
DRAWN = ("ours", "be_great", "sequential CART")
MODELS = {"forest": "random forest", "boosted": "boosted trees"}
MEASURES = {"r2": "R2", "mae": "mean absolute error"}
REPEATS = 3  # models of each kind whose errors are averaged: their own chance is no difference of rows
LEVEL = 0.95


def scores(split, learnt_NC):
    """``{model: {measure: value}}`` of models that learn rows, on the held-out rows."""
    place = [column.column.name for column in split.train.columns].index(split.target)
    _, tested_NC = without_missing(split.train, split.held_out)
    inputs, answers_N = np.delete(learnt_NC, place, 1), learnt_NC[:, place]
    tested, truth_N = np.delete(tested_NC, place, 1), tested_NC[:, place]
    found = {}
    for name in MODELS:
        values = []
        for seed in range(split.seed, split.seed + REPEATS):
            model = (
                forest(False, seed, TREES)
                if name == "forest"
                else boosted(False, split.train, seed, TREES, place)
            )
            error_N = truth_N - model.fit(inputs, answers_N).predict(tested)
            values.append([1 - (error_N**2).mean() / truth_N.var(), np.abs(error_N).mean()])
        found[name] = dict(zip(MEASURES, np.mean(values, axis=0).tolist(), strict=True))
    return found


def measured(split, system):
    """Scores of real rows, and those with a system's rows added; None: there are no rows of it."""
    if system is None:
        facts = {"table": sha256(split.path), "seed": split.seed, "repeats": REPEATS}
        (real_NC,) = without_missing(split.train)
        return part(split.folder / "learnt-real.json", facts, lambda: {"scores": scores(split, real_NC)})
    path = split.rows_file(system)
    if not path.is_file():
        return None
    facts = {"table": sha256(split.path), "rows": sha256(path), "repeats": REPEATS}

    def make():
        rows = split.rows_of(system)
        real_NC, new_NC = without_missing(split.train, rows)
        new_NC = new_NC[is_valid(rows)]
        return {"scores": scores(split, np.concatenate([real_NC, new_NC])), "rows": len(new_NC)}

    return part(split.folder / f"learnt-{path.stem}.json", facts, make)


def measure(args):
    """``{"real": {seed: scores}, "systems": {system: {seed: part}}}``."""
    found = {"real": {}, "systems": {}}
    for seed in range(1, args.seeds + 1):
        split = Split(args.data, args.to, TABLE, seed)
        found["real"][seed] = measured(split, None)["scores"]
        for system in SYSTEMS:
            one = measured(split, system)
            if one is not None:
                found["systems"].setdefault(system, {})[seed] = one
    return found


def gain(found, system, model, measure):
    """What a system's rows add, paired by seed: mean, half of the interval (None for one seed)."""
    parts = found["systems"][system]
    differences = [
        one["scores"][model][measure] - found["real"][seed][model][measure] for seed, one in parts.items()
    ]
    count = len(differences)
    if count < 2:
        return float(np.mean(differences)), None
    error = np.std(differences, ddof=1) / count**0.5
    return float(np.mean(differences)), float(error * stats.t.ppf((1 + LEVEL) / 2, count - 1))


def said(found, system):
    """In words, by both models' R2."""
    told = []
    for model, name in MODELS.items():
        mean, half = gain(found, system, model, "r2")
        if half is None:
            told.append(f"{name}: one seed says nothing")
        elif abs(mean) <= half:
            told.append(f"{name}: no difference seen")
        else:
            told.append(f"{name}: {'helps' if mean > 0 else 'harms'}")
    return told[0].split(": ")[1] if len({one.split(": ")[1] for one in told}) == 1 else "; ".join(told)


def lines_of(found, seeds):
    """Markdown: the real rows alone, then what each system adds, and who is missing."""
    real = {
        (model, measure): [one[model][measure] for one in found["real"].values()]
        for model in MODELS
        for measure in MEASURES
    }
    lines = [
        "| learnt from | seeds | rows added | "
        + " | ".join(f"{name}: {what}" for name in MODELS.values() for what in MEASURES.values())
        + " | the added rows |",
        "| --- " + "| ---: " * 6 + "| --- |",
        f"| {TABLES[TABLE][3]:,} real rows | {seeds} | | "
        + " | ".join(f"{np.mean(values):.3f}" for values in real.values())
        + " | |",
    ]
    for system, parts in found["systems"].items():
        rows = np.mean([one["rows"] for one in parts.values()])
        cells = []
        for model in MODELS:
            for measure in MEASURES:
                mean, half = gain(found, system, model, measure)
                cells.append(f"{mean:+.3f}" + ("" if half is None else f" ± {half:.3f}"))
        cells.append(said(found, system))
        lines.append(f"| and rows by {system} | {len(parts)} | {rows:,.0f} | {' | '.join(cells)} |")
    if missing := missing_of(found, seeds):
        lines += ["", f"Missing here: {'; '.join(missing)}."]
    return lines


def missing_of(found, seeds):
    """Systems that lack rows for some of the seeds."""
    missing = []
    for system in SYSTEMS:
        have = found["systems"].get(system, {})
        lacking = [str(seed) for seed in range(1, seeds + 1) if seed not in have]
        if len(lacking) == seeds:
            missing.append(system)
        elif lacking:
            missing.append(f"{system} of seed {', '.join(lacking)}")
    return missing


def picture_lines(drawn, absent, seed):
    """The picture, and who is not in it."""
    lines = ["", "![Densities of every column](abalone.png)", ""]
    lines.append(f"Each column of seed {seed}: held-out rows (grey), and rows by {', '.join(drawn)}.")
    if absent:
        lines.append(f"Not there: {', '.join(absent)}.")
    return lines


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with abalone/")
    add("--to", type=Path, required=True, help="folder of tables.py")
    add("--seeds", type=int, default=5, help="draws of the training rows (default: 5)")
    add("--draw", type=int, default=1, metavar="SEED", help="whose rows are in the picture (default: 1)")
    args = parser.parse_args()
    found = measure(args)
    if not found["systems"]:
        raise UserError(f"--to {args.to} holds no rows of Abalone: run benchmarks/tables.py --to {args.to}")
    split = Split(args.data, args.to, TABLE, args.draw)
    there = {system: split.rows_of(system) for system in DRAWN if split.rows_file(system).is_file()}
    draw(split.held_out, there, RESULT)
    absent = [system for system in DRAWN if system not in there]
    lines = lines_of(found, args.seeds) + picture_lines(list(there), absent, args.draw)
    print("\n".join(lines))
    result = {"made": date.today().isoformat(), "seeds": args.seeds, "found": json.loads(json.dumps(found))}
    write_result(RESULT, result, [*lines, ""], "Do synthetic rows help a model of Abalone?")


if __name__ == "__main__":
    main()
