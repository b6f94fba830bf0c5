"""What to prepare from a table: the flags of ``scripts/prepare_table.py``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.schema import FIRST, PLACES

RARE = 5


@dataclass
class TableRequest:
    """What to prepare.

    Attributes:
        table: the file; without ``valid`` a share ``held_out`` of its rows is held out.
        to: the folder to write.
        valid, test: further files of the same columns.
        format, header, columns: see :meth:`TableFile.open`.
        schema: a ``schema.json`` to use instead of guessing.
        types: ``{column: type}`` that overrule the guess.
        target, target_place: see :class:`Schema`.
        order: ``fixed`` or ``random``.
        pretrained: folder of a GPT-2 whose vocabulary texts are written in, to start from its weights; None:
            texts are bytes.
        rare: categories and texts of fewer rows are not drawn, nor numbers but by their digits, >= 1.
        seed: of the held-out rows.
        overwrite: replace other prepared data.
    """

    table: str
    to: str
    valid: str | None = None
    test: str | None = None
    format: str = "auto"
    header: str = "auto"
    columns: Sequence[str] | None = None
    schema: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    target_place: str = FIRST
    order: str = FIXED
    rare: int = RARE
    pretrained: str | None = None
    held_out: float = 0.1
    seed: int = 1
    overwrite: bool = False

    def check(self) -> None:
        """Refuse values that cannot be meant, before any file is read.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if self.rare < 1:
            raise UserError(f"--rare {self.rare} must be at least 1 (1: every value may be emitted)")
        if not 0 < self.held_out < 1:
            raise UserError(f"--held-out {self.held_out} must be between 0 and 1, such as 0.1")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"--seed {self.seed} must be between 0 and 2^63 - 1")
        if self.target_place not in PLACES:
            raise UserError(f"--target-place {self.target_place} is none of {', '.join(PLACES)}")
        if self.order not in (FIXED, RANDOM):
            raise UserError(f"--order {self.order} is none of {FIXED}, {RANDOM}")
        if self.schema is not None and (self.types or self.target is not None):
            raise UserError("--schema says it all: leave out --type and --target, or edit the schema")


def types_of(pairs: Sequence[str]) -> dict[str, str]:
    """``["id=drop"]`` -> ``{"id": "drop"}``.

    Raises:
        UserError: one that is not ``NAME=TYPE``.
    """
    types: dict[str, str] = {}
    for pair in pairs:
        name, equals, kind = pair.rpartition("=")
        if not equals or not name:
            raise UserError(f"--type {pair}: expected NAME=TYPE, such as age=integer")
        types[name] = kind
    return types
