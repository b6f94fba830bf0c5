"""Keys and values of tokens already read, so that each new token costs one row and not its whole past.

Legend: L layers, R rows (one per text being decoded), H heads, S slots (capacity), N new tokens per row,
A slots attended to, K width of a head.
"""

import math
from dataclasses import dataclass

import torch

# Attention always spans a multiple of this many slots; the rest is masked. A row's result then does not
# depend on how long the other rows are: BLAS sums the same numbers in the same order, and exact zeros.
_SLOTS = 32
# Below this width of a head, 32 slots are so small a product that BLAS takes another kernel for it than for
# more slots, with other last bits: there the least is two blocks.
_NARROW_HEAD = 32


@dataclass
class Step:
    """One forward pass's place in the cache, worked out once and used by every layer.

    Args:
        positions_RN: the position in the text of every new token.
        slots_RN: the slot of every new token; but for :meth:`KVCache.branch`, the position.
        start: the slot of every row's first new token, where that is known to be the same one; else ``None``.
        num_new_R: new tokens of each row that count; the others are padding on the right.
        num_slots: A, how many slots the new tokens look at.
        mask_R1NA: 0 where a new token may look, -inf elsewhere.
    """

    positions_RN: torch.Tensor
    slots_RN: torch.Tensor
    start: int | None
    num_new_R: torch.Tensor | None
    num_slots: int
    mask_R1NA: torch.Tensor


