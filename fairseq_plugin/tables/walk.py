"""Many rows through the automaton at once: which symbols may come next, symbol by symbol.

Legend: B rows of a batch, S slots of a decoder (or states), T symbols of a row, V all symbols, C columns of
the code's order, R different ranges of symbols.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fairseq_plugin.sampling.constraints import ConstraintMaker, Prompts
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.automaton import DONE
from fairseq_plugin.tables.code.rows import RowCode

_MOST_FORBIDDEN = 1 << 26  # bytes of a table of what is forbidden


@dataclass(frozen=True)
class Ranges:
    """Attributes:
    low_BT, count_BT: int64, the symbols that each position allows; a count of 0 after the end of a row.
    column_BT: int64, the column (of the code's order) of each position; C at the end and after it.
    """

    low_BT: torch.Tensor
    count_BT: torch.Tensor
    column_BT: torch.Tensor


class Walker:
    """The automaton of a code as tensors.

    Args:
        code: of the rows.
        device: of the tensors.
        drawing: leave out what is read and never drawn (rare values).
        present: leave out missing cells as well.
        last: the row ends after this column (a number in the code's order; fixed order); None: after all.
    """

    def __init__(
        self,
        code: RowCode,
        device: torch.device | str = "cpu",
        drawing: bool = False,
        present: bool = False,
        last: int | None = None,
    ) -> None:
        automaton = code.automaton
        low_S, shown_S = torch.as_tensor(automaton.low_S), torch.as_tensor(automaton.shown_S)
        hidden_S = shown_S - low_S if drawing else torch.zeros_like(low_S)
        if present:  # a missing cell is the first symbol that may be drawn
            has_missing = [code.schema.columns[place].missing is not None for place in code.order]
            starts = [one.start for one, missing in zip(code.codes, has_missing) if missing]
            hidden_S[torch.tensor(starts, dtype=torch.int64)] += 1
        # One state more at the end, after a row's end: nothing is scored there any more.
        end = torch.zeros(1, dtype=torch.int64)
        self._low_S = torch.cat([low_S.long(), end]).to(device)
        self._count_S = torch.cat([torch.as_tensor(automaton.count_S).long(), end]).to(device)
        self._hidden_S = torch.cat([hidden_S.long(), end]).to(device)  # of the first ones: given at most
        self._offset_V = torch.as_tensor(automaton.offset_V).to(device)
        first_offset_S = torch.as_tensor(automaton.offset_V[automaton.low_S])
        first_S = torch.as_tensor(automaton.first_S) - first_offset_S  # + a symbol's offset = its edge
        self._edge_S = torch.cat([first_S, end]).to(device)
        self._next_E = torch.as_tensor(automaton.next_E).long().to(device)
        self._over = len(low_S)
        # After the last column comes the row's end.
        self._start_C = torch.as_tensor([*code.start_C.tolist(), code.end_state]).to(device)
        if last is not None:
            self._start_C[last + 1] = code.end_state
        ends_S2 = torch.stack([self._low_S + self._hidden_S, self._low_S + self._count_S], 1)
        self._ends_R2, self._range_of_S = ends_S2.unique(dim=0, return_inverse=True)
        self._outside_RV: torch.Tensor | None = None  # made when it is needed
        self.num_columns = len(code.start_C)
        self.order_C = torch.arange(self.num_columns + 1, device=device)

    def ranges(self, target_BT: torch.Tensor, order_BC: torch.Tensor | None = None) -> Ranges:
        """What is allowed at each position of whole rows.

        Args:
            target_BT: int64, symbols of rows, their ends, then anything.
            order_BC: of each row, the columns in the order in which it has them; default: the code's.
        """
        state_B, turn_B = self.begin(target_BT.shape[0], order_BC)
        low, count, column = [], [], []
        for symbols_B in target_BT.unbind(1):
            low.append(self._low_S[state_B] + self._hidden_S[state_B])
            count.append(self._count_S[state_B] - self._hidden_S[state_B])
            column.append(self._column(turn_B, order_BC))
            state_B, turn_B = self.step(state_B, turn_B, symbols_B, order_BC)
        return Ranges(torch.stack(low, 1), torch.stack(count, 1), torch.stack(column, 1))

    def begin(self, num_rows: int, order_BC: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """State and turn of rows that begin; a turn is a position in the order of columns."""
        turn_B = torch.zeros(num_rows, dtype=torch.int64, device=self._low_S.device)
        return self._start_C[self._column(turn_B, order_BC)], turn_B

    def step(
        self,
        state_B: torch.Tensor,
        turn_B: torch.Tensor,
        symbols_B: torch.Tensor,
        order_BC: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """State and turn after one more symbol each. A row that has ended, or that goes on with what is not
        allowed, is over."""
        offset_B = symbols_B - self._low_S[state_B]
        is_allowed_B = (offset_B >= 0) & (offset_B < self._count_S[state_B])
        edge_B = (self._edge_S[state_B] + self._offset_V[symbols_B]).clamp(0, len(self._next_E) - 1)
        next_B = self._next_E[edge_B]
        is_done_B = is_allowed_B & (next_B == DONE)
        has_ended_B = is_done_B & (symbols_B == EOS)
        turn_B = torch.where(is_done_B & ~has_ended_B, turn_B + 1, turn_B)
        start_B = self._start_C[self._column(turn_B, order_BC)]
        next_B = torch.where(is_done_B, start_B, next_B)
        return torch.where(is_allowed_B & ~has_ended_B, next_B, self._over), turn_B

    def _column(self, turn_B: torch.Tensor, order_BC: torch.Tensor | None) -> torch.Tensor:
        if order_BC is None:
            return turn_B
        rows = torch.arange(len(turn_B), device=turn_B.device)
        is_end_B = turn_B >= self.num_columns
        own_B = order_BC[rows, turn_B.clamp(max=self.num_columns - 1)]
        return torch.where(is_end_B, self.num_columns, own_B)

    def forbid(self, logits_SV: torch.Tensor, state_S: torch.Tensor) -> None:
        """Set the logits of what is not allowed to -inf, in place."""
        range_S, num_symbols = self._range_of_S[state_S], logits_SV.shape[1]
        if len(self._ends_R2) * num_symbols > _MOST_FORBIDDEN:
            outside_SV = _outside(self._ends_R2[range_S], num_symbols)
        else:  # looked up: twice as fast as to compare
            if self._outside_RV is None or self._outside_RV.shape[1] != num_symbols:
                self._outside_RV = _outside(self._ends_R2, num_symbols)
            outside_SV = self._outside_RV[range_S]
        logits_SV.masked_fill_(outside_SV, -torch.inf)


def _outside(ends_N2: torch.Tensor, num_symbols: int) -> torch.Tensor:
    """Which symbols are outside of ranges, each with its first symbol and the one after its last."""
    symbols_V = torch.arange(num_symbols, device=ends_N2.device)
    return (symbols_V < ends_N2[:, :1]) | (symbols_V >= ends_N2[:, 1:])


class AllowedNext:
    """The constraint of a sampler: rows are rows, whatever the network says.

    Args:
        walker: made for drawing.
        prompts: of the slots: the end token, then symbols of a row that has begun. In random order the
            columns that a prompt holds come first, the others follow in the code's order.
        column_of_marker: in random order, the column of each marker; else empty.
    """

    part_of_the_model = True  # the loss, too, is over the allowed symbols alone

    def __init__(self, walker: Walker, prompts: Prompts, column_of_marker: Mapping[int, int]) -> None:
        self._walker, self._column_of_marker = walker, column_of_marker
        device = walker.order_C.device
        num_slots = len(prompts)
        self._order_SC = None
        if column_of_marker:
            self._order_SC = walker.order_C[:-1].expand(num_slots, -1).clone()
        self._state_S, self._turn_S = walker.begin(num_slots, self._order_SC)
        self.replace(torch.arange(num_slots, device=device), prompts)

    def forbid(self, logits_SV: torch.Tensor) -> None:
        self._walker.forbid(logits_SV, self._state_S)

    def append(self, tokens_S: torch.Tensor) -> None:
        self._state_S, self._turn_S = self._walker.step(self._state_S, self._turn_S, tokens_S, self._order_SC)

    def keep(self, slots_S: torch.Tensor) -> None:
        self._state_S, self._turn_S = self._state_S[slots_S], self._turn_S[slots_S]
        if self._order_SC is not None:
            self._order_SC = self._order_SC[slots_S]

    def replace(self, slots_S: torch.Tensor, prompts: Prompts) -> None:
        self.resume(slots_S, prompts, [()] * len(prompts))

    def resume(self, slots_S: torch.Tensor, prompts: Prompts, new: Prompts) -> None:
        """See :class:`~fairseq_plugin.sampling.constraints.Resumable`."""
        device = self._state_S.device
        order_BC = None
        if self._order_SC is not None:
            orders = [self._order_of(prompt) for prompt in prompts]
            self._order_SC[slots_S] = order_BC = torch.tensor(orders, device=device)
        texts = [[*prompt[1:], *tokens] for prompt, tokens in zip(prompts, new, strict=True)]
        longest = max(map(len, texts))
        padded = [[*text, *[EOS] * (longest - len(text))] for text in texts]
        padded_BT = torch.tensor(padded, dtype=torch.int64).view(len(texts), longest).to(device)
        lengths_B = torch.tensor([len(text) for text in texts], device=device)
        state_B, turn_B = self._walker.begin(len(texts), order_BC)
        for at, tokens_B in enumerate(padded_BT.unbind(1)):
            next_B, after_B = self._walker.step(state_B, turn_B, tokens_B, order_BC)
            state_B = torch.where(lengths_B > at, next_B, state_B)
            turn_B = torch.where(lengths_B > at, after_B, turn_B)
        self._state_S[slots_S], self._turn_S[slots_S] = state_B, turn_B

    def _order_of(self, prompt: Sequence[int]) -> list[int]:
        found = [self._column_of_marker[token] for token in prompt if token in self._column_of_marker]
        return [*found, *(column for column in range(self._walker.num_columns) if column not in found)]


def only_rows(code: RowCode, present: bool = False, last: int | None = None) -> ConstraintMaker:
    """The constraint of a decoding request under which every text is a row of this code.

    Args:
        code: of the rows.
        present, last: see :class:`Walker`.
    """
    walkers: dict[torch.device, Walker] = {}
    column_of_marker = _column_of_marker(code)

    def make(prompts: Prompts, device: torch.device) -> AllowedNext:
        if device not in walkers:
            walkers[device] = Walker(code, device, drawing=True, present=present, last=last)
        return AllowedNext(walkers[device], prompts, column_of_marker)

    return make


def _column_of_marker(code: RowCode) -> dict[int, int]:
    column_V = code.column_of_marker()
    return {int(symbol): int(column_V[symbol]) for symbol in np.flatnonzero(column_V >= 0)}
