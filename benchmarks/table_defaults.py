"""Which settings of ``scripts/synthesize.py`` pay: one is changed at a time, on four tables.

    python benchmarks/table_defaults.py --data DIR --to DIR                      # all; hours of one core
    python benchmarks/table_defaults.py --data DIR --to DIR --tables abalone --variants "as it is" "gamma 0.5"
    python benchmarks/table_defaults.py --data DIR --to DIR --report             # only what is there

DIR holds ``abalone/`` and ``insurance/``; breast cancer (30 numbers) is scikit-learn's own, and a mixed table
with known dependencies is made here. A variant is trained as ``synthesize.py`` trains; what is told is the
nats per held-out row (of rows that every variant can hold), and what the judges say of as many new rows
as were learnt, as they are drawn. Every part is kept, and the same command goes on. Writes
``table_defaults.json`` and the tables of ``table_defaults.md``.
"""

import argparse
import os
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from benchmarks.parts import kept_part, part  # noqa: E402
from benchmarks.table_split import TABLES, Split, slug  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.files import sha256  # noqa: E402
from fairseq_plugin.stages.stage import Runner  # noqa: E402
from fairseq_plugin.synthesis.held_out import hold_out  # noqa: E402
from fairseq_plugin.synthesis.judges.judgement import judge_rows  # noqa: E402
from fairseq_plugin.synthesis.request import SynthesisRequest  # noqa: E402
from fairseq_plugin.synthesis.stages import SynthesisStages  # noqa: E402
from fairseq_plugin.tables.model import TableModel  # noqa: E402
from fairseq_plugin.tables.reading import TableFile  # noqa: E402

RESULT = Path(__file__).with_suffix("")
SEED = 1
BASE = "as it is"
PREPARE, TRAIN = 0, 1  # stages


@dataclass(frozen=True)
class Variant:
    """What is other than ``synthesize.py`` has it.

    Attributes:
        flags: more words of a stage's command; the last of two counts.
        stage: whose command it is.
        without: a flag that it loses.
        script: what runs in the stead of ``scripts/prepare_table.py``.
        epochs: most of them, and the schedule with them.
    """

    flags: str = ""
    stage: int = TRAIN
    without: str = ""
    script: str = ""
    epochs: int | None = None

    def command_of(self, stage_number, command):
        """The words of a stage's command."""
        if stage_number != self.stage:
            return command
        words = [word for word in command if word != self.without]
        if self.script:
            words[words.index("scripts/prepare_table.py")] = self.script
        return *words, *self.flags.split()


DIGITS = "benchmarks/table_digits.py"
VARIANTS = {
    BASE: Variant(),
    "target first": Variant("--target-place first", PREPARE),
    "target last": Variant("--target-place last", PREPARE),
    "random order": Variant("--order random", PREPARE),
    "rare 1": Variant("--rare 1", PREPARE),
    "places alone, no values": Variant("--value-bumps 0"),
    "8 and 4 bumps": Variant("--place-bumps 8 --value-bumps 4"),
    "rows of their own, too": Variant(without="--no-own-rows"),
    "rows of their own alone": Variant("--place-bumps 0 --value-bumps 0", without="--no-own-rows"),
    "digits alone, no atoms": Variant(stage=PREPARE, script=DIGITS),
    "loss over the whole vocabulary": Variant("--user-dir benchmarks/table_whole_vocabulary"),
    "no output bias": Variant(without="--marginal-bias"),
    "dropout 0.1": Variant("--dropout 0.1"),
    "dropout 0.3": Variant("--dropout 0.3"),
    "2 layers": Variant("--n-layer 2"),
    "5 layers": Variant("--n-layer 5"),
    "width 32": Variant("--n-embd 32"),
    "width 128, rate 0.001": Variant("--n-embd 128 --lr 0.001"),
    "inverse square root": Variant("--lr-scheduler inverse_sqrt"),
    "30 epochs at most": Variant(epochs=30),
    "120 epochs at most": Variant(epochs=120),
    "patience 4": Variant("--patience 4"),
    "validated by a twentieth": Variant("--held-out 0.05", PREPARE),
    "gamma 0.8": Variant("--gamma 0.8"),
    "gamma 0.5": Variant("--gamma 0.5"),
}


