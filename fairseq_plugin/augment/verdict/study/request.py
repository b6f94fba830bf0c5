"""What a person asks of the study: the flags of ``scripts/verdict.py study``."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.augment.verdict.study.arms import STUDENTS
from fairseq_plugin.augment.verdict.study.points import Key
from fairseq_plugin.augment.verdict.study.splits import ALL
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256

FEW_ROWS = 50  # per class; up to so many, chance decides more and more splits are needed
SPLITS_OF_FEW, SPLITS_OF_MANY = 10, 5


@dataclass(frozen=True)
class StudyRequest:
    """What to compare, and how.

    Attributes:
        data: a folder with ``train.*`` and ``test.*`` (or ``valid.*``, ``dev.*``).
        to: folder of everything that is written.
        ks: rows per class; :data:`~fairseq_plugin.augment.verdict.study.splits.ALL` for all of them.
        num_splits: draws of the rows; None: :func:`splits_advised`.
        gammas: of ScaleGrad, each a generator of its own.
        temperatures: of sampling.
        students: names out of :data:`~fairseq_plugin.augment.verdict.study.arms.STUDENTS`.
        times: new rows of each label, as a multiple of k; with all rows, of the mean label.
        choose_from: accepted samples for each that the judge keeps.
        top_p, max_len: of sampling.
        epochs: most passes of the generator's training; None: by the size of the set.
        pretrained: folder of a GPT-2 to start from; None: from scratch.
        most_test: rows that measure; None: all.
        text_column, label_column: a name, or a position from 0; None: guessed.
    """

    data: Path
    to: Path
    ks: tuple[int, ...] = (5, 10, 20, 50, 100, 500, ALL)
    num_splits: int | None = None
    gammas: tuple[float, ...] = (1.0, 0.5)
    temperatures: tuple[float, ...] = (1.0,)
    students: tuple[str, ...] = ("bag-of-words",)
    times: int = 10
    choose_from: int = 5
    top_p: float = 0.95
    max_len: int = 100
    epochs: int | None = None
    pretrained: Path | None = None
    most_test: int | None = None
    text_column: str | None = None
    label_column: str | None = None

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is written.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if not self.data.is_dir():
            raise UserError(f"--data {self.data} is not a folder")
        if self.pretrained is not None and not self.pretrained.is_dir():
            raise UserError(f"--from {self.pretrained} is not a folder")
        unknown = [name for name in self.students if name not in STUDENTS]
        if unknown or not self.students:
            raise UserError(f"--students {','.join(self.students)}: choose among {', '.join(STUDENTS)}")
        for flag, values in (
            ("k", self.ks),
            ("students", self.students),
            ("gamma", self.gammas),
            ("temperature", self.temperatures),
        ):
            if len(set(values)) < len(values):
                raise UserError(f"--{flag} names a value twice; name each once")
        for gamma in self.gammas:
            if not 0 < gamma <= 1:
                raise UserError(f"--gamma {gamma} must be in (0, 1]; 1 is maximum likelihood")
        for temperature in self.temperatures:
            if not math.isfinite(temperature) or temperature <= 0:
                raise UserError(f"--temperature {temperature} must be above 0")
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top-p {self.top_p} must be in (0, 1]; 1 keeps every token")
        counts = {"seeds": self.num_splits, "times": self.times, "choose-from": self.choose_from,
                  "max-len": self.max_len, "epochs": self.epochs, "test-rows": self.most_test}  # fmt: skip
        for flag, value in counts.items():
            if value is not None and value < 1:
                raise UserError(f"--{flag} {value} must be at least 1")

    def splits_of(self, k: int) -> int:
        """Draws of k rows per class."""
        return self.num_splits or splits_advised(k)

    def all_keys(self) -> Iterator[Key]:
        """Every point, a split of all sizes at a time: a study that is cut short has whole splits."""
        for split in range(1, max(map(self.splits_of, self.ks)) + 1):
            for k in (k for k in self.ks if split <= self.splits_of(k)):
                yield from (Key(k, split, student) for student in self.students)
                for gamma in self.gammas:
                    for temperature in self.temperatures:
                        for student in self.students:
                            yield Key(k, split, student, gamma, temperature)

    def facts(self) -> dict[str, object]:
        """What every point depends on, besides its own key and the rows."""
        names = ("times", "choose_from", "top_p", "max_len", "epochs", "most_test")
        stated = {name: getattr(self, name) for name in names}
        stated["filters"] = asdict(FilterOptions())
        start = (
            sorted(path for path in self.pretrained.iterdir() if path.is_file()) if self.pretrained else []
        )
        return {**stated, "pretrained": {path.name: sha256(path) for path in start}}


def splits_advised(k: int) -> int:
    """Draws that a credible comparison needs."""
    return SPLITS_OF_FEW if 0 < k <= FEW_ROWS else SPLITS_OF_MANY
