"""What it costs that every row is valid, and whether every row is; what it costs to fill a missing cell.

    python benchmarks/table_sampling.py --data DIR --to DIR

Of Insurance and of a made mixed table, whose rows a small network learns for a few epochs, by a softmax over
the whole vocabulary (``table_whole_vocabulary/``): so it can draw rows with and without the constraint, and
both are compared in turns, by seconds of the processor. Then ``--rows`` rows are drawn from an untrained
network and as many from the learnt one, and a checker that knows nothing of the constraint reads the files
(``table_literal_check.py``). Last, one cell is taken out of ``--holes`` held-out rows, and filled. Every part
is kept, and the same command goes on. Writes ``table_sampling.json`` and the tables of ``table_sampling.md``.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from datetime import date
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from benchmarks.parts import part  # noqa: E402
from benchmarks.table_defaults import VARIANTS  # noqa: E402
from benchmarks.table_literal_check import check_file  # noqa: E402
from benchmarks.table_split import Split  # noqa: E402
from fairseq_plugin.core.gpt2 import GPT2  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.sampling.pool import SamplePool  # noqa: E402
from fairseq_plugin.stages.stage import Runner  # noqa: E402
from fairseq_plugin.storage.dictionary import EOS  # noqa: E402
from fairseq_plugin.synthesis.held_out import hold_out  # noqa: E402
from fairseq_plugin.synthesis.request import SynthesisRequest  # noqa: E402
from fairseq_plugin.synthesis.stages import SynthesisStages  # noqa: E402
from fairseq_plugin.tables.model import TableModel  # noqa: E402
from fairseq_plugin.tables.reading import TableFile  # noqa: E402
from fairseq_plugin.tables.request import RARE  # noqa: E402
from fairseq_plugin.tables.writing import write_table  # noqa: E402

RESULT = Path(__file__).with_suffix("")
SEED = 1
EPOCHS = 20
HOLES = {"insurance": ("bmi", "charges"), "mixed": ("age", "entry"), "abalone": ("Height", "Whole")}
CHUNK = 10_000  # rows in memory


def learnt(split, folder):
    """The model of a table, and its prepared folder."""
    request = SynthesisRequest(
        split.folder / "train.csv", folder, target=split.target, held_out=0, seed=SEED, header="yes",
        epochs=EPOCHS,
    )  # fmt: skip
    stages, runner = SynthesisStages(request, hold_out(request)), Runner()
    stages.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    whole = VARIANTS["loss over the whole vocabulary"]
    for number, stage in enumerate(stages):
        runner.run(dataclasses.replace(stage, command=whole.command_of(number, stage.command)))
    return TableModel.load(stages.checkpoint, stages.data), ROOT / stages.data


def untrained(model):
    """The same network before it learnt anything."""
    torch.manual_seed(SEED)
    network = GPT2(model.gpt2.config).eval()
    network.banned = model.gpt2.banned
    return TableModel(model.code, network)


def rates(model, rounds, num_rows):
    """Rows per second of the processor, with and without the constraint, of each round; the first is not
    counted. What share of the free rows are rows?"""
    pairs, num_free_rows = [], 0
    for number in range(rounds + 1):
        seconds, tokens = {}, {}
        for is_free in (number % 2 == 0, number % 2 == 1):
            request = model.request(1, seed=number)
            if is_free:
                request = dataclasses.replace(request, constraints=())
            pool, began = SamplePool(model.gpt2, request, 1), time.process_time()
            drawn = list(pool.run([((EOS,), range(num_rows))]))
            seconds[is_free] = time.process_time() - began
            tokens[is_free] = sum(len(one.continuation.tokens) + 1 for one in drawn)
            if is_free:
                num_free_rows += sum(is_row(model.code, one.continuation) for one in drawn)
        if number:
            pairs.append([{"seconds": seconds[one], "tokens": tokens[one], "rows": num_rows}
                          for one in (False, True)])  # fmt: skip
    return {"pairs": pairs, "free_rows": num_free_rows / num_rows / (rounds + 1)}


def is_row(code, continuation):
    """Whether symbols that were drawn freely make a row."""
    state, turn = int(code.start_C[0]), 0
    for symbol in [*continuation.tokens.tolist(), EOS][: code.longest]:
        state = code.automaton.step(state, symbol)
        if state is None:
            return False
        if state < 0:
            turn += 1
            state = int(code.start_C[turn]) if turn < len(code.start_C) else code.end_state
    return continuation.ended


def validity(model, data, split, folder, num_rows):
    """Rows drawn and written, and how many of them obey, as the checker says."""
    new, began = folder / "new.csv", time.process_time()
    chunks = (
        model.sample(min(CHUNK, num_rows - at), seed=SEED, first=at).rows for at in range(0, num_rows, CHUNK)
    )
    write_table(new, model.cells.names, (row for rows in chunks for row in rows), "csv")
    spent = time.process_time() - began
    checked = check_file(new, data / "schema.json", split.folder / "train.csv", RARE)
    new.unlink()
    return checked | {"processor": spent}


def imputing(model, split, name, num_rows):
    """Seconds of the processor for a cell of a row, filled from all others."""
    rows = TableFile.open(split.folder / "held_out.csv", header="yes").rows()
    able = [row for row, nats in zip(rows, model.log_prob(rows)) if nats > -torch.inf][:num_rows]
    at, began = model.code.schema.names.index(name), time.process_time()
    done = model.complete([[*row[:at], None, *row[at + 1 :]] for row in able], seed=SEED, present=True)
    spent = (time.process_time() - began) / len(able)
    return {"processor": spent, "rows": len(able), "effective": done.effective}


def measure(name, args):
    """All parts of a table."""
    split = Split(args.data, args.to / "tables", name, SEED)
    folder = args.to / name
    model, data = learnt(split, folder)
    found = {}

    def keep(what, facts, make):
        found[what] = part(folder / f"{what}.json", {"what": what, **facts}, make)

    keep("rates", {"rounds": args.rounds, "rows": args.rate_rows},
         lambda: rates(model, args.rounds, args.rate_rows))  # fmt: skip
    for kind, one in (("untrained", untrained(model)), ("trained", model)):
        keep(f"valid-{kind}", {"rows": args.rows},
             lambda one=one: validity(one, data, split, folder, args.rows))  # fmt: skip
    for column in HOLES[name]:
        keep(f"impute-{column}", {"rows": args.holes},
             lambda column=column: imputing(model, split, column, args.holes))  # fmt: skip
    return found


def lines_of(found):
    """Markdown."""
    lines = ["| table, network | rows | valid | s | rows a second |", "| --- " + "| ---: " * 4 + "|"]
    for name, parts in found.items():
        for kind in ("untrained", "trained"):
            one = parts[f"valid-{kind}"]
            lines.append(
                f"| {name}, {kind} | {one['rows']:,} | {one['valid']:,} | {one['processor']:.0f} "
                f"| {one['rows'] / one['processor']:,.0f} |"
            )
    lines += ["", "| table | valid rows a second | time of a row: valid / free | least | most | of a token "
              "| free rows that are rows |", "| --- " + "| ---: " * 6 + "|"]  # fmt: skip
    for name, parts in found.items():
        pairs = parts["rates"]["pairs"]
        cost = [own["seconds"] / free["seconds"] for own, free in pairs]
        a_token = [one * pair[1]["tokens"] / pair[0]["tokens"] for one, pair in zip(cost, pairs)]
        rate = statistics.median(own["rows"] / own["seconds"] for own, _ in pairs)
        lines.append(
            f"| {name} | {rate:,.0f} | {statistics.median(cost):.2f} | {min(cost):.2f} | {max(cost):.2f} "
            f"| {statistics.median(a_token):.2f} | {parts['rates']['free_rows']:.1%} |"
        )
    lines += ["", "| table, the cell that is filled | rows | ms a row | share of the candidates that count |",
              "| --- " + "| ---: " * 3 + "|"]  # fmt: skip
    for name, parts in found.items():
        for what, one in parts.items():
            if what.startswith("impute-"):
                share = "exact" if one["effective"] == 1 else f"{one['effective']:.2f}"
                lines.append(
                    f"| {name}, {what[7:]} | {one['rows']} | {1000 * one['processor']:.0f} | {share} |"
                )
    return [*lines, ""]


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with abalone/ and insurance/")
    add("--to", type=Path, required=True, help="folder of everything that is made")
    add("--tables", nargs="+", default=["insurance", "mixed"], help="of insurance, mixed, abalone")
    add("--rows", type=int, default=100_000, help="of each network that are checked (default: 100,000)")
    add("--rounds", type=int, default=5, help="with and without the constraint (default: 5)")
    add("--rate-rows", type=int, default=4000, help="in a round (default: 4,000)")
    add("--holes", type=int, default=200, help="rows with a missing cell (default: 200)")
    args = parser.parse_args()
    args.to = args.to.absolute()
    if unknown := set(args.tables) - set(HOLES):
        raise UserError(f"--tables {' '.join(sorted(unknown))}: choose of {', '.join(HOLES)}")
    torch.set_num_threads(1)
    (args.to / "tables").mkdir(parents=True, exist_ok=True)
    found = {name: measure(name, args) for name in args.tables}
    lines = lines_of(found)
    result = {"made": date.today().isoformat(), "machine": machine_class(1), "found": found}
    write_result(RESULT, result, lines, "What valid rows cost, and whether they are valid")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
