"""Small labelled sets in files, and points whose answers are known."""

import random

import numpy as np

from fairseq_plugin.augment.verdict.study.arms import CHEAP, NEW
from fairseq_plugin.augment.verdict.study.points import ArmResult, Key, Point

STUDENT = "bag-of-words"


def write_set(folder, train, test):
    """``train.tsv`` and ``test.tsv`` of (text, label)."""
    folder.mkdir(exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        lines = ["sentence\tlabel", *(f"{text}\t{label}" for text, label in rows), ""]
        (folder / f"{name}.tsv").write_text("\n".join(lines), "utf-8")
    return folder


def sentences(count, label, seed):
    """Sentences with a word of their label among common ones."""
    generator = random.Random(f"{seed} {label}")
    words = [f"w{number}" for number in range(30)]
    return [
        (" ".join([*generator.choices(words, k=6), f"{label}{n % 3}", str(n)]), label) for n in range(count)
    ]


def point(key, shares, num_rows=200):
    """A point whose arms are right on these shares of the rows, each on rows of its own draw."""
    generator = np.random.default_rng([key.k, key.split])
    base = generator.random(num_rows)
    arms = {name: ArmResult(20, 0.5, base < share) for name, share in shares.items()}
    facts = {"generated": 100.0, "accepted": 80.0, "fidelity": 0.7, "fidelity_of_real": 0.9}
    return Point(key, arms, facts if key.generator else {})


def points(ks, num_splits, cheap, new, student=STUDENT):
    """Points of one generator: shares that are right, by arm; arms not named are as good as "real"."""
    made = {}
    for k in ks:
        for split in range(1, num_splits + 1):
            for key, names, stated in (
                (Key(k, split, student), CHEAP, cheap),
                (Key(k, split, student, 0.5, 1.0), NEW, new),
            ):
                shares = {name: stated.get(name, cheap["real"]) for name in names}
                made[key] = point(key, shares)
    return made
