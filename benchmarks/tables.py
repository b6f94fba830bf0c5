"""Synthetic rows of real tables: ours beside copies, a Gaussian copula, sequential CART, and other packages.

    python benchmarks/tables.py --data DIR --to DIR                        # 5 seeds of Abalone and Insurance
    python benchmarks/tables.py --data DIR --to DIR --seeds 1 --updates 528  # what a loaded machine allows
    python benchmarks/tables.py --data DIR --to DIR --package be_great=ENV/bin/python

DIR holds ``abalone/abalone.csv``, ``insurance/insurance.csv`` and, for be_great, ``gpt2-bpe/``. Each seed
draws the training rows (3,000 and 1,000) anew; all others are held out, and judge (``synthesis/judges/``).
There are as many new rows as training rows. Every part is written as soon as it is there, and the same
command goes on. Writes ``tables.json`` and the tables of ``tables.md``.
"""

import argparse
import json
import os
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
from benchmarks.parts import part  # noqa: E402
from benchmarks.table_rivals import RIVALS, rival_rows  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.files import sha256  # noqa: E402
from fairseq_plugin.synthesis.judges.judgement import judge_rows  # noqa: E402
from fairseq_plugin.synthesis.judges.rows import judged_rows  # noqa: E402
from fairseq_plugin.synthesis.judges.verdict import WORTHLESS  # noqa: E402
from fairseq_plugin.tables.infer import infer  # noqa: E402
from fairseq_plugin.tables.profile import Profile  # noqa: E402
from fairseq_plugin.tables.reading import TableFile  # noqa: E402
from fairseq_plugin.tables.writing import write_table  # noqa: E402

RESULT = Path(__file__).with_suffix("")
ABALONE = ("Sex", "Length", "Diameter", "Height", "Whole", "Shucked", "Viscera", "Shell", "Rings")
TABLES = {  # file, names of the columns, target, training rows
    "abalone": ("abalone/abalone.csv", ABALONE, "Rings", 3000),
    "insurance": ("insurance/insurance.csv", None, "charges", 1000),
}
OURS = {"ours": ()}  # flags of synthesize.py
PACKAGE_EPOCHS = 30
PACKAGES = ("be_great", "ctgan", "tvae", "realtabformer")


class Split:
    """Training and held-out rows of a table by a seed, written to a folder.

    Attributes:
        name, target: of the table.
        folder: holds ``train.csv`` and ``held_out.csv``.
        train, held_out: as the judges read them, by a schema of the whole table.
    """

    def __init__(self, data, to, name, seed):
        file, names, self.target, num_train = TABLES[name]
        self.name, self.seed, self.path = name, seed, data / file
        table = TableFile.open(self.path, names=names)
        rows, self.names = table.rows(), list(table.names)
        order = np.random.default_rng([seed, len(rows)]).permutation(len(rows)).tolist()
        self.folder = to / name / f"seed-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = {"train": order[:num_train], "held_out": order[num_train:]}
        cells = {part: [rows[at] for at in places] for part, places in parts.items()}
        for part_name, own in cells.items():
            write_table(self.folder / f"{part_name}.csv", self.names, own, "csv")
        profiles = [Profile() for _ in self.names]
        for profile, column in zip(profiles, zip(*rows)):
            profile.add(column)
        self.schema, _ = infer(self.names, profiles, self.target, "first", {})
        self.train, self.held_out = (self.judged(self.names, own) for own in cells.values())

    def judged(self, names, rows):
        return judged_rows(self.schema, list(names), rows)

    def judge(self, names, rows):
        judgement = judge_rows(self.train, self.held_out, self.judged(names, rows), self.target, self.seed)
        return judgement.to_json()


def by_rival(split, system, args):
    began = time.monotonic()
    rows = rival_rows(system, split.train, split.target, len(split.train), split.seed)
    seconds = {"train": time.monotonic() - began, "sample": 0.0}
    names = [column.column.name for column in split.train.columns]
    return {"costs": seconds, "judged": split.judge(names, rows)}


def by_us(split, system, args):
    """By the one command; its own judges are not asked."""
    to = split.folder / system.replace(" ", "-").replace(",", "")
    command = [sys.executable, ROOT / "scripts" / "synthesize.py", split.folder / "train.csv", "--to", to,
               "--target", split.target, "--rows", len(split.train), "--seed", split.seed, "--held-out", 0,
               *OURS[system]]  # fmt: skip
    command += ["--epochs", epochs_of(len(split.train), args.updates)] if args.updates else []
    began = time.monotonic()
    done = subprocess.run(list(map(str, command)), stdout=sys.stderr)
    if done.returncode not in (0, WORTHLESS):
        raise UserError(f"synthesize.py ended with status {done.returncode}: see above")
    table = TableFile.open(to / "rows.csv", header="yes")
    return {"costs": {"all": time.monotonic() - began}, "judged": split.judge(table.names, table.rows())}


