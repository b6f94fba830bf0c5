"""A network and the code of its table: draw rows, complete them, tell how probable they are.

A row depends on (model, seed, its number) and on the cells that it was given, never on what else is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.core.feature_embedding import folded
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.checkpoint_weights import NETWORK_PREFIX
from fairseq_plugin.pretrained.network import load_network
from fairseq_plugin.pretrained.vocabulary import read_symbols
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.data_identity import check_identity
from fairseq_plugin.storage.dictionary import DICTIONARY, check_dictionary
from fairseq_plugin.tables.cells import RowCells
from fairseq_plugin.tables.code.rows import RANDOM, RowCode
from fairseq_plugin.tables.completion import Completer, given_cells
from fairseq_plugin.tables.conditions import Condition
from fairseq_plugin.tables.drawing import RowDrawing
from fairseq_plugin.tables.identity import identity_of
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.observed import check_possible, condition_on
from fairseq_plugin.tables.prompts import prompt_of
from fairseq_plugin.tables.scoring import nats_of
from fairseq_plugin.tables.walk import Walker

TASK = "table_rows"
MOST_TRIES = 100.0  # rows drawn for each row that is asked for, at most
_FEWEST_DRAWN = 64  # at once, where a condition must be met

Row = list[str]
GivenRow = Sequence[str | None]


class TooFewMatches(UserError):
    """Fewer rows than were asked for fulfil a condition within the tries."""


@dataclass(frozen=True)
class DrawnRows:
    """What :meth:`TableModel.sample` gave.

    Attributes:
        names: of the columns.
        rows: exactly as many as were asked for.
        numbers: of each row; with the seed it gives the row again.
        num_drawn: rows drawn; those beyond ``len(rows)`` did not meet the condition, or were not needed.
        num_redrawn: rows that were drawn again, because they repeated a rare text.
    """

    names: list[str]
    rows: list[Row]
    numbers: list[int]
    num_drawn: int
    num_redrawn: int = 0

    @property
    def accepted(self) -> float:
        """Share of the drawn rows, in (0, 1]."""
        return len(self.rows) / max(self.num_drawn, 1)


@dataclass(frozen=True)
class CompletedRows:
    """What :meth:`TableModel.complete` gave.

    Attributes:
        rows: cells of all columns of the schema.
        effective: share of the weighed candidates that counted; 1.0: exact.
        num_redrawn: rows that were drawn again, because they repeated a rare text.
    """

    rows: list[Row]
    effective: float
    num_redrawn: int


class TableModel:
    """See the module.

    Args:
        code: of the table.
        gpt2: in evaluation mode, with a position for every symbol of the longest row.
    """

    def __init__(self, code: RowCode, gpt2: GPT2) -> None:
        if gpt2.config.n_positions < code.longest:
            raise UserError(
                f"the longest row can have {code.longest} symbols but the model has "
                f"{gpt2.config.n_positions} positions: train one with --n-positions {code.longest}"
            )
        self.code, self.gpt2, self.cells = code, gpt2, RowCells(code)
        self._drawing = RowDrawing(code, gpt2)
        self._places = [code.schema.names.index(name) for name in self.cells.names]
        self._data: Path | None = None

    @classmethod
    def load(cls, path: str | Path, data: str | Path, device: str = "cpu") -> "TableModel":
        """Read a checkpoint of ``--task table_rows`` and hold it against its prepared folder.

        Raises:
            UserError: damaged, of another task, or of another table.
        """
        manifest = TableManifest.load(data)
        check_dictionary(data, manifest.files)
        code, symbols = load_code(data, manifest), read_symbols(Path(data) / DICTIONARY)
        network = load_network(path, symbols, None, device, "as_trained", "--path")
        section = network.checkpoint.config.get("task")
        task = section.get("_name", TASK) if isinstance(section, Mapping) else TASK
        if task != TASK:
            raise UserError(
                f"--path {path} was trained with --task {task}, not {TASK}: give one of that task"
            )
        saved = (network.checkpoint.state.get("task_state") or {}).get("data")
        check_identity(saved, identity_of(code, symbols, manifest.files))
        model = cls(code, network.gpt2)
        model._data = Path(data)
        return model

    def condition(self, text: str) -> Condition:
        """Read a condition on rows of this table; see :mod:`.conditions`.

        Raises:
            UserError: see :func:`~fairseq_plugin.tables.conditions.parse_condition`.
        """
        return condition_on(text, self.code, self._data)

    # -- drawing -----------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        seed: int = 0,
        where: Condition | None = None,
        first: int = 0,
        most_tries: float = MOST_TRIES,
        temperature: float = 1.0,
    ) -> DrawnRows:
        """Exactly ``n`` new rows.

        Cells that a condition fixes by ``==`` are given to the model where the order of columns allows it,
        which is exact; what else it asks is met by drawing until enough rows fulfil it.

        Args:
            n: rows, >= 1.
            seed: in [0, 2^64).
            where: a condition on rows.
            first: number of the first row.
            most_tries: give up after so many drawn rows per row asked for.
            temperature: > 0; 1 is the model's own distribution.

        Raises:
            TooFewMatches: fewer than ``n`` rows fulfil the condition within the tries; says how many did.
        """
        prompt = self.prompt_for(where)

        def draw(ids: range) -> Iterator[tuple[int, Row]]:
            drawn = self._drawing([(prompt, ids)], seed, temperature)
            return ((number, self.cells(drawn[number], number)) for number in ids)

        return self.collect(n, where, draw, first, most_tries)

    def prompt_for(self, where: Condition | None) -> list[int]:
        """The beginning of every row that fulfils a condition, as far as the order of columns allows it."""
        return prompt_of(self.code, self._given(where), "the condition")

    def collect(
        self,
        n: int,
        where: Condition | None,
        draw: Callable[[range], Iterable[tuple[int, Row]]],
        first: int = 0,
        most_tries: float = MOST_TRIES,
    ) -> DrawnRows:
        """Draw until ``n`` rows fulfil a condition; arguments as of :meth:`sample`.

        Args:
            draw: numbers of rows -> these rows with their numbers, in order.
        """
        if n < 1:
            raise UserError(f"n = {n}: ask for at least one row")
        rows: list[Row] = []
        numbers: list[int] = []
        drawn, redrawn = 0, self._drawing.num_redrawn
        while len(rows) < n:
            missing = n - len(rows)
            if drawn >= max(most_tries * n, _FEWEST_DRAWN):
                raise TooFewMatches(
                    f"{len(rows):,} of {n:,} rows after {drawn:,} tries: too few rows fulfil "
                    f"{'' if where is None else where.text!r}; ask for fewer rows or a wider condition"
                )
            rate = len(rows) / drawn if rows else 1.0
            some = missing if where is None else max(int(1.1 * missing / rate), _FEWEST_DRAWN)
            some = min(some, max(int(most_tries * n), _FEWEST_DRAWN) - drawn)
            ids = range(first + drawn, first + drawn + some)
            for number, row in draw(ids):
                if len(rows) < n and (where is None or where.holds(self._as_file(row))):
                    rows.append(row)
                    numbers.append(number)
                    needed = number - first + 1
            drawn += some
        redrawn = self._drawing.num_redrawn - redrawn
        return DrawnRows(self.cells.names, rows, numbers, needed if where is not None else n, redrawn)

    def _given(self, where: Condition | None) -> dict[str, str]:
        """Those cells of a condition that can stand at the beginning of a row."""
        if where is None:
            return {}
        names = self.code.names
        equal = {name: cell for name, cell in where.equal.items() if name in names}
        check_possible(self.code, where)
        if self.code.order_kind == RANDOM:
            return equal
        given: dict[str, str] = {}
        for name in names:
            if name not in equal:
                break
            given[name] = equal[name]
        return given

    def written(self, cells: Row) -> Row:
        """A row of the columns that are written, from one of all columns."""
        return [cells[place] for place in self._places]

    def _as_file(self, row: Row) -> Row:
        """The inverse of :meth:`written`: an empty cell for every column that was left out."""
        cells = [""] * len(self.code.schema.columns)
        for place, cell in zip(self._places, row):
            cells[place] = cell
        return cells

    def without_rare_texts(
        self, found: dict[int, list[int]], prompt: Sequence[int], seed: int
    ) -> dict[int, list[int]]:
        """Symbols of drawn rows by number, those that repeat a rare text drawn again; see :mod:`.drawing`."""
        return self._drawing.without_rare_texts(found, [(prompt, list(found))], seed)

    def request(self, longest_prompt: int, seed: int, temperature: float = 1.0) -> DecodingRequest:
        """How rows are sampled."""
        return self._drawing.request(longest_prompt, seed, temperature)

    # -- given cells ---------------------------------------------------------------------------------------

    def complete(
        self,
        rows: Sequence[GivenRow],
        seed: int = 0,
        numbers: Sequence[int] | None = None,
        present: bool = False,
    ) -> CompletedRows:
        """Rows with some cells given and the others drawn; see :mod:`.completion` for how exact that is.

        Args:
            rows: cells of all columns of the schema; None is to be drawn (a missing mark stays what it is).
            seed: in [0, 2^64).
            numbers: of the rows, all different; with the seed they key the draws. Default: 0, 1, ...
            present: draw no missing cells.

        Raises:
            UserError: a cell that its column does not hold; names row, column and the mend.
        """
        numbers = range(len(rows)) if numbers is None else numbers
        done = Completer(self.code, self.gpt2, present).complete(
            [given_cells(self.code, row) for row in rows], numbers, seed, "row {}"
        )
        completed = []
        for row, symbols, number in zip(rows, done.symbols, numbers):
            drawn = self._as_file(self.cells(symbols, number, row))
            completed.append([new if old is None else old for old, new in zip(row, drawn)])
        return CompletedRows(completed, done.effective, done.num_redrawn)

    def impute(self, rows: Sequence[GivenRow], seed: int = 0) -> list[Row]:
        """:meth:`complete` without missing cells among those that are drawn."""
        return self.complete(rows, seed, present=True).rows

    def log_prob(self, rows: Sequence[Sequence[str]]) -> list[float]:
        """The log probability of rows in nats; -inf where the table cannot hold one.

        With a random order of columns it is that of the code's own order.

        Args:
            rows: cells of all columns of the schema.
        """
        found = [-torch.inf] * len(rows)
        items: list[tuple[int, list[int]]] = []
        for number, row in enumerate(rows):
            try:
                items.append((number, self.code.encode(row)))
            except UserError:
                continue
        for (number, _), nats in zip(items, self.nats([item for _, item in items])):
            found[number] = -nats
        return found

    def nats(self, items: Sequence[Sequence[int]]) -> list[float]:
        """Minus the log probability of rows in nats; see :func:`~fairseq_plugin.tables.scoring.nats_of`."""
        return nats_of(self.gpt2, Walker(self.code, self.gpt2.wte.weight.device), items)

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take other weights of the same network, by the names of a checkpoint."""
        named = {
            name.removeprefix(NETWORK_PREFIX): one for name, one in folded(weights, NETWORK_PREFIX).items()
        }
        self.gpt2.load_state_dict({name: named[name] for name in self.gpt2.state_dict()})
