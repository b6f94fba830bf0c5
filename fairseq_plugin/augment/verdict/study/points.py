"""What one student made of one draw of rows: a sealed file each, so that a study goes on where it stopped.

    {"format": "verdict point", "version": 1, "study": "...", "key": {"k": 10, "split": 1, ...},
     "arms": {"real": {"rows": 20, "seconds": 0.1, "right": "0110..."}}, "facts": {...}, "sha256": "..."}

``right`` has a digit for each held-out row, 1 where the answer is its label.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

FORMAT, VERSION = "verdict point", 1


@dataclass(frozen=True)
class Key:
    """Which point.

    Attributes:
        k: rows per class; 0: all.
        split: number of the draw, from 1.
        student: its name.
        gamma, temperature: of the generator; None: the real rows alone.
    """

    k: int
    split: int
    student: str
    gamma: float | None = None
    temperature: float | None = None

    @property
    def generator(self) -> tuple[float, float] | None:
        """Gamma and temperature; None: the real rows alone."""
        if self.gamma is None or self.temperature is None:
            return None
        return self.gamma, self.temperature

    @property
    def folder(self) -> str:
        """Of its draw of rows, relative to the study's."""
        return f"k-{self.k or 'all'}/split-{self.split}"

    @property
    def path(self) -> str:
        """Of its file, relative to the study's folder."""
        new = "real" if self.generator is None else "gamma-{:g}-temperature-{:g}".format(*self.generator)
        return f"{self.folder}/{new}.{self.student}.json"


@dataclass(frozen=True)
class ArmResult:
    """One set of training rows.

    Attributes:
        rows: that were trained on.
        seconds: for training and answering.
        right_N: whether each held-out row was answered rightly.
    """

    rows: int
    seconds: float
    right_N: NDArray[np.bool_]


@dataclass(frozen=True)
class Point:
    """A point's results.

    Attributes:
        key: which.
        arms: by name.
        facts: of the generator and its samples: seconds, counts, shares in [0, 1].
    """

    key: Key
    arms: dict[str, ArmResult]
    facts: dict[str, float] = field(default_factory=dict)


def write_point(folder: Path, point: Point, study: str) -> None:
    """Write a point's file; ``study`` is the digest of what all points of the study depend on."""
    arms = {
        name: {"rows": arm.rows, "seconds": round(arm.seconds, 3), "right": _digits(arm.right_N)}
        for name, arm in point.arms.items()
    }
    path = folder / point.key.path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(
        path,
        {"format": FORMAT, "version": VERSION, "study": study, "key": asdict(point.key), "arms": arms,
         "facts": point.facts},
    )  # fmt: skip


def read_point(folder: Path, key: Key, study: str) -> Point | None:
    """A point; None where it is not there yet.

    Raises:
        UserError: the file is damaged, or of another study.
    """
    path = folder / key.path
    if not path.is_file():
        return None
    if (stated := read_sealed(path)) is None:
        raise UserError(f"{path} is damaged: its digest is not its own; remove it, and it is made again")
    head = {"format": FORMAT, "version": VERSION, "study": study, "key": asdict(key)}
    if {name: stated.get(name) for name in head} != head:
        raise UserError(f"{path} is of another study or version; remove it, or name another --to")
    return Point(key, _arms(stated["arms"]), stated["facts"])


def _arms(stated: Mapping[str, Mapping[str, object]]) -> dict[str, ArmResult]:
    return {
        name: ArmResult(int(str(arm["rows"])), float(str(arm["seconds"])), _flags(str(arm["right"])))
        for name, arm in stated.items()
    }


def _digits(right_N: NDArray[np.bool_]) -> str:
    return "".join("1" if right else "0" for right in right_N)


def _flags(digits: str) -> NDArray[np.bool_]:
    return np.frombuffer(digits.encode("ascii"), dtype=np.uint8) == ord("1")
