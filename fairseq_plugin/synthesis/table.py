"""``from fairseq_plugin import Table``: a DataFrame in, a DataFrame out."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.python_names import arguments_named
from fairseq_plugin.stages.stage import ROOT, Runner, require_scripts
from fairseq_plugin.storage.saved_model import CHECKPOINT, DATA, SavedKind
from fairseq_plugin.synthesis.frame_source import GivenSchema, frame_request, given_schema
from fairseq_plugin.synthesis.frames import (
    FrameColumn,
    cells_of,
    check_columns,
    frame_of,
    given_rows,
    layout_from_json,
    layout_of,
    layout_to_json,
    names_of,
    require_pandas,
)
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.judges.verdict import RowsVerdict
from fairseq_plugin.synthesis.report.write import ReportInputs, write_report
from fairseq_plugin.synthesis.selection import sample_chosen
from fairseq_plugin.synthesis.stages import SynthesisStages
from fairseq_plugin.tables.code.rows import FIXED
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.function_condition import function_condition
from fairseq_plugin.tables.manifest import TableManifest
from fairseq_plugin.tables.model import MOST_TRIES, DrawnRows, TableModel
from fairseq_plugin.tables.prediction import predict
from fairseq_plugin.tables.request import RARE
from fairseq_plugin.tables.schema import Schema, listed
from fairseq_plugin.tables.starts import drawn_starts, sample_from

if TYPE_CHECKING:
    from pandas import DataFrame

_KIND = SavedKind("Table", version=2)
# The arguments that flags in messages are here.
_ARGUMENTS = {name: name for name in ("schema", "target", "order", "rare", "epochs")}
_ARGUMENTS |= {"from": "pretrained", "pretrained-model": "pretrained"}
_ARGUMENTS |= {"seed": "random_state", "choose-from": "choose_from"}


class Table:
    """Learns a table and writes rows like its own.

    Args:
        schema: what the columns are, instead of a guess: a ``schema.json``, its content, or a Schema.
        random_state: of the training and, unless told otherwise, of the rows.
        order: ``fixed``, or ``random``: any cells can be given (``impute``, ``where``).
        rare: categories and texts of fewer rows are not drawn, nor numbers but by their digits.
        pretrained: folder of a GPT-2 in Hugging Face's form to start from; None: from scratch.
        epochs: most passes over the table; None: by its size.
        verbose: show commands and what they say.

    Example::

        table = Table(random_state=0).fit(frame, target="Rings")
        table.sample(1000, where="Rings >= 10 and Sex == 'F'")
    """

    def __init__(
        self,
        schema: GivenSchema | None = None,
        random_state: int = 0,
        order: str = FIXED,
        rare: int = RARE,
        epochs: int | None = None,
        verbose: bool = False,
        pretrained: str | Path | None = None,
    ) -> None:
        self._given_schema = schema
        self.random_state, self.order, self.rare = random_state, order, rare
        self.epochs, self.verbose = epochs, verbose
        self.pretrained = None if pretrained is None else Path(pretrained).absolute()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._model: TableModel | None = None
        self._layout: dict[str, FrameColumn] = {}

    @arguments_named(_ARGUMENTS)
    def fit(self, frame: "DataFrame", target: str | None = None) -> "Table":
        """Learn a frame.

        Args:
            frame: at least two rows; every column has a name of its own.
            target: the column that models of the table shall predict.

        Raises:
            UserError: anything in the frame that can be mended; names the column.
        """
        require_pandas()
        if len(frame) < 2:
            raise UserError(f"the frame has {len(frame)} rows: at least two are needed to learn from")
        layout = layout_of(frame)
        names = list(layout)
        schema = None if self._given_schema is None else given_schema(self._given_schema, names, target)
        if target is not None and target not in names:
            raise UserError(f"target {target!r} is no column of the frame; it has {listed(names)}")
        require_scripts()
        folder = tempfile.TemporaryDirectory(prefix="table-")
        to = Path(folder.name)
        request = frame_request(
            frame, layout, schema, target, to,
            order=self.order, rare=self.rare, seed=self.random_state, epochs=self.epochs,
            pretrained=self.pretrained,
        )  # fmt: skip
        stages, runner = (
            SynthesisStages(request, hold_out(request)),
            Runner(sys.stdout if self.verbose else None),
        )
        for stage in stages:
            stages.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            runner.run(stage if self.verbose or stage.log else replace(stage, log=to / "prepare.log"))
        self._open(stages.checkpoint, stages.data)
        self._folder, self._layout = folder, layout
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
        return self.schema.names

    @property
    def schema(self) -> Schema:
        """What the columns were taken for; ``to_json()`` gives what can be edited and given back."""
        return self.model.code.schema

    @arguments_named(_ARGUMENTS)
    def sample(
        self,
        n: int | None = None,
        where: str | Callable[[dict[str, Any]], object] | None = None,
        seed_data: "DataFrame | None" = None,
        weights: Sequence[float] | None = None,
        random_state: int | None = None,
        most_tries: float = MOST_TRIES,
        choose_from: int = 1,
    ) -> "DataFrame":
        """Exactly ``n`` new rows; see :meth:`TableModel.sample`.

        Args:
            n: rows, >= 1; default: one for each row of ``seed_data``.
            where: a condition, such as ``"age >= 40 and sex == 'F'"`` (:mod:`.tables.conditions`), or a
                function of your own that is called with ``{column: value}`` of a row.
            seed_data: a frame of some of the columns. New row i has the values of its row i, or, where it has
                fewer than ``n``, begins again with the first; missing ones are drawn.
            weights: of the rows of ``seed_data``: instead, each new row takes one of them by these weights.
            random_state: another seed than the table's own.
            most_tries: rows drawn per row asked for, at most, where a condition must be met.
            choose_from: draw so many times more rows, and keep those whose statistics are those of the
                learnt rows (:mod:`.selection`), >= 1.

        Returns:
            The rows; ``attrs["accepted"]`` is the share of the drawn rows that fulfil the condition,
            ``attrs["redrawn"]`` counts rows that were drawn again, because they repeated a rare text.

        Raises:
            UserError: ``seed_data`` of other columns, or values that a column does not hold; too few rows
                fulfil the condition within the tries.
        """
        condition = None
        if isinstance(where, str):
            condition = self.model.condition(where)
        elif where is not None:
            condition = function_condition(where, self.schema)
        seed = self.random_state if random_state is None else random_state
        if choose_from != 1 and seed_data is not None:
            raise UserError(f"choose_from = {choose_from}: given rows are not chosen from; leave it out")
        if n is not None and n < 1:
            raise UserError(f"n = {n}: ask for at least one row")
        if seed_data is not None:
            drawn = self._sample_from(seed_data, n, weights, seed, condition, most_tries)
            accepted = drawn.accepted
        elif n is None or weights is not None:
            raise UserError("sample: give n, how many rows; weights are those of the rows of seed_data")
        else:
            drawn, accepted = sample_chosen(
                self.model, self._paths[1], n, choose_from, seed, condition, most_tries
            )
        found = frame_of(drawn.names, drawn.rows, self._layout)
        found.attrs |= {"accepted": accepted, "redrawn": drawn.num_redrawn}
        return found

    def _sample_from(
        self,
        frame: "DataFrame",
        n: int | None,
        weights: Sequence[float] | None,
        seed: int,
        where: Condition | None,
        most_tries: float,
    ) -> DrawnRows:
        for name in names_of(frame):
            column = self.schema.columns[self.schema.place(name, "seed_data")]
            if not column.is_modelled:
                raise UserError(
                    f"seed_data: column {name!r} is {column.type} and not drawn by the model: leave it out"
                )
        starts = given_rows(frame, self.columns)
        n = len(starts) if n is None else n
        if weights is not None:
            if len(weights) != len(starts):
                raise UserError(f"weights: {len(weights)} of them for {len(starts)} rows of seed_data")
            starts = [starts[place] for place in drawn_starts(weights, n, seed)]
        return sample_from(self.model, starts, n, seed, where, most_tries)

    @arguments_named(_ARGUMENTS)
    def impute(self, frame: "DataFrame", random_state: int | None = None) -> "DataFrame":
        """A frame with its missing values drawn, given all others; index and columns stay.

        With ``order="random"``, and where what is given comes first, that is exact; see
        :mod:`fairseq_plugin.tables.completion` for the rest.

        Returns:
            The frame; ``attrs["effective"]`` is the share of the weighed candidates that counted, 1 where
            all is exact.

        Raises:
            UserError: another frame's columns, or a value that its column does not hold.
        """
        check_columns(frame, self.columns, "impute")
        seed = self.random_state if random_state is None else random_state
        done = self.model.complete(given_rows(frame, self.columns), seed, present=True)
        found = frame_of(self.columns, done.rows, self._layout)
        found.index = frame.index
        found.attrs["effective"] = done.effective
        return found

    def log_prob(self, frame: "DataFrame") -> NDArray[np.float64]:
        """Log probability of each row in nats; -inf for what the table cannot hold."""
        check_columns(frame, self.columns, "log_prob")
        return np.array(self.model.log_prob(cells_of(frame)))

    @arguments_named(_ARGUMENTS)
    def predict(self, frame: "DataFrame", column: str) -> NDArray[Any]:
        """A column's value given all other cells: the most probable category, or the expected number or date.

        See :func:`fairseq_plugin.tables.prediction.predict`.

        Args:
            frame: of the same columns; what it has in ``column`` is not looked at.
            column: of numbers, dates, or of a category of at most 1,000 values.

        Raises:
            UserError: the column is none that is modelled, or a text; a value that its column does not hold.
        """
        check_columns(frame, self.columns, "predict")
        found = predict(self.model, cells_of(frame), column, self.random_state)
        if found and isinstance(found[0], str):
            typed = frame_of([column], [[str(cell)] for cell in found], self._layout)
            return typed.iloc[:, 0].to_numpy()
        return np.array(found)

    def report(
        self,
        to: str | Path,
        real: "DataFrame",
        held_out: "DataFrame",
        n: int | None = None,
        random_state: int | None = None,
        choose_from: int = 1,
    ) -> RowsVerdict:
        """Judge new rows by real ones that were not learnt; ``report.html`` and ``judges.json``.

        Args:
            to: folder to write to.
            real: the frame that was learnt.
            held_out: rows of the same columns that were not, at least 20.
            n: new rows; default: as many as in ``real``.
            random_state: of the rows and the judges.
            choose_from: as :meth:`sample` takes it.

        Returns:
            The verdict: ``sentence``, ``findings``, ``is_worthless``.

        Raises:
            UserError: other columns, or too few rows to judge by.
        """
        check_columns(real, self.columns, "report")
        check_columns(held_out, self.columns, "report")
        seed = self.random_state if random_state is None else random_state
        wanted = len(real) if n is None else n
        checkpoint, data = self._paths
        drawn, _ = sample_chosen(self.model, data, wanted, choose_from, seed)
        inputs = ReportInputs(
            "a frame", self.schema, cells_of(real), cells_of(held_out), drawn.names, drawn.rows,
            seed, data=data, checkpoint=checkpoint,
            provenance=[("random_state", seed), ("choose_from", choose_from)],
            num_drawn=wanted * choose_from if choose_from > 1 else None,
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
        content = {"settings": settings, "columns": layout_to_json(self._layout)}
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
        table._layout = layout_from_json(stated["columns"], folder / _KIND.file_name)
        table._open(folder / CHECKPOINT, folder / DATA)
        return table
