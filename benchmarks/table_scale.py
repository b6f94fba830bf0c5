"""What large tables cost: seconds and peak memory of the real commands, each in a process of its own.

    python benchmarks/table_scale.py --data DIR --to DIR                  # all; the largest takes minutes
    python benchmarks/table_scale.py --data DIR --to DIR --tables wide    # one of them

Each table is made (the sentences are those of DIR/sst2), prepared by ``scripts/prepare_table.py``, and mostly
learnt for a few updates and drawn from. Seconds are those of the clock and of the processor, memory
is the most that the process held, PyTorch's own 200 to 500 MB included. A table is deleted when it was
measured. Every part is kept, and the same command goes on. Writes ``table_scale.json`` and the table of
``table_scale.md``.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import earlier_result, write_result  # noqa: E402
from benchmarks.parts import part  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.tables.manifest import TableManifest  # noqa: E402

RESULT = Path(__file__).with_suffix("")
CHUNK = 10_000  # rows in memory while a table is made
UPDATES, DRAWN = 5, 50
START = datetime(2020, 1, 1)


@dataclass(frozen=True)
class Made:
    """A table.

    Attributes:
        what: in words.
        names: of its columns.
        chunk: ``(random, number of rows) -> columns of cells``; all but the sentences.
        num_rows: of it.
        learns: whether it is learnt and drawn from.
        batch: rows of an update.
    """

    what: str
    names: list
    chunk: object
    num_rows: int
    learns: bool
    batch: int = 64


def long_columns(random, num):
    """4 categories, yes or no, 13 numbers, a date and a moment."""
    cities = [random.choice([f"city {one}" for one in range(size)], num) for size in (4, 12, 50, 200)]
    numbers = [random.integers(0, 10**power, num) for power in (1, 2, 3, 4, 6)]
    decimals = [np.char.mod("%.2f", random.lognormal(3, 1, num)) for _ in range(8)]
    days = dates(random, num, "%Y-%m-%d"), dates(random, num, "%Y-%m-%d %H:%M:%S")
    return [*cities, random.choice(["yes", "no"], num), *numbers, *decimals, *days]


def dates(random, num, form):
    """Cells of moments of four years."""
    seconds = random.integers(0, 4 * 365 * 86_400, num).tolist()
    return [(START + timedelta(seconds=one)).strftime(form) for one in seconds]


def wide_columns(random, num):
    """500 columns: numbers that follow a common one, and a category for every tenth."""
    common = random.normal(size=num)
    return [
        random.choice(list("abcd"), num)
        if place % 10 == 0
        else np.char.mod("%.2f", common + random.normal(size=num))
        for place in range(500)
    ]


def many_values(random, num):
    """A category of 100,000 values, each of at least ten rows in a million, and a number."""
    values = [f"value {one:06d}" for one in random.integers(0, 100_000, num).tolist()]
    return [values, random.integers(0, 100, num)]


def date_columns(random, num):
    return [dates(random, num, form) for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%H:%M")]


TABLES = {
    "long": Made(
        "1,000,000 rows x 20 columns", [f"c{one}" for one in range(20)], long_columns, 1_000_000, False
    ),
    "wide": Made("2,000 rows x 500 columns", [f"c{one}" for one in range(500)], wide_columns, 2000, True, 4),
    "values": Made(
        "a category of 100,000 values, 1,000,000 rows", ["value", "count"], many_values, 1_000_000, True
    ),
    "sentences": Made("sentences (bytes), 20,000 rows", ["sentence", "label", "words"], None, 20_000, True),
    "dates": Made(
        "days, moments, times, 100,000 rows", ["day", "moment", "time"], date_columns, 100_000, True
    ),
}


def make(name, path, data):
    """Write a table."""
    made, random = TABLES[name], np.random.default_rng(1)
    with open(path, "w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(made.names)
        if made.chunk is None:
            lines.writerows(sentences(data, made.num_rows))
            return
        for _ in range(0, made.num_rows, CHUNK):
            lines.writerows(zip(*made.chunk(random, min(CHUNK, made.num_rows))))


def sentences(data, num_rows):
    """Sentences of SST-2's training rows, their labels and their numbers of words."""
    with open(data / "sst2" / "train.tsv", encoding="utf-8") as stream:
        pairs = [line.rstrip("\n").split("\t") for line in stream][1 : num_rows + 1]
    if len(pairs) < num_rows:
        raise UserError(f"{data / 'sst2' / 'train.tsv'} has fewer than {num_rows:,} rows")
    return [(text.strip(), label, len(text.split())) for text, label in pairs]


