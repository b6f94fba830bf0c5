"""What to make of a table: the flags of ``scripts/synthesize.py``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS
from fairseq_plugin.tables.code.rows import FIXED
from fairseq_plugin.tables.model import MOST_TRIES
from fairseq_plugin.tables.request import RARE
from fairseq_plugin.tables.schema import PLACES

HELD_OUT = 0.2
CHOOSE_FROM = 5
MANY_ROWS = 50_000
AUTO = "auto"


@dataclass(frozen=True)
class SynthesisRequest:
    """What to make.

    Attributes:
        table: the file to learn from.
        to: folder for everything that is written.
        rows: how many new rows, >= 1.
        target: the column that models of the table shall predict.
        target_place: where the model reads it, ``first``, ``last``, or as in the ``file``; ``auto``: as
            :mod:`.target_place` finds.
        types: ``NAME=TYPE`` each, which overrule the schema's guesses.
        schema: a ``schema.json`` to follow instead.
        header, columns: see :meth:`TableFile.open`.
        order: of columns, ``fixed`` or ``random``.
        pretrained: folder of a GPT-2 to start from; None: from scratch.
        rare: categories and texts of fewer rows are not drawn, nor numbers but by their digits.
        held_out: share of the table that the model never sees and that judges the new rows, in [0, 1); 0: all
            rows are learnt and nothing is judged.
        test: a file of such rows instead.
        where: a condition that every new row fulfils.
        seed: of the rows held out, the training and the new rows.
        epochs: most passes over the table; None: by its size.
        gamma: of ScaleGrad, in (0, 1]; 1 is maximum likelihood.
        most_tries: rows drawn per row asked for, at most.
        choose_from: so many times more rows are drawn, and those chosen that look most like training rows
            (:mod:`.selection`), >= 1; 1: the rows as they are drawn; None: see :meth:`times`.
        workers: processes that draw rows, >= 1.
        spreadsheet_safe: put a mark before cells that a spreadsheet would compute; numbers stay numbers.
        overwrite: where an earlier run in ``to`` was of other data, start again.
    """

    table: Path
    to: Path
    rows: int = 1000
    target: str | None = None
    target_place: str = AUTO
    types: Sequence[str] = field(default_factory=tuple)
    schema: Path | None = None
    header: str = "auto"
    columns: str | None = None
    order: str = FIXED
    pretrained: Path | None = None
    rare: int = RARE
    held_out: float = HELD_OUT
    test: Path | None = None
    where: str | None = None
    seed: int = 1
    epochs: int | None = None
    gamma: float = 1.0
    most_tries: float = MOST_TRIES
    choose_from: int | None = None
    workers: int = 1
    spreadsheet_safe: bool = False
    overwrite: bool = False

    def times(self, num_learnt: int) -> int:
        """How many times more rows are drawn than asked for: ``choose_from``; by default :data:`CHOOSE_FROM`,
        but 1 where a condition makes rows rare, many are asked for, or too few were learnt to compare with.
        """
        if self.choose_from is not None:
            return self.choose_from
        as_drawn = self.where is not None or self.rows > MANY_ROWS or num_learnt < FEWEST_ROWS
        return 1 if as_drawn else CHOOSE_FROM

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is written.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if not self.table.is_file():
            raise UserError(f"{self.table} is no file; name a table (.csv, .tsv, .parquet, .feather)")
        if self.test is not None and not self.test.is_file():
            raise UserError(f"--test {self.test} is no file; name a table of the same columns")
        if self.pretrained is not None and not self.pretrained.is_dir():
            raise UserError(f"--from {self.pretrained} is not a folder")
        if self.target_place not in (AUTO, *PLACES):
            raise UserError(
                f"--target-place {self.target_place} is none of {', '.join((AUTO, *PLACES))}; leave it out"
            )
        if self.target_place != AUTO and self.schema is not None:
            raise UserError(
                f"--target-place {self.target_place}: --schema says it all; edit target_place in it instead"
            )
        if self.target_place != AUTO and self.target is None:
            raise UserError(f"--target-place {self.target_place}: of which target? add --target NAME")
        if self.target_place != AUTO and self.order != FIXED:
            raise UserError(
                f"--target-place {self.target_place}: with --order {self.order} every column has another "
                "place in every epoch; leave one of them out"
            )
        if not 0 <= self.held_out < 1:
            raise UserError(
                f"--held-out {self.held_out:g} must be in [0, 1), such as {HELD_OUT}; 0: no judges"
            )
        if self.choose_from is not None and self.choose_from < 1:
            raise UserError(f"--choose-from {self.choose_from} must be at least 1; 1: rows as they are drawn")
        if self.workers < 1:
            raise UserError(f"--workers {self.workers} must be at least 1")
        if self.rows < 1:
            raise UserError(f"--rows {self.rows} must be at least 1")
        if self.epochs is not None and self.epochs < 1:
            raise UserError(f"--epochs {self.epochs} must be at least 1")
        if not 0 < self.gamma <= 1:
            raise UserError(f"--gamma {self.gamma} must be in (0, 1]; 1 is maximum likelihood")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed {self.seed} must be between 0 and 2^32 - 1")
        if self.most_tries < 1:
            raise UserError(f"--most-tries {self.most_tries:g} must be at least 1")
