"""``from fairseq_plugin import Table``: a DataFrame in, a DataFrame out."""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.stages.stage import ROOT, Runner, require_scripts
from fairseq_plugin.storage.saved_model import CHECKPOINT, DATA, SavedKind
from fairseq_plugin.synthesis.frames import (
    cells_of,
    check_columns,
    frame_of,
    require_pandas,
    types_from_json,
    types_to_json,
)
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.judges.verdict import RowsVerdict
from fairseq_plugin.synthesis.report.write import ReportInputs, write_report
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.synthesis.stages import SynthesisStages
from fairseq_plugin.tables.code.rows import FIXED
from fairseq_plugin.tables.function_condition import function_condition
from fairseq_plugin.tables.manifest import TableManifest
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.request import RARE
from fairseq_plugin.tables.schema import CATEGORIES, NUMBERS
from fairseq_plugin.tables.writing import write_table

if TYPE_CHECKING:
    from pandas import DataFrame

_KIND = SavedKind("Table")
_MOST_VALUES = 1000  # of a column that predict looks at


class Table:
    """Learns a table and writes rows like its own.

    Args:
        random_state: of the training and, unless told otherwise, of the rows.
        order: ``fixed``, or ``random``: any cells can be given (``impute``, ``where``).
        rare: values of fewer rows are not emitted whole.
        epochs: most passes over the table; None: by its size.
        verbose: show commands and what they say.

    Example::

        table = Table(random_state=0).fit(frame, target="Rings")
        table.sample(1000, where="Rings >= 10 and Sex == 'F'")
    """

    def __init__(
        self,
        random_state: int = 0,
        order: str = FIXED,
        rare: int = RARE,
        epochs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.random_state, self.order, self.rare = random_state, order, rare
        self.epochs, self.verbose = epochs, verbose
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._model: TableModel | None = None
        self._dtypes: dict[str, Any] = {}

    def fit(self, frame: "DataFrame", target: str | None = None) -> "Table":
        """Learn a frame.

        Args:
            frame: at least two rows; every column has a name of its own.
            target: the column that models of the table shall predict.

        Raises:
            UserError: anything in the frame that can be mended; names the column.
        """
        require_pandas()
        if not len(frame):
            raise UserError("the frame has no rows")
        require_scripts()
        names = [str(name) for name in frame.columns]
        self._folder = tempfile.TemporaryDirectory(prefix="table-")
        to = Path(self._folder.name)
        write_table(to / "table.csv", names, cells_of(frame), "csv")
        request = SynthesisRequest(
            to / "table.csv", to, target=target, header="yes", order=self.order, rare=self.rare,
            seed=self.random_state, epochs=self.epochs, held_out=0,
        )  # fmt: skip
        request.check()
        stages, runner = (
            SynthesisStages(request, hold_out(request)),
            Runner(sys.stdout if self.verbose else None),
        )
        for stage in stages:
            stages.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            runner.run(stage if self.verbose or stage.log else replace(stage, log=to / "prepare.log"))
        self._open(stages.checkpoint, stages.data)
        self._dtypes = dict(zip(names, frame.dtypes))
        return self

    def _open(self, checkpoint: Path, data: Path) -> None:
        self._paths = ROOT / checkpoint, ROOT / data
        self._model = TableModel.load(*self._paths)

    @property
    def model(self) -> TableModel:
        """What was learnt.

        Raises:
            UserError: nothing yet.
        """
        if self._model is None:
            raise UserError("this Table has learnt nothing yet: call fit, or Table.load")
        return self._model

    @property
    def columns(self) -> list[str]:
        """Of the frame that was learnt."""
        return self.model.code.schema.names

    def sample(
        self,
        n: int,
        where: str | Callable[[dict[str, Any]], object] | None = None,
        random_state: int | None = None,
    ) -> "DataFrame":
        """Exactly ``n`` new rows; see :meth:`TableModel.sample`.

        Args:
            n: rows, >= 1.
            where: a condition, such as ``"age >= 40 and sex == 'F'"`` (:mod:`.tables.conditions`), or a
                function of your own that is called with ``{column: value}`` of a row.
            random_state: another seed than the table's own.
        """
        condition = None
        if isinstance(where, str):
            condition = self.model.condition(where)
        elif where is not None:
            condition = function_condition(where, self.model.code.schema)
        seed = self.random_state if random_state is None else random_state
        drawn = self.model.sample(n, seed, condition)
        return frame_of(drawn.names, drawn.rows, self._dtypes)

    def impute(self, frame: "DataFrame", random_state: int | None = None) -> "DataFrame":
        """A frame with its missing values drawn, given all others; index and columns stay."""
        check_columns(frame, self.columns, "impute")
        seed = self.random_state if random_state is None else random_state
        holes = [[cell or None for cell in row] for row in cells_of(frame)]
        rows = self.model.impute(holes, seed)
        found = frame_of(self.columns, rows, {**self._dtypes})
        found.index = frame.index
        return found

    def log_prob(self, frame: "DataFrame") -> NDArray[np.float64]:
        """Log probability of each row in nats; -inf for what the table cannot hold."""
        check_columns(frame, self.columns, "log_prob")
        return np.array(self.model.log_prob(cells_of(frame)))

    def predict(self, frame: "DataFrame", column: str) -> NDArray[Any]:
        """A column's value given all other cells: the most probable category, or the expected number.

        Args:
            frame: of the same columns; what it has in ``column`` is not looked at.
            column: of at most 1,000 possible values.

        Raises:
            UserError: the column has more, or is none that is modelled.
        """
        check_columns(frame, self.columns, "predict")
        schema = self.model.code.schema
        place = schema.place(column, "predict")
        kind = schema.columns[place]
        if kind.type in CATEGORIES:
            values = list(kind.values)
        elif kind.type in NUMBERS and (kind.high - kind.low) // kind.step < _MOST_VALUES:
            values = [kind.cell(units) for units in range(kind.low, kind.high + 1, kind.step)]
        else:
            raise UserError(f"predict: column {column!r} ({kind.type}) has more than {_MOST_VALUES} values")
        rows = cells_of(frame)
        scores = np.empty((len(rows), len(values)))
        for number, row in enumerate(rows):
            scores[number] = self.model.log_prob([[*row[:place], one, *row[place + 1 :]] for one in values])
        if kind.type in CATEGORIES:
            return np.array(values, dtype=object)[scores.argmax(1)]
        weights = np.exp(scores - scores.max(1, keepdims=True))
        return (weights / weights.sum(1, keepdims=True)) @ np.array(values, dtype=float)

    def report(
        self,
        to: str | Path,
        real: "DataFrame",
        held_out: "DataFrame",
        n: int | None = None,
        random_state: int | None = None,
    ) -> RowsVerdict:
        """Judge new rows by real ones that were not learnt; ``report.html`` and ``judges.json``.

        Args:
            to: folder to write to.
            real: the frame that was learnt.
            held_out: rows of the same columns that were not, at least 20.
            n: new rows; default: as many as in ``real``.
            random_state: of the rows and the judges.

        Returns:
            The verdict: ``sentence``, ``findings``, ``is_worthless``.

        Raises:
            UserError: other columns, or too few rows to judge by.
        """
        check_columns(real, self.columns, "report")
        check_columns(held_out, self.columns, "report")
        seed = self.random_state if random_state is None else random_state
        drawn = self.model.sample(n or len(real), seed)
        checkpoint, data = self._paths
        inputs = ReportInputs(
            "a frame", self.model.code.schema, cells_of(real), cells_of(held_out), drawn.names, drawn.rows,
            seed, data=data, checkpoint=checkpoint, provenance=[("random_state", seed)],
        )  # fmt: skip
        Path(to).mkdir(parents=True, exist_ok=True)
        return write_report(Path(to), inputs)

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write a folder that :meth:`load` reads; it appears whole or not at all.

        Args:
            path: of the folder.
            overwrite: replace a saved Table.

        Raises:
            UserError: something is there already, or it cannot be written.
        """
        _ = self.model
        checkpoint, data = self._paths
        settings = {"random_state": self.random_state, "order": self.order, "rare": self.rare}
        content = {"settings": settings, "types": types_to_json(self._dtypes)}
        _KIND.save(path, content, data, TableManifest.load(data).files, checkpoint, overwrite)

    @classmethod
    def load(cls, path: str | Path) -> "Table":
        """Read what :meth:`save` wrote; nothing in it is run.

        Raises:
            UserError: it is missing or damaged.
        """
        folder = Path(path).absolute()
        stated = _KIND.load(folder)
        table = cls(**stated["settings"])
        table._dtypes = types_from_json(stated["types"], folder / _KIND.file_name)
        table._open(folder / CHECKPOINT, folder / DATA)
        return table
