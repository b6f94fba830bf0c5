"""Keys and values of tokens already read, so that each new token costs one token and not its whole past.

Legend: L layers, S slots (one per sample being decoded), H heads, P positions (capacity), N new tokens per
slot, A positions attended to, K width of a head.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

# Attention always spans a multiple of this many positions; the rest is masked. A sample's result then
# does not depend on how long the other samples are: BLAS sums the same numbers in the same order, and exact
# zeros.
_BLOCK = 32
# Below this width of a head, 32 positions are so small a product that BLAS takes another kernel for it than
# for more positions, with other last bits: there the least is two blocks.
_NARROW_HEAD = 32


class CacheSizes(Protocol):
    """What a cache has to know of a network: a :class:`~fairseq_plugin.core.gpt2.GPT2Config` does."""

    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int


@dataclass
class Step:
    """One forward pass's place in the cache, worked out once and used by every layer.

    Args:
        positions_SN: the position in the text of every new token.
        places_SN: where every new token is stored; but for :meth:`KVCache.branch`, its position.
        rows_X: int64, where each new token's keys (and values) of each head are stored, as rows of the whole
            layer seen as ``(slots * heads * positions, K)``; ``None`` where ``start`` is known.
        start: where every slot's first new token is stored, if that is known to be the same; else ``None``.
        num_new_S: new tokens of each slot that count; the others are padding on the right.
        num_attended: A, how many positions the new tokens look at.
        mask_S1NA: 0 where a new token may look, -inf elsewhere.
    """

    positions_SN: torch.Tensor
    places_SN: torch.Tensor
    start: int | None
    rows_X: torch.Tensor | None
    num_new_S: torch.Tensor | None
    num_attended: int
    mask_S1NA: torch.Tensor


class KVCache:
    """Preallocated keys and values for samples of different lengths, each in a slot of its own.

    Positions at and beyond a sample's length hold leftovers (finite numbers) that are masked and later
    overwritten.

    On a CPU only the blocks of positions in use are laid out, one behind the other, and laid out anew when
    the samples need another block: the products over them then need no copy, which otherwise takes several
    times as long as the products themselves. On a GPU all positions are laid out from the start.

    Args:
        config: the network's sizes.
        num_slots: number of samples.
        capacity: most tokens per sample; rounded up to a multiple of 32.
        device, dtype: of keys and values; give the network's ``compute_dtype``.

    Attributes:
        lengths: int64 ``(num_slots,)``, tokens held in each slot.
        longest: a number on the host that no slot's length exceeds.
        capacity: positions per slot.
        dtype: of keys and values.
    """

    def __init__(
        self,
        config: CacheSizes,
        num_slots: int,
        capacity: int,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if num_slots < 1 or capacity < 1:
            raise ValueError(
                f"a cache needs at least one slot and one position, not {num_slots} and {capacity}"
            )
        self._num_heads, self._head_width = config.n_head, config.n_embd // config.n_head
        self._least = 2 * _BLOCK if self._head_width < _NARROW_HEAD else _BLOCK
        self._n_positions = config.n_positions
        self.capacity, self.dtype = max(_round_up(capacity), self._least), dtype
        self.lengths = torch.zeros(num_slots, dtype=torch.int64, device=device)
        self.longest = 0
        self._stored_slots = num_slots
        self._laid_out = self._least if self._on_cpu else self.capacity
        # By layer, and for keys and values; the spare takes part in laying them out anew, one after the
        # other.
        self._buffers = [[self._buffer() for _ in range(config.n_layer)] for _ in range(2)]
        self._spare: torch.Tensor | None = None
        for stored_SHPK in self.stored():
            stored_SHPK.zero_()

    @property
    def num_slots(self) -> int:
        return len(self.lengths)

    @property
    def _on_cpu(self) -> bool:
        return self.lengths.device.type == "cpu"

    def _buffer(self) -> torch.Tensor:
        size = self._stored_slots * self._num_heads * self.capacity * self._head_width
        return torch.empty(size, device=self.lengths.device, dtype=self.dtype)

    def _view(
        self, buffer: torch.Tensor, num_slots: int | None = None, num_positions: int | None = None
    ) -> torch.Tensor:
        num_slots, num_positions = num_slots or self._stored_slots, num_positions or self._laid_out
        shape = (num_slots, self._num_heads, num_positions, self._head_width)
        return buffer[: math.prod(shape)].view(shape)

    def stored(self) -> Iterator[torch.Tensor]:
        """The positions laid out, as ``(slots, H, positions, K)``: each layer's keys, then each layer's
        values."""
        return (self._view(buffer) for buffers in self._buffers for buffer in buffers)

    def lay_out(self, num_positions: int) -> None:
        """Make room for so many positions in use, zeros in the new ones: 0 x leftover must not be 0 x NaN."""
        num_positions = _round_up(num_positions)
        if num_positions <= self._laid_out:
            return
        self._spare = self._buffer() if self._spare is None else self._spare
        for buffers in self._buffers:
            for layer, buffer in enumerate(buffers):
                new_SHPK = self._view(self._spare, self.num_slots, num_positions)
                new_SHPK[:, :, : self._laid_out] = self._view(buffer, self.num_slots)
                new_SHPK[:, :, self._laid_out :] = 0
                buffers[layer], self._spare = self._spare, buffer
        self._laid_out, self._stored_slots = num_positions, self.num_slots

    def begin(self, num_tokens: int, lengths_S: torch.Tensor | None = None) -> Step:
        """Find the place of ``num_tokens`` new tokens per slot.

        Args:
            num_tokens: N.
            lengths_S: int64 ``(num_slots,)`` in [0, N], how many of them count in each slot; all, if left
                out.

        Raises:
            ValueError: no room.
        """
        num_attended = self.room(num_tokens)
        new_N = torch.arange(num_tokens, device=self.lengths.device)
        positions_SN = self.lengths.unsqueeze(1) + new_N
        return self._follow(positions_SN, lengths_S, num_attended, self._common_start())

    def begin_at(self, lengths_S: torch.Tensor, num_attended: int) -> Step:
        """:meth:`begin` for one token per slot, without a question to the device: it may be recorded.

        Args:
            lengths_S: tokens held in each slot, instead of the cache's own count.
            num_attended: an answer of :meth:`room`; more than any of the lengths.
        """
        return self._follow(lengths_S.unsqueeze(1), None, num_attended, None)

    def _follow(
        self, positions_SN: torch.Tensor, num_new_S: torch.Tensor | None, num_attended: int, start: int | None
    ) -> Step:
        """A step whose tokens follow each other."""
        places_A = torch.arange(num_attended, device=positions_SN.device)
        mask_S1NA = self._mask(places_A > positions_SN.unsqueeze(2))
        return self._step(positions_SN, positions_SN, num_new_S, num_attended, mask_S1NA, start)

    def branch(self, num_tokens: int) -> Step:
        """Find the place of ``num_tokens`` alternatives for each slot's next token.

        They all have the same position, see the slot's past and themselves, and not each other: a forward
        pass reads them as if each followed the slot's text alone. :meth:`choose` keeps one of them.

        Raises:
            ValueError: no room for so many.
        """
        num_attended = self.room(num_tokens)
        past_S1 = self.lengths.unsqueeze(1)
        places_SN = past_S1 + torch.arange(num_tokens, device=self.lengths.device)
        places_A = torch.arange(num_attended, device=self.lengths.device)
        seen_SNA = (places_A < past_S1.unsqueeze(2)) | (places_A == places_SN.unsqueeze(2))
        positions_SN, mask_S1NA = past_S1.expand(-1, num_tokens), self._mask(~seen_SNA)
        return self._step(positions_SN, places_SN, None, num_attended, mask_S1NA, self._common_start())

    def choose(self, step: Step, chosen_S: torch.Tensor) -> None:
        """After a forward pass over alternatives, make one of each slot's the slot's next token.

        Args:
            step: from :meth:`branch`.
            chosen_S: int64 ``(num_slots,)``, which.
        """
        slots_S = torch.arange(self.num_slots, device=self.lengths.device)
        sources_S = step.places_SN.gather(1, chosen_S.unsqueeze(1)).squeeze(1)
        for stored_SHPK in self.stored():
            stored_SHPK[slots_S, :, self.lengths] = stored_SHPK[slots_S, :, sources_S]
        self.lengths = self.lengths + 1
        self.longest += 1

    def room(self, num_tokens: int) -> int:
        """How many positions to look at with so many new tokens per slot; laid out where they are not yet."""
        needed = self.longest + num_tokens
        if needed > self.capacity:
            raise ValueError(f"the cache has {self.capacity} positions per slot; {needed} are needed")
        num_attended = max(_round_up(needed), self._least)
        self.lay_out(num_attended)
        # What is laid out is looked at as a whole on a CPU: a part of it would have to be copied.
        return self._laid_out if self._on_cpu else num_attended

    def _step(
        self,
        positions_SN: torch.Tensor,
        places_SN: torch.Tensor,
        num_new_S: torch.Tensor | None,
        num_attended: int,
        mask_S1NA: torch.Tensor,
        start: int | None,
    ) -> Step:
        rows_X = None
        if start is None:
            num_heads, device = self._num_heads, places_SN.device
            heads_SH = torch.arange(self.num_slots * num_heads, device=device).view(-1, num_heads)
            rows_X = (heads_SH.unsqueeze(2) * self._laid_out + places_SN.unsqueeze(1)).flatten()
        return Step(positions_SN, places_SN, start, rows_X, num_new_S, num_attended, mask_S1NA)

    def _common_start(self) -> int | None:
        if self.longest == 0:
            return 0
        if not self._on_cpu:  # the question would wait for the device
            return None
        first = self.lengths[0]
        return int(first) if bool((self.lengths == first).all()) else None

    def _mask(self, hidden_SNA: torch.Tensor) -> torch.Tensor:
        mask_SNA = torch.zeros(hidden_SNA.shape, dtype=self.dtype, device=hidden_SNA.device)
        return mask_SNA.masked_fill_(hidden_SNA, -math.inf).unsqueeze(1)

    def write(
        self, layer: int, step: Step, keys_SHNK: torch.Tensor, values_SHNK: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; return views of all that the new tokens look at."""
        stored = [self._view(buffers[layer])[: self.num_slots] for buffers in self._buffers]
        for whole_SHPK, new_SHNK in zip(stored, (keys_SHNK, values_SHNK), strict=True):
            if step.rows_X is None:
                start = step.start or 0
                whole_SHPK[:, :, start : start + new_SHNK.shape[2]] = new_SHNK
            else:  # whole rows of K numbers: many times as fast as indexing by slot and place
                new_XK = new_SHNK.reshape(-1, new_SHNK.shape[3]).to(self.dtype)
                whole_SHPK.view(-1, new_XK.shape[1]).index_copy_(0, step.rows_X, new_XK)
        keys_SHAK, values_SHAK = (whole_SHPK[:, :, : step.num_attended] for whole_SHPK in stored)
        return keys_SHAK, values_SHAK

    def end(self, step: Step) -> None:
        """Count the new tokens in, after the last layer has written them."""
        num_tokens = step.positions_SN.shape[1]
        self.lengths = self.lengths + (num_tokens if step.num_new_S is None else step.num_new_S)
        self.longest += num_tokens
        if step.num_new_S is not None:
            self._tighten()

    def keep(self, index: torch.Tensor) -> None:
        """Make slot i what slot ``index[i]`` was: drops finished samples, repeats prompts, reorders beams.

        Args:
            index: int64, any length >= 1, values in [0, num_slots).
        """
        index = index.to(self.lengths.device)
        num_slots = len(index)
        if num_slots > self._stored_slots:
            old = list(self.stored())
            self._stored_slots, self._spare = num_slots, None
            self._buffers = [[self._buffer() for _ in buffers] for buffers in self._buffers]
            for new_SHPK, old_SHPK in zip(self.stored(), old, strict=True):
                torch.index_select(old_SHPK, 0, index, out=new_SHPK)
        else:
            moved = (index != torch.arange(num_slots, device=index.device)).nonzero().squeeze(1)
            if len(moved):
                self._move(index[moved], moved)
        self.lengths = self.lengths[index]
        self._tighten()

    def resize(self, num_slots: int) -> None:
        """Use more of the slots that the cache was made with, the new ones empty, or fewer.

        Args:
            num_slots: at most as many as the cache had when it was made.
        """
        have = self.num_slots
        self._stored_slots = max(self._stored_slots, num_slots)
        if num_slots > have:
            for stored_SHPK in self.stored():
                stored_SHPK[have:num_slots] = 0  # 0 x leftover must not be 0 x NaN
        self.lengths = torch.nn.functional.pad(self.lengths, (0, num_slots - have))
        self._tighten()

    def copy_slots(self, slots: torch.Tensor, other: "KVCache") -> None:
        """Put the samples of another cache of the same network into slots of this one.

        Args:
            slots: int64 ``(other.num_slots,)``, where each goes.
            other: a cache with at most this one's capacity in use.
        """
        used = other.longest
        if used > self.capacity:
            raise ValueError(f"{used} tokens do not fit into {self.capacity} positions")
        self.lay_out(used)
        for own_SHPK, other_SHPK in zip(self.stored(), other.stored(), strict=True):
            own_SHPK[slots, :, :used] = other_SHPK[: other.num_slots, :, :used]
        self.lengths[slots] = other.lengths
        self.longest = max(self.longest, used)

    def reserve(self, capacity: int) -> None:
        """Make room for ``capacity`` tokens per slot; at least doubles, so that growing costs little."""
        if capacity <= self.capacity:
            return
        most = _round_up(self._n_positions)
        old = [[self._view(buffer, self.num_slots) for buffer in buffers] for buffers in self._buffers]
        self.capacity = max(_round_up(capacity), min(2 * self.capacity, most))
        self._stored_slots, self._spare = self.num_slots, None
        num_old = self._laid_out
        if not self._on_cpu:
            self._laid_out = self.capacity
        for buffers, olds in zip(self._buffers, old, strict=True):
            for layer, old_SHPK in enumerate(olds):
                buffers[layer] = self._buffer()
                new_SHPK = self._view(buffers[layer])
                new_SHPK[:, :, :num_old] = old_SHPK
                new_SHPK[:, :, num_old:] = 0

    def _move(self, sources: torch.Tensor, targets: torch.Tensor) -> None:
        used = self.longest
        for stored_SHPK in self.stored():  # by layer: the temporary copy stays small
            stored_SHPK[targets, :, :used] = stored_SHPK[sources, :, :used]

    def _tighten(self) -> None:
        # On a GPU reading the longest length would wait for the device; the bound is good enough there.
        if self._on_cpu:
            self.longest = int(self.lengths.max())


def _round_up(number: int) -> int:
    return -(-number // _BLOCK) * _BLOCK