def run(command, log):
    """Seconds of the clock and of the processor, and MiB at most, of a command."""
    began = time.monotonic()
    with open(log, "w") as said:
        process = subprocess.Popen(list(map(str, command)), stdout=said, stderr=said, cwd=ROOT)
        _, status, spent = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise UserError(f"{' '.join(map(str, command[:3]))} failed: see {log}")
    return {
        "seconds": time.monotonic() - began,
        "processor": spent.ru_utime + spent.ru_stime,
        "memory": spent.ru_maxrss / 1024,
    }


def measure(name, args):
    """What a table costs."""
    made, folder = TABLES[name], args.to / name
    folder.mkdir(parents=True, exist_ok=True)
    table, data, save = folder / "table.csv", folder / "data", folder / "checkpoints"
    make(name, table, args.data)
    found = {"bytes": table.stat().st_size}
    prepare = [sys.executable, "scripts/prepare_table.py", table, "--to", data, "--overwrite"]
    found["prepare"] = run(prepare, folder / "prepare.log")
    manifest = TableManifest.load(data)
    split = manifest.splits["train"]
    found |= {"tokens": split.tokens / split.rows, "symbols": manifest.vocabulary}
    if made.learns:
        best = save / "checkpoint_last.pt"
        found["train"] = run(train_command(data, manifest, save, made.batch), folder / "train.log")
        draw = [sys.executable, "benchmarks/table_draw.py", best, data, folder / "new.csv", DRAWN, 1]
        found["draw"] = run(draw, folder / "draw.log")
    shutil.rmtree(folder)
    return found


def train_command(data, manifest, save, batch):
    """The network of a small table, for a few updates."""
    return [
        Path(sys.executable).parent / "fairseq-train", data,
        *("--user-dir", "fairseq_plugin", "--task", "table_rows", "--arch", "gpt2_tiny"),
        *("--n-layer", 3, "--n-embd", 64, "--n-positions", -(-manifest.longest // 8) * 8),
        *("--place-bumps", 16, "--value-bumps", 8, "--no-own-rows", "--marginal-bias"),
        *("--attention-dropout", 0, "--criterion", "scale_grad", "--gamma", 1, "--batch-size", batch),
        *("--optimizer", "fused_adamw", "--lr", 0.002, "--max-update", UPDATES),
        *("--disable-validation", "--save-dir", save),
    ]  # fmt: skip


def lines_of(found):
    """Markdown."""
    learnt, drawn = f"{UPDATES} updates of rows", f"{DRAWN} rows drawn"
    heads = ["table", "MB", "tokens a row", "symbols", "prepared: s", "s of the processor", "MiB"]
    heads += [f"{learnt} (so many): s of the processor", "MiB", f"{drawn}: s of the processor", "MiB"]
    lines = [f"| {' | '.join(heads)} |", "| --- " + "| ---: " * 10 + "|"]
    for name, one in found.items():
        figures = [f"{one['bytes'] / 1e6:.1f}", f"{one['tokens']:.1f}", f"{one['symbols']:,}",
                   f"{one['prepare']['seconds']:.0f}", f"{one['prepare']['processor']:.0f}",
                   f"{one['prepare']['memory']:,.0f}"]  # fmt: skip
        for what in ("train", "draw"):
            did = one.get(what)
            size = f"{TABLES[name].batch}: " if what == "train" else ""
            figures += ["", ""] if did is None else [f"{size}{did['processor']:.0f}", f"{did['memory']:,.0f}"]
        lines.append(f"| {TABLES[name].what} | {' | '.join(figures)} |")
    return [*lines, ""]


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with sst2/")
    add("--to", type=Path, required=True, help="folder of everything that is made")
    add("--tables", nargs="+", default=list(TABLES), help=f"of {', '.join(TABLES)} (default: all)")
    args = parser.parse_args()
    if unknown := set(args.tables) - set(TABLES):
        raise UserError(f"--tables {' '.join(sorted(unknown))}: choose of {', '.join(TABLES)}")
    args.data, args.to = args.data.absolute(), args.to.absolute()
    args.to.mkdir(parents=True, exist_ok=True)
    found = earlier_result(RESULT).get("found", {})
    for name in args.tables:
        facts = {"table": TABLES[name].what}
        facts |= (
            {"updates": UPDATES, "rows": DRAWN, "batch": TABLES[name].batch} if TABLES[name].learns else {}
        )
        found[name] = part(args.to / f"{name}.json", facts, lambda name=name: measure(name, args))
    found = {name: found[name] for name in TABLES if name in found}
    lines = lines_of(found)
    result = {"made": date.today().isoformat(), "machine": machine_class(1), "found": found}
    write_result(RESULT, result, lines, "What large tables cost")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