def measure(split, variant, args):
    """Log probabilities of the held-out rows, and what the judges say of new ones."""
    changed = VARIANTS[variant]
    to = args.to / slug(split.name) / slug(variant)
    to.mkdir(parents=True, exist_ok=True)
    request = SynthesisRequest(
        split.folder / "train.csv", to, target=split.target, held_out=0, seed=SEED, header="yes",
        epochs=changed.epochs,
    )  # fmt: skip
    stages, runner = SynthesisStages(request, hold_out(request)), Runner()
    for number, stage in enumerate(stages):
        stages.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        runner.run(replace(stage, command=changed.command_of(number, stage.command)))
    model = TableModel.load(stages.checkpoint, stages.data)
    held_out = TableFile.open(split.folder / "held_out.csv", header="yes").rows()
    drawn = model.sample(len(split.train), SEED)
    rows = split.judged(drawn.names, drawn.rows)
    return {
        "log_prob": [round(one, 4) if np.isfinite(one) else None for one in model.log_prob(held_out)],
        "judged": judge_rows(split.train, split.held_out, rows, split.target, SEED).to_json(),
    }


def lines_of(found):
    """Markdown: nats beside those of the base, with the standard error of the paired difference."""
    lines = []
    for name, parts in found.items():
        if BASE not in parts:
            continue
        every = np.array([one["log_prob"] for one in parts.values()], dtype=float)  # None: NaN
        nats = dict(zip(parts, -every[:, np.isfinite(every).all(0)]))
        lines += [f"### {name.capitalize()}, {len(nats[BASE]):,} held-out rows", "", *HEAD]
        lines += [line_of(variant, one, nats[variant], nats[BASE]) for variant, one in parts.items()]
        lines.append("")
    return lines


HEAD = [
    "| changed | nats a row | more than as it is | AUC: forest | boosted | learnt: forest | boosted | s |",
    "| --- " + "| ---: " * 7 + "|",
]


def line_of(variant, one, nats, base):
    judged, more = one["judged"], nats - base
    useful = (judged["usefulness"] or {}).get("synthetic", {})
    difference = f"{more.mean():+.2f} ± {more.std() / len(more) ** 0.5:.2f}"
    figures = [
        f"{nats.mean():.2f}",
        "" if variant == BASE else difference,
        *(f"{judged['held_out'][kind]:.3f}" for kind in ("forest", "boosted")),
        *(f"{useful[kind]:.3f}" if kind in useful else "" for kind in ("forest", "boosted")),
        f"{one['seconds']:.0f}",
    ]
    return f"| {variant} | {' | '.join(figures)} |"


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with abalone/ and insurance/")
    parser.add_argument("--to", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), help="some of them (default: all)")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help="some of them (default: all)")
    parser.add_argument("--report", action="store_true", help="make nothing, report on what is there")
    args = parser.parse_args()
    args.to = args.to.absolute()
    if unknown := set(args.tables) - set(TABLES) | set(args.variants) - set(VARIANTS):
        raise UserError(f"no table or variant is called {', '.join(sorted(unknown))}")
    args.to.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in args.tables:
        split = Split(args.data, args.to / "tables", name, SEED)
        for variant in args.variants:
            kept = args.to / f"{slug(name)}-{slug(variant)}.json"
            facts = {"table": sha256(split.path), "variant": variant}
            one = kept_part(kept, facts) if args.report else part(
                kept, facts, lambda split=split, variant=variant: measure(split, variant, args)
            )  # fmt: skip
            if one is not None:
                found.setdefault(name, {})[variant] = one
    lines = lines_of(found) or ["No figures yet: the command above has not been run.", ""]
    result = {"made": date.today().isoformat(), "machine": machine_class(os.cpu_count() or 1), "lines": lines}
    write_result(RESULT, result, lines, "Settings of tables, one changed at a time")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
