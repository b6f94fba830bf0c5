"""A network and the code of its table: draw rows, complete them, tell how probable they are.

A row depends on (model, seed, its number) and on the cells that it was given, never on what else is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.checkpoint_weights import NETWORK_PREFIX
from fairseq_plugin.pretrained.network import load_network
from fairseq_plugin.pretrained.vocabulary import read_symbols
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.data_identity import check_identity
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, check_dictionary
from fairseq_plugin.tables.cells import RowCells
from fairseq_plugin.tables.code.rows import RANDOM, RowCode
from fairseq_plugin.tables.conditions import Condition, parse_condition
from fairseq_plugin.tables.identity import identity_of
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.observed import observed_cells
from fairseq_plugin.tables.prompts import prompt_of
from fairseq_plugin.tables.walk import Walker, only_rows

TASK = "table_rows"
MOST_TRIES = 100.0  # rows drawn for each row that is asked for, at most
_FEWEST_DRAWN = 64  # at once, where a condition must be met
_ROWS_AT_ONCE = 256  # of log_prob
_PAD = 1

Row = list[str]


@dataclass(frozen=True)
class DrawnRows:
    """What :meth:`TableModel.sample` gave.

    Attributes:
        names: of the columns.
        rows: exactly as many as were asked for.
        numbers: of each row; with the seed it gives the row again.
        num_drawn: rows drawn; those beyond ``len(rows)`` did not meet the condition, or were not needed.
    """

    names: list[str]
    rows: list[Row]
    numbers: list[int]
    num_drawn: int

    @property
    def accepted(self) -> float:
        """Share of the drawn rows, in (0, 1]."""
        return len(self.rows) / max(self.num_drawn, 1)


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
        observed = None if self._data is None else partial(observed_cells, self.code, self._data)
        return parse_condition(text, self.code.schema, observed)

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
            UserError: fewer than ``n`` rows fulfil the condition within the tries; says how many did.
        """
        prompt = self.prompt_for(where)
        return self.collect(
            n, where, lambda ids: self._draw([(prompt, ids)], seed, temperature), first, most_tries
        )

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
        drawn = 0
        while len(rows) < n:
            missing = n - len(rows)
            if drawn >= max(most_tries * n, _FEWEST_DRAWN):
                raise UserError(
                    f"{len(rows)} of {n} rows after {drawn:,} tries: too few rows fulfil "
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
        return DrawnRows(self.cells.names, rows, numbers, needed if where is not None else n)

    def _given(self, where: Condition | None) -> dict[str, str]:
        """Those cells of a condition that can stand at the beginning of a row."""
        if where is None:
            return {}
        names = [self.code.schema.columns[place].name for place in self.code.order]
        equal = {name: cell for name, cell in where.equal.items() if name in names}
        if self.code.order_kind == RANDOM:
            return equal
        given: dict[str, str] = {}
        for name in names:
            if name not in equal:
                break
            given[name] = equal[name]
        return given

    def _as_file(self, row: Row) -> Row:
        """A written row with an empty cell for every column that was left out."""
        cells = [""] * len(self.code.schema.columns)
        for place, cell in zip(self._places, row):
            cells[place] = cell
        return cells

    def _draw(
        self, groups: Sequence[tuple[Sequence[int], Sequence[int]]], seed: int, temperature: float = 1.0
    ) -> list[tuple[int, Row]]:
        """Rows with their numbers, in the order of these, for (prompt, numbers) groups."""
        longest = max(len(prompt) for prompt, _ in groups)
        request = self.request(longest, seed, temperature)
        pool = SamplePool(self.gpt2, request, longest)
        found = {
            one.sample_id: [*one.prompt[1:], *one.continuation.tokens.tolist()] for one in pool.run(groups)
        }
        return [(number, self.cells(found[number], number)) for number in sorted(found)]

    def request(self, longest_prompt: int, seed: int, temperature: float = 1.0) -> DecodingRequest:
        """How rows are sampled."""
        return DecodingRequest(
            Sampling(temperature=temperature),
            end=EOS,
            max_new=self.gpt2.config.n_positions - longest_prompt,
            seed=seed,
            constraints=(only_rows(self.code),),
        )

    # -- given rows ----------------------------------------------------------------------------------------

    def impute(self, rows: Sequence[Sequence[str | None]], seed: int = 0) -> list[Row]:
        """Rows with their missing cells drawn, given all the others.

        Args:
            rows: cells of all columns of the schema; None is to be drawn (a missing mark stays what it is).
            seed: in [0, 2^64); with the row's place it keys the draw.

        Raises:
            UserError: with a fixed order, a cell is missing before one that is given; or a cell that its
                column does not hold.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, row in enumerate(rows):
            given = {
                self.code.schema.columns[place].name: cell
                for place in self.code.order
                if (cell := row[place]) is not None
            }
            prompt = prompt_of(self.code, given, f"row {number}")
            groups.setdefault(tuple(prompt), []).append(number)
        drawn = self._draw(list(groups.items()), seed)
        completed = []
        for number, row in drawn:
            cells = self._as_file(row)
            completed.append([new if old is None else old for old, new in zip(rows[number], cells)])
        return completed

    @torch.no_grad()
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

    @torch.no_grad()
    def nats(self, items: Sequence[Sequence[int]]) -> list[float]:
        """Minus the log probability of rows in nats.

        Args:
            items: the symbols of each, its end included, with the columns in the code's order.
        """
        walker = Walker(self.code, self.gpt2.wte.weight.device)
        found: list[float] = []
        for at in range(0, len(items), _ROWS_AT_ONCE):
            found += self._nats(walker, items[at : at + _ROWS_AT_ONCE])
        return found

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take other weights of the same network, by the names of a checkpoint."""
        named = {name.removeprefix(NETWORK_PREFIX): one for name, one in weights.items()}
        self.gpt2.load_state_dict({name: named[name] for name in self.gpt2.state_dict()})

    def _nats(self, walker: Walker, items: Sequence[Sequence[int]]) -> Iterator[float]:
        device = self.gpt2.wte.weight.device
        longest = max(map(len, items))
        target_BT = torch.tensor([[*item, *[_PAD] * (longest - len(item))] for item in items]).to(device)
        source_BT = target_BT.roll(1, dims=1)
        source_BT[:, 0] = EOS
        ranges = walker.ranges(target_BT)
        logits_BTV = self.gpt2.logits(self.gpt2(source_BT))
        flat_NV = logits_BTV.view(-1, logits_BTV.shape[-1])
        AllowedSymbols(ranges.low_BT, ranges.count_BT).forbid(
            flat_NV, torch.arange(len(flat_NV), device=device)
        )
        logp_BT = logits_BTV.gather(2, target_BT.unsqueeze(2)).squeeze(2) - logits_BTV.logsumexp(2)
        nats_B = -logp_BT.double().masked_fill(ranges.count_BT == 0, 0.0).sum(1)
        yield from nats_B.tolist()