def epochs_of(num_rows, updates):
    """Passes over so many training rows for about so many updates of 64; a tenth validates."""
    return max(updates // -(-(num_rows - round(num_rows / 10)) // 64), 1)


def by_package(split, system, args):
    new = split.folder / f"{system}.csv"
    command = [args.package[system], ROOT / "benchmarks" / "table_package.py", system,
               split.folder / "train.csv", new, len(split.train), PACKAGE_EPOCHS, split.seed,
               args.data / "gpt2-bpe"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"{system} ended with status {done.returncode}: see above")
    table = TableFile.open(new, header="yes")
    costs = json.loads(done.stdout.strip().split("\n")[-1])
    return {"costs": costs, "judged": split.judge(table.names, table.rows())}


def measure(args):
    """``{table: {system: [a part per seed]}}``."""
    systems = {**dict.fromkeys(RIVALS, by_rival), **dict.fromkeys(OURS, by_us),
               **dict.fromkeys(args.package, by_package)}  # fmt: skip
    if args.systems:
        wanted = args.systems.split(",")
        if unknown := set(wanted) - set(systems):
            raise UserError(f"--systems {', '.join(unknown)}: give some of {', '.join(systems)}")
        systems = {name: systems[name] for name in wanted}
    found = {}
    for name in args.tables.split(","):
        for seed in range(1, args.seeds + 1):
            split = Split(args.data, args.to, name, seed)
            for system, make in systems.items():
                facts = {"table": sha256(split.path), "seed": seed, "system": system}
                if make is by_us:
                    facts["updates"] = args.updates
                kept = split.folder / f"{system.replace(' ', '-')}.json"
                one = part(
                    kept, facts, lambda make=make, split=split, system=system: make(split, system, args)
                )
                found.setdefault(name, {}).setdefault(system, []).append(one)
    return found


def lines_of(found):
    """Markdown."""
    lines = []
    for name, systems in found.items():
        seeds = len(next(iter(systems.values())))
        lines += [f"### {name.capitalize()}, {TABLES[name][3]:,} training rows, {seeds} seed(s)", "", *HEAD]
        first = next(iter(systems.values()))
        real = [mean(first, *path) for path in REAL]
        lines.append("| real, held out | " + " | ".join(["", *real]) + " |")
        for system, parts in systems.items():
            cost = np.mean([sum(one["costs"].values()) for one in parts])
            figures = [f"{cost:.1f}" if cost < 10 else f"{cost:.0f}", *(mean(parts, *path) for path in NEW)]
            lines.append(f"| {system} | {' | '.join(figures)} |")
        lines.append("")
    return lines


HEAD = [
    "| rows by | s | KS, TV | pairs | AUC held out: forest | boosted | AUC train: forest | learnt: forest | "
    "boosted | closest | copies |",
    "| --- " + "| ---: " * 10 + "|",
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


def mean(parts, *path):
    """A figure of the judges, mean over the seeds, as text."""
    if not path:
        return ""
    values = []
    for one in parts:
        value = one["judged"]
        for key in path:
            value = value[key]
        values.append(value)
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values):.3f}" if len(values) > 1 else "")


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with abalone/ and insurance/")
    parser.add_argument("--to", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--tables", default=",".join(TABLES), help="of these (default: both)")
    parser.add_argument(
        "--systems", help="some of them only, such as 'ours,sequential CART'; writes no result"
    )
    parser.add_argument("--seeds", type=int, default=5, help="draws of the training rows (default: 5)")
    parser.add_argument("--updates", type=int, help="about, of ours (default: by the size of the table)")
    parser.add_argument("--package", action="append", default=[], metavar="NAME=PYTHON",
                        help=f"also one of {', '.join(PACKAGES)}, by the Python that has it")  # fmt: skip
    args = parser.parse_args()
    args.package = dict(pair.split("=", 1) for pair in args.package)
    found = measure(args)
    lines = lines_of(found)
    print("\n".join(lines))
    if args.systems:
        return
    result = {"made": date.today().isoformat(), "machine": machine_class(os.cpu_count() or 1),
              "updates": args.updates, "found": found}  # fmt: skip
    write_result(RESULT, result, lines, "Synthetic rows of real tables")


if __name__ == "__main__":
    main()
