"""Synthetic rows of real tables: ours beside copies, a Gaussian copula, sequential CART, and other packages.

    python benchmarks/tables.py --data DIR --to DIR                        # 5 seeds of Abalone and Insurance
    python benchmarks/tables.py --data DIR --to DIR --seeds 1 --updates 528  # what a loaded machine allows
    python benchmarks/tables.py --data DIR --to DIR --package be_great=ENV/bin/python
    python benchmarks/tables.py --data DIR --to DIR --report               # of what is there by now

DIR holds ``abalone/abalone.csv``, ``insurance/insurance.csv`` and, for be_great, ``gpt2-bpe/``. Each seed
draws the training rows (3,000 and 1,000) anew; all others are held out, and judge (``synthesis/judges/``).
There are as many new rows as training rows, kept as ``DIR/TABLE/seed-N/SYSTEM.csv``. Seconds are those of
the processor, so that other work on the machine does not change them. Every part is written as soon as it is
there, and the same command goes on. Writes ``tables.json`` and the tables of ``tables.md``.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from benchmarks.parts import kept_part, part  # noqa: E402
from benchmarks.table_rivals import RIVALS, rival_rows  # noqa: E402
from benchmarks.table_split import TABLES, Split, slug  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.files import sha256  # noqa: E402
from fairseq_plugin.synthesis.judges.verdict import WORTHLESS  # noqa: E402
from fairseq_plugin.tables.writing import write_table  # noqa: E402

RESULT = Path(__file__).with_suffix("")
OURS = {"ours": (), "ours as drawn": ("--choose-from", 1)}  # flags of synthesize.py, one network
PACKAGES = ("be_great", "ctgan", "tvae", "realtabformer", "mostlyai")
PACKAGE_EPOCHS = {
    "ctgan": 300,
    "tvae": 300,
    "mostlyai": 100,
}  # their defaults; language models get --package-seconds
OUR_EPOCHS = {"be_great for our epochs": "be_great"}  # as many as ours on the same rows; only where asked for


def by_rival(split, system, args):
    """A plain generator of ``table_rivals.py``."""
    began = time.process_time()
    rows = rival_rows(system, split.train, split.target, len(split.train), split.seed)
    seconds = {"train": time.process_time() - began, "sample": 0.0}
    names = [column.column.name for column in split.train.columns]
    write_table(split.rows_file(system), names, rows, "csv")
    return seconds


def by_us(split, system, args):
    """By the one command; its own judges are not asked."""
    to = split.folder / "ours"
    command = [sys.executable, ROOT / "scripts" / "synthesize.py", split.folder / "train.csv", "--to", to,
               "--target", split.target, "--rows", len(split.train), "--seed", split.seed, "--held-out", 0,
               *OURS[system]]  # fmt: skip
    command += ["--epochs", epochs_of(len(split.train), args.updates)] if args.updates else []
    began = seconds_of_children()
    done = subprocess.run(list(map(str, command)), stdout=sys.stderr)
    if done.returncode not in (0, WORTHLESS):
        raise UserError(f"synthesize.py ended with status {done.returncode}: see above")
    seconds = {"all": seconds_of_children() - began}
    shutil.copyfile(to / "rows.csv", split.rows_file(system))
    return seconds


def seconds_of_children():
    """Of the processor, by all commands that ended: other work on the machine does not change them."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def epochs_of(num_rows, updates):
    """Passes over so many training rows for about so many updates of 64; a tenth validates."""
    return max(updates // -(-(num_rows - round(num_rows / 10)) // 64), 1)


def by_package(split, system, args):
    """By another package, in its own environment; its model is kept for ``table_rates.py``."""
    package = OUR_EPOCHS.get(system, system)
    model, train = split.folder / f"{slug(system)}.model", split.folder / "train.csv"
    budget = budget_of(split, system, args)

    def ask(*words):
        return in_package(args.package[package], package, words, split.seed, args.data)

    facts = {"train": sha256(train), "budget": list(map(str, budget))}
    kept = split.folder / f"{slug(system)}.fit.json"
    fitted = part(kept, facts, lambda: ask("fit", train, model, *budget))
    sampled = ask("sample", model, split.rows_file(system), "--rows", len(split.train),
                  "--seconds", args.package_sampling)  # fmt: skip
    return {"train": fitted["processor"], "sample": sampled["processor"], "epochs": fitted["epochs"]}


def budget_of(split, system, args):
    """How long a package learns, as flags of ``table_package.py``."""
    if system in OUR_EPOCHS:
        return ["--epochs", our_epochs(split)]
    if system in PACKAGE_EPOCHS:
        return ["--epochs", PACKAGE_EPOCHS[system]]
    return ["--seconds", args.package_seconds]


def our_epochs(split):
    """Passes that ours made over the same rows."""
    folder = split.folder / "ours" / "checkpoints"
    epochs = [int(path.stem.removeprefix("checkpoint")) for path in folder.glob("checkpoint[0-9]*.pt")]
    if not epochs:
        raise UserError(f"{folder} holds no epoch: run the system 'ours' first")
    return max(epochs)


def in_package(python, system, words, seed, data):
    """What ``table_package.py`` says at its end."""
    command = [python, ROOT / "benchmarks" / "table_package.py", system, *words, "--seed", seed,
               "--bpe", data / "gpt2-bpe"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"{system} ended with status {done.returncode}: see above")
    return json.loads(done.stdout.strip().split("\n")[-1])


def measure(args):
    """``{table: {system: [a part per seed]}}``, of the systems that have one."""
    wanted = args.systems.split(",") if args.systems else []
    longer = [name for name in OUR_EPOCHS if args.report or name in wanted]
    packages = [*(PACKAGES if args.report else args.package), *longer]
    systems = {**dict.fromkeys(RIVALS, by_rival), **dict.fromkeys(OURS, by_us),
               **dict.fromkeys(packages, by_package)}  # fmt: skip
    if wanted:
        if unknown := set(wanted) - set(systems):
            raise UserError(f"--systems {', '.join(unknown)}: give some of {', '.join(systems)}")
        systems = {name: systems[name] for name in wanted}
    found = {}
    for name in args.tables.split(","):
        for seed in range(1, args.seeds + 1):
            split = Split(args.data, args.to, name, seed)
            for system, make in systems.items():
                one = one_part(split, system, make, args)
                if one is not None:
                    found.setdefault(name, {}).setdefault(system, []).append(one)
    return found


def one_part(split, system, make, args):
    """A system's rows of a seed, judged; with ``--report`` only what is there, or None."""
    facts = {"table": sha256(split.path), "seed": split.seed, "system": system}
    if make is by_us:
        facts["updates"] = args.updates
    if make is by_package:
        facts["budget"] = list(map(str, budget_of(split, system, args)))
    kept = split.folder / f"{slug(system)}.json"
    if args.report:
        return kept_part(kept, facts)
    return part(kept, facts, lambda: {"costs": make(split, system, args), **split.judge_file(system)})


def lines_of(found):
    """Markdown."""
    lines = []
    for name, systems in found.items():
        lines += [f"### {name.capitalize()}, {TABLES[name][3]:,} training rows", "", *HEAD]
        first = max(systems.values(), key=len)
        real = [mean(first, *path) for path in REAL]
        lines.append("| real, held out | " + " | ".join([str(len(first)), "", "", *real]) + " |")
        for system, parts in systems.items():
            cost = np.mean([sum(one["costs"].get(what, 0) for what in COSTS) for one in parts])
            valid = sum(one["valid"] for one in parts) / (len(parts) * TABLES[name][3])
            figures = [str(len(parts)), f"{cost:.1f}" if cost < 10 else f"{cost:.0f}", f"{valid:.1%}"]
            figures += [mean(parts, *path) for path in NEW]
            lines.append(f"| {system} | {' | '.join(figures)} |")
        lines.append("")
    return lines


COSTS = ("train", "sample", "all")  # seconds
HEAD = [
    "| rows by | seeds | s | valid | KS, TV | pairs | AUC held out: forest | boosted | AUC train: forest | "
    "learnt: forest | boosted | closest | copies |",
    "| --- " + "| ---: " * 12 + "|",
]
NEW = (
    ("mean_marginal", "synthetic"),
    ("pairs", "synthetic"),
    ("held_out", "forest"),
    ("held_out", "boosted"),
    ("train", "forest"),
    ("usefulness", "synthetic", "forest"),
    ("usefulness", "synthetic", "boosted"),
    ("closeness", "synthetic", 0),
    ("closeness", "copied"),
)
REAL = (
    ("mean_marginal", "real"),
    ("pairs", "real"),
    (),
    (),
    (),
    ("usefulness", "real", "forest"),
    ("usefulness", "real", "boosted"),
    ("closeness", "held_out", 0),
    ("closeness", "held_out_copied"),
)


def figure(judged, path):
    """One of the judges' figures."""
    for key in path:
        judged = judged[key]
    return judged


def in_short(found):
    """The figures of the tables, of each seed; the parts themselves say all."""
    return {
        table: {
            system: [
                {" ".join(map(str, path)): figure(one["judged"], path) for path in [*NEW, *REAL] if path}
                | {name: one[name] for name in ("valid", "costs")}
                for one in parts
                if one["judged"] is not None
            ]
            for system, parts in systems.items()
        }
        for table, systems in found.items()
    }


def mean(parts, *path):
    """A figure of the judges, mean over the seeds, as text."""
    if not path:
        return ""
    values = [figure(one["judged"], path) for one in parts if one["judged"] is not None]
    if not values:
        return "too few rows"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with abalone/ and insurance/")
    parser.add_argument("--to", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument(
        "--tables", default="abalone,insurance", help=f"of {', '.join(TABLES)} (default: the first two)"
    )
    parser.add_argument(
        "--systems", help="some of them only, such as 'ours,sequential CART'; writes no result"
    )
    parser.add_argument("--seeds", type=int, default=5, help="draws of the training rows (default: 5)")
    parser.add_argument("--updates", type=int, help="about, of ours (default: by the size of the table)")
    parser.add_argument("--package", action="append", default=[], metavar="NAME=PYTHON",
                        help=f"also one of {', '.join(PACKAGES)}, by the Python that has it")  # fmt: skip
    add = parser.add_argument
    add("--package-seconds", type=int, default=300, metavar="S",
        help="training of be_great and realtabformer (default: 300)")  # fmt: skip
    add("--package-sampling", type=int, default=600, metavar="S",
        help="sampling of a package, at most; fewer rows are judged then (default: 600)")  # fmt: skip
    add("--report", action="store_true", help="make nothing new: put together what is in --to")
    args = parser.parse_args()
    args.package = dict(pair.split("=", 1) for pair in args.package)
    found = measure(args)
    lines = lines_of(found)
    print("\n".join(lines))
    if args.systems:
        return
    result = {"made": date.today().isoformat(), "machine": machine_class(os.cpu_count() or 1),
              "updates": args.updates, "found": in_short(found)}  # fmt: skip
    write_result(RESULT, result, lines, "Synthetic rows of real tables")


if __name__ == "__main__":
    main()
