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
        positions_RN: the slot, and position in the text, of every new token.
        num_new_R: new tokens of each row that count; the others are padding on the right.
        num_slots: A, how many slots the new tokens look at.
        mask_R1NA: 0 where a new token may look, -inf elsewhere.
        at_start: the cache was empty before.
    """

    positions_RN: torch.Tensor
    num_new_R: torch.Tensor | None
    num_slots: int
    mask_R1NA: torch.Tensor
    at_start: bool


class KVCache:
    """Preallocated keys and values for a batch whose rows may be of different lengths.

    The token at position p of a row stands in slot p of that row. Slots at and beyond a row's length hold
    leftovers that are masked and later overwritten.

    Args:
        config: a :class:`~fairseq_plugin.core.gpt2.GPT2Config`.
        rows: number of texts.
        capacity: most tokens per text; rounded up to a multiple of 32.
        device, dtype: of keys and values; give the network's ``compute_dtype``.

    Attributes:
        lengths: int64 ``(rows,)``, tokens held for each row.
        longest: a number on the host that no row's length exceeds.
    """

    def __init__(self, config, rows, capacity, device=None, dtype=torch.float32):
        if rows < 1 or capacity < 1:
            raise ValueError(f"a cache needs at least one row and one slot, not {rows} and {capacity}")
        head_width = config.n_embd // config.n_head
        self._least = 2 * _SLOTS if head_width < _NARROW_HEAD else _SLOTS
        slots = max(_round_up(capacity), self._least)
        shape = (config.n_layer, rows, config.n_head, slots, head_width)
        self._n_positions = config.n_positions
        self.lengths = torch.zeros(rows, dtype=torch.int64, device=device)
        self.longest = 0
        # Zeros, not garbage: a masked slot contributes 0 x value, which must not be 0 x NaN.
        self._keys_LRHSK = torch.zeros(shape, device=device, dtype=dtype)
        self._values_LRHSK = torch.zeros(shape, device=device, dtype=dtype)

    @property
    def rows(self):
        return len(self.lengths)

    @property
    def capacity(self):
        return self._keys_LRHSK.shape[3]

    @property
    def dtype(self):
        return self._keys_LRHSK.dtype

    def begin(self, num_tokens, lengths_B=None):
        """Find the place of ``num_tokens`` new tokens per row.

        Args:
            num_tokens: N, columns of the new tokens.
            lengths_B: int64 ``(rows,)`` in [0, N], how many of them count in each row; all, if left out.

        Raises:
            ValueError: no room.
        """
        needed = self.longest + num_tokens
        if needed > self.capacity:
            raise ValueError(f"the cache has {self.capacity} slots per row; {needed} are needed")
        new_N = torch.arange(num_tokens, device=self.lengths.device)
        positions_RN = self.lengths.unsqueeze(1) + new_N
        num_slots = max(_round_up(needed), self._least)
        slots_A = torch.arange(num_slots, device=self.lengths.device)
        hidden_RNA = slots_A > positions_RN.unsqueeze(2)
        mask_RNA = torch.zeros(hidden_RNA.shape, dtype=self.dtype, device=hidden_RNA.device)
        mask_RNA.masked_fill_(hidden_RNA, -math.inf)
        return Step(positions_RN, lengths_B, num_slots, mask_RNA.unsqueeze(1), self.longest == 0)

    def write(self, layer, step, keys_RHNK, values_RHNK):
        """Store a layer's new keys and values; return views of all that the new tokens look at."""
        stored = self._keys_LRHSK[layer, : self.rows], self._values_LRHSK[layer, : self.rows]
        for whole_RHSK, new_RHNK in zip(stored, (keys_RHNK, values_RHNK), strict=True):
            if step.at_start:
                whole_RHSK[:, :, : new_RHNK.shape[2]] = new_RHNK
            else:
                rows_R1 = torch.arange(self.rows, device=self.lengths.device).unsqueeze(1)
                whole_RHSK[rows_R1, :, step.positions_RN] = new_RHNK.transpose(1, 2).to(self.dtype)
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
        num_rows, num_stored = len(index), self._keys_LRHSK.shape[1]
        if num_rows > num_stored:
            self._keys_LRHSK = self._keys_LRHSK.index_select(1, index)
            self._values_LRHSK = self._values_LRHSK.index_select(1, index)
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
        self._keys_LRHSK[:, rows, :, :used] = other._keys_LRHSK[:, : other.rows, :, :used]
        self._values_LRHSK[:, rows, :, :used] = other._values_LRHSK[:, : other.rows, :, :used]
        self.lengths[rows] = other.lengths
        self.longest = max(self.longest, used)

    def reserve(self, capacity):
        """Make room for ``capacity`` tokens per row; at least doubles, so that growing costs little."""
        if capacity <= self.capacity:
            return
        most = _round_up(self._n_positions)
        slots = max(_round_up(capacity), min(2 * self.capacity, most))
        for name in ("_keys_LRHSK", "_values_LRHSK"):
            old = getattr(self, name)[:, : self.rows]
            new = old.new_zeros(*old.shape[:3], slots, old.shape[4])
            new[:, :, :, : self.longest] = old[:, :, :, : self.longest]
            setattr(self, name, new)

    def _move(self, sources, targets):
        used = self.longest
        for stored_LRHSK in (self._keys_LRHSK, self._values_LRHSK):
            for stored_RHSK in stored_LRHSK:  # by layer: the temporary copy stays small
                stored_RHSK[targets, :, :used] = stored_RHSK[sources, :, :used]

    def _tighten(self):
        # On a GPU reading the longest length would wait for the device; the bound is good enough there.
        if self.lengths.device.type == "cpu":
            self.longest = int(self.lengths.max())


def _round_up(number):
    return -(-number // _SLOTS) * _SLOTS
