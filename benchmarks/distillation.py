"""Does a small student learn from a stronger teacher by way of generated rows? Measured on all of SST-2.

The teacher (a BiLSTM trained to patience) and the generator (``scripts/augment.py``) have read the same real
rows as the student, a bag of words. It is trained on the real rows, and with the new ones: under the labels
that they were made for, under the teacher's soft labels, and with the teacher's word on the real rows too.

    python benchmarks/distillation.py --data DIR --to DIR                    # train.* and dev.* or test.*
    python benchmarks/distillation.py --data DIR --to DIR --real 2000 --new 100 --epochs 5  # a share

Every part is written as soon as it is there, and the same command goes on. Writes ``distillation.json`` and
the table of ``distillation.md`` (between its markers) unless ``--real`` cuts the set.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from benchmarks.parts import part  # noqa: E402
from fairseq_plugin.augment.augmented_set import read_synthetic  # noqa: E402
from fairseq_plugin.augment.verdict.neural_students import BILSTM  # noqa: E402
from fairseq_plugin.augment.verdict.paired_bootstrap import paired_gain  # noqa: E402
from fairseq_plugin.augment.verdict.quick import points  # noqa: E402
from fairseq_plugin.augment.verdict.students import bag_of_words_answers, balanced_accuracy  # noqa: E402
from fairseq_plugin.augment.verdict.study.splits import ALL, Split, draw_split, read_set, write_split  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.reports.statistics import draw  # noqa: E402

RESULT = Path(__file__).with_suffix("")
REAL, OWN = "real", "real + new, the generator's labels"
TAUGHT, ALL_TAUGHT = "real + new, the teacher's soft labels", "all under the teacher's soft labels"
SEED = 1


def generate(split, labels, args):
    """Rows that ``scripts/augment.py`` makes of the split: label index and text of each."""
    source, to = args.to / "source", args.to / "augment"
    write_split(source, split, labels)
    command = [sys.executable, ROOT / "scripts" / "augment.py", source, "--to", to, "--per-label", args.new,
               "--seed", SEED, "--allow-fewer"]  # fmt: skip
    command += ["--epochs", args.epochs] if args.epochs else []
    done = subprocess.run(list(map(str, command)), stdout=sys.stderr)
    if done.returncode not in (0, 3, 4):  # 3 and 4 are verdicts
        raise UserError(f"augment.py ended with status {done.returncode}: see above")
    rows = read_synthetic(to / "gamma-0.5-seed-1" / "augmented").rows
    return [(labels.index(row.label), row.text) for row in rows]


def teach(split, texts):
    """p(label | text) of every text by the teacher, to four digits."""
    teacher = BILSTM.fit(split.train, split.dev, SEED, to_patience=True)
    return {"probabilities": teacher.probabilities(texts).round(4).tolist()}


def learn(rows, dev, test, soft):
    """Whether the student is right on each row of test; dev chooses its setting."""
    truth = np.array([label for label, _ in (*dev, *test)])
    found = bag_of_words_answers(rows, [text for _, text in (*dev, *test)], SEED, soft) == truth
    best = found[:, : len(dev)].sum(axis=1).argmax()
    return {"rows": len(rows), "right": found[best, len(dev) :].astype(int).tolist()}


def measure(args):
    """``(lines, JSON)``."""
    whole = read_set(args.data)
    split = draw_split(whole, ALL, SEED)
    if args.real:
        split = Split(draw(split.train, args.real, SEED), draw(split.dev, max(100, args.real // 10), SEED))
    facts = {"digests": whole.digests, "real": args.real, "new": args.new, "epochs": args.epochs}
    made = part(args.to / "new.json", facts, lambda: {"rows": generate(split, whole.labels, args)})
    new = [(label, text) for label, text in made["rows"]]
    facts["rows"] = hashlib.sha256(json.dumps(new).encode()).hexdigest()
    texts = list(dict.fromkeys(text for _, text in (*new, *split.train, *whole.test)))
    taught = part(args.to / "teacher.json", facts, lambda: teach(split, texts))
    soft = dict(zip(texts, map(np.array, taught["probabilities"]), strict=True))
    new_soft = {text: soft[text] for _, text in new}
    truth = np.array([label for label, _ in whole.test])
    by_teacher = np.array([soft[text].argmax() for _, text in whole.test]) == truth
    arms = {REAL: (split.train, None), OWN: ([*split.train, *new], None),
            TAUGHT: ([*split.train, *new], new_soft), ALL_TAUGHT: ([*split.train, *new], soft)}  # fmt: skip
    found = {}
    for number, (name, (rows, weights)) in enumerate(arms.items(), start=1):
        found[name] = part(
            args.to / f"student-{number}.json",
            {**facts, "arm": name},
            lambda rows=rows, weights=weights: learn(rows, split.dev, whole.test, weights),
        )
    return table(found, by_teacher, truth, taught["seconds"]), {"facts": facts, "arms": found}


def table(found, by_teacher, truth, seconds):
    """Markdown lines."""
    right = {name: np.array(arm["right"], dtype=bool) for name, arm in found.items()}
    lines = ["| trained on | rows | accuracy | mean over labels | over the real rows | s |",
             "| --- | ---: | ---: | ---: | --- | ---: |"]  # fmt: skip
    lines.append(
        f"| (the teacher itself) | | {100 * by_teacher.mean():.1f} | "
        f"{100 * balanced_accuracy(by_teacher, truth):.1f} | | {seconds:.0f} |"
    )
    for name, arm in found.items():
        gain = "" if name == REAL else points(paired_gain(right[REAL][None], right[name][None]))
        lines.append(
            f"| {name} | {arm['rows']:,} | {100 * right[name].mean():.1f} | "
            f"{100 * balanced_accuracy(right[name], truth):.1f} | {gain} | {arm['seconds']:.0f} |"
        )
    return [*lines, ""]


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train.* and test.* or dev.*")
    parser.add_argument("--to", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--real", type=int, help="real rows (default: all)")
    parser.add_argument("--new", type=int, default=50_000, help="new rows of each label (default: 50,000)")
    parser.add_argument("--epochs", type=int, help="most of the generator (default: by the size of the set)")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    lines, stated = measure(args)
    print("\n".join(lines))
    if args.real is None:
        result = {"made": date.today().isoformat(), "machine": machine_class(os.cpu_count() or 1), **stated}
        write_result(RESULT, result, lines, "Distillation by way of generated rows")


if __name__ == "__main__":
    main()
