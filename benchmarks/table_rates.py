"""Training rows and valid sampled rows per second, and peak memory: other packages beside ours, alternating.

    python benchmarks/table_rates.py --data DIR --to DIR --package be_great=ENV/bin/python

In each round ours and theirs learn the same rows by models of equal size, then both sample. Seconds are those
of one processor, so that other work on the machine does not change them (run it with OMP_NUM_THREADS=1).
Learning is the difference of a longer and a shorter run: neither's start counts. A package samples from the
model that ``tables.py`` left in ``--to``; without one only its learning is measured. Ours samples from what
it just learnt: all its rows are valid anyway. Every part is kept, and the same command goes on. Writes
``table_rates.json`` and the tables of ``table_rates.md``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import earlier_result, write_result  # noqa: E402
from benchmarks.parts import part  # noqa: E402
from benchmarks.table_split import TABLES, Split, num_valid  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.files import sha256  # noqa: E402
from fairseq_plugin.synthesis.held_out import hold_out  # noqa: E402
from fairseq_plugin.synthesis.request import SynthesisRequest  # noqa: E402
from fairseq_plugin.synthesis.stages import SynthesisStages  # noqa: E402
from fairseq_plugin.tables.manifest import TableManifest  # noqa: E402

RESULT = Path(__file__).with_suffix("")
SHORT, LONG = 1, 4  # epochs of ours, whose difference is measured
SEED = 1


def run(command, to):
    """Run a command; what it printed, its seconds of the processor and its peak memory in MiB, both with
    those of the commands that it ran."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with open(to, "w+") as said:
        process = subprocess.Popen(list(map(str, command)), stdout=said, cwd=ROOT)
        _, status, spent = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise UserError(f"{' '.join(map(str, command[:4]))} ended with status {process.returncode}: see {to}")
    return text, spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1024


def last_line(text):
    return json.loads(text.strip().split("\n")[-1])


def ours_learns(split, folder):
    """Rows per second of fairseq's training as ``synthesize.py`` runs it, epochs with their validation and
    their checkpoint; the folder keeps the model."""
    request = SynthesisRequest(split.folder / "train.csv", folder, target=split.target, held_out=0, seed=SEED)
    seconds, memory, rows = [], 0.0, 0
    for epochs in (SHORT, LONG):
        to = folder / f"{epochs}-epochs"
        own = replace(request, to=to, epochs=epochs, overwrite=True)
        stages = SynthesisStages(own, hold_out(own))
        run(stages.prepare().command, to / "prepare.txt")
        rows = TableManifest.load(ROOT / stages.data).splits["train"].rows
        stages.checkpoint.parent.mkdir(parents=True, exist_ok=True)  # of the log
        _, spent, memory = run(stages.train().command, to / "train.txt")
        seconds.append(spent)
    return {"rows_per_second": rows * (LONG - SHORT) / (seconds[1] - seconds[0]), "memory": memory}


def ours_samples(split, folder, num_rows):
    """Valid rows per second."""
    learnt, new = folder / f"{LONG}-epochs", folder / "new.csv"
    best = learnt / "checkpoints" / "checkpoint_best.pt"
    draw = ROOT / "benchmarks" / "table_draw.py"
    command = [sys.executable, draw, best, learnt / "data", new, num_rows, SEED]
    return sampled(split, run(command, folder / "draw.txt"), new)


def sampled(split, done, new):
    """Of what was run: valid rows of a file per second."""
    text, _, memory = done
    valid = num_valid(split.read(new))
    said = last_line(text)
    return {
        "rows_per_second": valid / said["processor"],
        "valid": valid,
        "rows": said["rows"],
        "memory": memory,
    }


def package_command(python, system, args, *words):
    return [python, ROOT / "benchmarks" / "table_package.py", system, *words, "--seed", SEED,
            "--bpe", args.data / "gpt2-bpe"]  # fmt: skip


def package_learns(split, system, folder, args):
    command = package_command(args.package[system], system, args, "rate", split.folder / "train.csv", folder)
    text, _, memory = run(command, folder / "rate.txt")
    return last_line(text) | {"memory": memory}