class KVCache:
    """Preallocated keys and values for a batch whose rows may be of different lengths.

    The token at position p of a row stands in slot p of that row. Slots at and beyond a row's length hold
    leftovers (finite numbers) that are masked and later overwritten.

    On a CPU only the blocks of slots in use are laid out, one behind the other, and laid out anew when the
    texts need another block: the products over them then need no copy, which otherwise takes several times
    as long as the products themselves. On a GPU all slots are laid out from the start.

    Args:
        config: a :class:`~fairseq_plugin.core.gpt2.GPT2Config`.
        rows: number of texts.
        capacity: most tokens per text; rounded up to a multiple of 32.
        device, dtype: of keys and values; give the network's ``compute_dtype``.

    Attributes:
        lengths: int64 ``(rows,)``, tokens held for each row.
        longest: a number on the host that no row's length exceeds.
        capacity: slots per row.
        dtype: of keys and values.
    """

    def __init__(self, config, rows, capacity, device=None, dtype=torch.float32):
        if rows < 1 or capacity < 1:
            raise ValueError(f"a cache needs at least one row and one slot, not {rows} and {capacity}")
        self._num_heads, self._head_width = config.n_head, config.n_embd // config.n_head
        self._least = 2 * _SLOTS if self._head_width < _NARROW_HEAD else _SLOTS
        self._n_positions = config.n_positions
        self.capacity, self.dtype = max(_round_up(capacity), self._least), dtype
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.longest = 0
        self._stored_rows = rows
        self._slots = self._least if self._on_cpu else self.capacity
        # By layer, and for keys and values; the spare takes part in laying them out anew, one after the other.
        self._buffers = [[self._buffer() for _ in range(config.n_layer)] for _ in range(2)]
        self._spare = None
        for stored_RHSK in self._all_stored():
            stored_RHSK.zero_()

    @property
    def rows(self):
        return len(self.lengths)

    @property
    def _on_cpu(self):
        return self.lengths.device.type == "cpu"

    def _buffer(self):
        size = self._stored_rows * self._num_heads * self.capacity * self._head_width
        return torch.empty(size, device=self.lengths.device, dtype=self.dtype)

    def _view(self, buffer, rows=None, slots=None):
        shape = (rows or self._stored_rows, self._num_heads, slots or self._slots, self._head_width)
        return buffer[: math.prod(shape)].view(shape)

    def _all_stored(self):
        return (self._view(buffer) for buffers in self._buffers for buffer in buffers)

    def _lay_out(self, num_slots):
        """Make room for more slots in use, zeros in the new ones: 0 x leftover must not be 0 x NaN."""
        if num_slots <= self._slots:
            return
        self._spare = self._buffer() if self._spare is None else self._spare
        for buffers in self._buffers:
            for layer, buffer in enumerate(buffers):
                new_RHSK = self._view(self._spare, self.rows, num_slots)
                new_RHSK[:, :, : self._slots] = self._view(buffer, self.rows)
                new_RHSK[:, :, self._slots :] = 0
                buffers[layer], self._spare = self._spare, buffer
        self._slots, self._stored_rows = num_slots, self.rows

    def begin(self, num_tokens, lengths_B=None):
        """Find the place of ``num_tokens`` new tokens per row.

        Args:
            num_tokens: N, columns of the new tokens.
            lengths_B: int64 ``(rows,)`` in [0, N], how many of them count in each row; all, if left out.

        Raises:
            ValueError: no room.
        """
        num_slots = self._room(num_tokens)
        new_N = torch.arange(num_tokens, device=self.lengths.device)
        positions_RN = self.lengths.unsqueeze(1) + new_N
        slots_A = torch.arange(num_slots, device=self.lengths.device)
        mask_R1NA = self._mask(slots_A > positions_RN.unsqueeze(2))
        return Step(positions_RN, positions_RN, self._common_start(), lengths_B, num_slots, mask_R1NA)

    def branch(self, num_tokens):
        """Find the place of ``num_tokens`` alternatives for each row's next token.

        They all have the same position, see the row's past and themselves, and not each other: a forward
        pass reads them as if each stood alone behind the row's text. :meth:`choose` keeps one of them.

        Raises:
            ValueError: no room for so many.
        """
        num_slots = self._room(num_tokens)
        past_R1 = self.lengths.unsqueeze(1)
        slots_RN = past_R1 + torch.arange(num_tokens, device=self.lengths.device)
        slots_A = torch.arange(num_slots, device=self.lengths.device)
        seen_RNA = (slots_A < past_R1.unsqueeze(2)) | (slots_A == slots_RN.unsqueeze(2))
        positions_RN, mask_R1NA = past_R1.expand(-1, num_tokens), self._mask(~seen_RNA)
        return Step(positions_RN, slots_RN, self._common_start(), None, num_slots, mask_R1NA)

    def choose(self, step, chosen_R):
        """After a forward pass over alternatives, make one of each row's the row's next token.

        Args:
            step: from :meth:`branch`.
            chosen_R: int64 ``(rows,)``, which.
        """
        rows_R = torch.arange(self.rows, device=self.lengths.device)
        sources_R = step.slots_RN.gather(1, chosen_R.unsqueeze(1)).squeeze(1)
        for stored_RHSK in self._all_stored():
            stored_RHSK[rows_R, :, self.lengths] = stored_RHSK[rows_R, :, sources_R]
        self.lengths = self.lengths + 1
        self.longest += 1

    def _room(self, num_tokens):
        """How many slots to look at with so many new tokens per row; laid out where they are not yet."""
        needed = self.longest + num_tokens
        if needed > self.capacity:
            raise ValueError(f"the cache has {self.capacity} slots per row; {needed} are needed")
        num_slots = max(_round_up(needed), self._least)
        self._lay_out(num_slots)
        # What is laid out is looked at as a whole on a CPU: a part of it would have to be copied.
        return self._slots if self._on_cpu else num_slots

    def _common_start(self):
        if self.longest == 0:
            return 0
        if not self._on_cpu:  # the question would wait for the device
            return None
        first = self.lengths[0]
        return int(first) if bool((self.lengths == first).all()) else None

    def _mask(self, hidden_RNA):
        mask_RNA = torch.zeros(hidden_RNA.shape, dtype=self.dtype, device=hidden_RNA.device)
        return mask_RNA.masked_fill_(hidden_RNA, -math.inf).unsqueeze(1)

    def write(self, layer, step, keys_RHNK, values_RHNK):
        """Store a layer's new keys and values; return views of all that the new tokens look at."""
        stored = [self._view(buffers[layer])[: self.rows] for buffers in self._buffers]
        for whole_RHSK, new_RHNK in zip(stored, (keys_RHNK, values_RHNK), strict=True):
            if step.start is not None:
                whole_RHSK[:, :, step.start : step.start + new_RHNK.shape[2]] = new_RHNK
            else:
                rows_R1 = torch.arange(self.rows, device=self.lengths.device).unsqueeze(1)
                whole_RHSK[rows_R1, :, step.slots_RN] = new_RHNK.transpose(1, 2).to(self.dtype)
        return tuple(whole_RHSK[:, :, : step.num_slots] for whole_RHSK in stored)

    def end(self, step):
        """Count the new tokens in, after the last layer has written them."""
        num_tokens = step.positions_RN.shape[1]
        self.lengths = self.lengths + (num_tokens if step.num_new_R is None else step.num_new_R)
        self.longest += num_tokens
        if step.num_new_R is not None:
            self._tighten()

    def keep(self, index):
        """Make row i what row ``index[i]`` was: drops finished rows, repeats prompts, reorders beams.

        Args:
            index: int64, any length >= 1, values in [0, rows).
        """
        index = index.to(self.lengths.device)
        num_rows = len(index)
        if num_rows > self._stored_rows:
            old = list(self._all_stored())
            self._stored_rows, self._spare = num_rows, None
            self._buffers = [[self._buffer() for _ in buffers] for buffers in self._buffers]
            for new_RHSK, old_RHSK in zip(self._all_stored(), old, strict=True):
                torch.index_select(old_RHSK, 0, index, out=new_RHSK)
        else:
            moved = (index != torch.arange(num_rows, device=index.device)).nonzero().squeeze(1)
            if len(moved):
                self._move(index[moved], moved)
        self.lengths = self.lengths[index]
        self._tighten()

    def copy_rows(self, rows, other):
        """Put the rows of another cache of the same network into rows of this one.

        Args:
            rows: int64 ``(other.rows,)``, where each goes.
            other: a cache with at most this one's capacity in use.
        """
        used = other.longest
        if used > self.capacity:
            raise ValueError(f"{used} tokens do not fit into {self.capacity} slots")
        self._lay_out(_round_up(used))
        for own_RHSK, other_RHSK in zip(self._all_stored(), other._all_stored(), strict=True):
            own_RHSK[rows, :, :used] = other_RHSK[: other.rows, :, :used]
        self.lengths[rows] = other.lengths
        self.longest = max(self.longest, used)

    def reserve(self, capacity):
        """Make room for ``capacity`` tokens per row; at least doubles, so that growing costs little."""
        if capacity <= self.capacity:
            return
        most = _round_up(self._n_positions)
        old = [[self._view(buffer, self.rows) for buffer in buffers] for buffers in self._buffers]
        self.capacity = max(_round_up(capacity), min(2 * self.capacity, most))
        self._stored_rows, self._spare = self.rows, None
        num_old = self._slots
        if not self._on_cpu:
            self._slots = self.capacity
        for buffers, olds in zip(self._buffers, old, strict=True):
            for layer, old_RHSK in enumerate(olds):
                buffers[layer] = self._buffer()
                new_RHSK = self._view(buffers[layer])
                new_RHSK[:, :, :num_old] = old_RHSK
                new_RHSK[:, :, num_old:] = 0

    def _move(self, sources, targets):
        used = self.longest
        for stored_RHSK in self._all_stored():  # by layer: the temporary copy stays small
            stored_RHSK[targets, :, :used] = stored_RHSK[sources, :, :used]

    def _tighten(self):
        # On a GPU reading the longest length would wait for the device; the bound is good enough there.
        if self._on_cpu:
            self.longest = int(self.lengths.max())


def _round_up(number):
    return -(-number // _SLOTS) * _SLOTS