def package_samples(split, system, folder, args):
    model, new = split.folder / f"{system}.model", folder / "new.csv"
    command = package_command(args.package[system], system, args, "sample", model, new,
                              "--rows", args.rows, "--seconds", 600)  # fmt: skip
    return sampled(split, run(command, folder / "sample.txt"), new)


def measure(args):
    """``{table: {system: {"learns", "samples": [(ours, theirs) of each round]}}}``."""
    found = {}
    for name in args.tables.split(","):
        split = Split(args.data, args.to, name, SEED)
        for system in args.package:
            pairs = {"learns": [], "samples": []}
            for number in range(1, args.rounds + 1):
                one = one_round(split, system, number, args)
                for what, pair in pairs.items():
                    if what in one["ours"] and what in one["theirs"]:
                        pair.append([one["ours"][what], one["theirs"][what]])
            found.setdefault(name, {})[system] = pairs
    return found


def one_round(split, system, number, args):
    """What each side does in a round, kept as soon as it is there."""
    folder = split.folder / "rates" / f"{system}-{number}"
    ours, theirs = folder / "ours", folder / "theirs"
    made = {
        "ours": {"learns": lambda: ours_learns(split, ours)},
        "theirs": {"learns": lambda: package_learns(split, system, theirs, args)},
    }
    if "samples" in args.measure and (split.folder / f"{system}.model").is_dir():
        made["ours"]["samples"] = lambda: ours_samples(split, ours, args.rows)
        made["theirs"]["samples"] = lambda: package_samples(split, system, theirs, args)
    facts = {"train": sha256(split.folder / "train.csv"), "rows": args.rows}
    return {
        side: {what: part(folder / f"{side}-{what}.json", facts, make) for what, make in parts.items()}
        for side, parts in made.items()
    }


def lines_of(found):
    """Markdown."""
    lines = []
    for name, systems in found.items():
        lines += [f"### {name.capitalize()}, {TABLES[name][3]:,} training rows", "", *HEAD]
        for system, pairs in systems.items():
            for what, word in (("learns", "learns"), ("samples", "samples, valid")):
                if pairs[what]:
                    lines.append(f"| {system} {word} | {' | '.join(figures_of(pairs[what]))} |")
        lines.append("")
    return lines


HEAD = [
    "| | ours, rows/s | theirs, rows/s | ours / theirs | least | most | MiB: ours | theirs |",
    "| --- " + "| ---: " * 7 + "|",
]


def figures_of(pairs):
    """Of all rounds: medians, the extremes of the ratio, and the largest memory."""
    ours, theirs = ([pair[side]["rows_per_second"] for pair in pairs] for side in (0, 1))
    memory = [f"{max(pair[side]['memory'] for pair in pairs):,.0f}" for side in (0, 1)]
    medians = [number(statistics.median(side)) for side in (ours, theirs)]
    if not all(theirs):
        return [*medians, "no valid row", "", "", *memory]
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    return [*medians, *map(number, (statistics.median(ratios), min(ratios), max(ratios))), *memory]


def number(value):
    """Three digits that say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with abalone/, insurance/ and gpt2-bpe/")
    add("--to", type=Path, required=True, help="folder of tables.py")
    add("--tables", default="abalone,insurance", help=f"of {', '.join(TABLES)} (default: the first two)")
    add("--package", action="append", required=True, metavar="NAME=PYTHON", help="as for tables.py")
    add("--measure", default="learns,samples", help="learns alone, or both (default: both)")
    add("--rounds", type=int, default=3, help="of ours and theirs (default: 3)")
    add("--rows", type=int, default=300, help="to sample in a round (default: 300)")
    args = parser.parse_args()
    args.package = dict(pair.split("=", 1) for pair in args.package)
    earlier = earlier_result(RESULT).get("found", {})
    found = {**earlier, **measure(args)}
    for name, systems in found.items():  # what was not measured now
        for system, pairs in systems.items():
            for what, before in earlier.get(name, {}).get(system, {}).items():
                pairs[what] = pairs[what] or before
    lines = lines_of({name: found[name] for name in TABLES if name in found})
    print("\n".join(lines))
    result = {"made": date.today().isoformat(), "machine": machine_class(1), "rounds": args.rounds,
              "rows": args.rows, "found": found}  # fmt: skip
    write_result(RESULT, result, lines, "How fast packages learn and write rows of tables")


if __name__ == "__main__":
    main()
