"""Keys and values of the beginning of a text, taken out of a cache so that other slots can go on from there.

Legend: L layers, 2 keys and values, H heads, T tokens, K width of a head,
N prefixes, X tokens of all of them.

A prefix holds only what follows the prefix it begins with: texts that part late share nearly everything.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fairseq_plugin.core.kv_cache import KVCache

# Tokens copied into a cache together on a GPU: of GPT-2 124M 150 MB in bfloat16.
_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Prefix:
    """The first ``length`` tokens of a text.

    Args:
        parent: the shorter prefix that it goes on from.
        part_2LHTK: keys and values of the tokens after it; the first index runs over keys and values of all
            layers, as :meth:`KVCache.stored` does.
        length: tokens, the parent's included.
    """

    parent: "Prefix | None"
    part_2LHTK: torch.Tensor
    length: int

    def parts(self) -> list[torch.Tensor]:
        """The parts of the whole text, the first one first."""
        found, prefix = [], self
        while prefix is not None:
            found.append(prefix.part_2LHTK)
            prefix = prefix.parent
        return found[::-1]


class PrefixStore:
    """Takes prefixes out of a cache as long as they fit into memory; what nobody refers to any more is gone.

    Args:
        most_bytes: of all prefixes together; prompts are counted and never refused.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._num_bytes = most_bytes, 0

    def take(self, cache: KVCache, slot: int, length: int, parent: Prefix | None = None) -> Prefix | None:
        """The first tokens of a slot's text.

        Args:
            cache: where they have been read.
            slot: whose text.
            length: how many tokens; more than the parent's.
            parent: what the slot's text is known to begin with.

        Returns:
            ``None`` where there is no room for more.
        """
        start = parent.length if parent else 0
        parts = [stored_SHPK[slot, :, start:length] for stored_SHPK in cache.stored()]
        num_bytes = len(parts) * parts[0].numel() * parts[0].element_size()
        if parent and self._num_bytes + num_bytes > self._most_bytes:
            return None
        return self._keep(Prefix(parent, torch.stack(parts), length))

    def take_all(
        self, cache: KVCache, slots: Sequence[int], lengths: Sequence[int], parents: Sequence[Prefix]
    ) -> list[Prefix | None]:
        """:meth:`take` for several slots; on a GPU without a launch per layer of each."""
        if cache.lengths.device.type == "cpu":
            each = zip(slots, lengths, parents, strict=True)
            return [self.take(cache, slot, length, parent) for slot, length, parent in each]
        at_once = max(_TOKENS_AT_ONCE // max(lengths, default=1), 1)
        found: list[Prefix | None] = []
        for start in range(0, len(slots), at_once):
            some = slice(start, start + at_once)
            found += self.take_together(cache, slots[some], lengths[some], parents[some])
        return found

    def take_together(
        self, cache: KVCache, slots: Sequence[int], lengths: Sequence[int], parents: Sequence[Prefix]
    ) -> list[Prefix | None]:
        """:meth:`take_all` with one copy per layer for all of them."""
        starts = [parent.length for parent in parents]
        slot_X, place_X = _places(slots, starts, lengths, cache.lengths.device)
        parts = [stored_SHPK[slot_X, :, place_X] for stored_SHPK in cache.stored()]
        whole_2LXHK = torch.stack(parts)
        counts = [length - start for start, length in zip(starts, lengths, strict=True)]
        found: list[Prefix | None] = []
        for part, length, parent in zip(whole_2LXHK.split(counts, 1), lengths, parents, strict=True):
            has_room = self._num_bytes + part.numel() * part.element_size() <= self._most_bytes
            # A copy of its own: it may live longer than its neighbours.
            kept = part.transpose(1, 2).clone(memory_format=torch.contiguous_format) if has_room else None
            found.append(None if kept is None else self._keep(Prefix(parent, kept, length)))
        return found

    def _keep(self, found: Prefix) -> Prefix:
        num_bytes = found.part_2LHTK.numel() * found.part_2LHTK.element_size()
        self._num_bytes += num_bytes
        weakref.finalize(found, self._give_back, num_bytes)
        return found

    def _give_back(self, num_bytes: int) -> None:
        self._num_bytes -= num_bytes


def put(prefixes: Sequence[Prefix], cache: KVCache, slots: Sequence[int]) -> None:
    """Let slots' texts begin with prefixes; their lengths are the caller's to set.

    On a CPU one after the other, which moves whole runs of numbers. A GPU would wait for the launch of a
    copy per layer of each: there many are put together first.
    """
    longest = max(prefix.length for prefix in prefixes)
    cache.lay_out(longest)
    if cache.lengths.device.type == "cpu":
        for prefix, slot in zip(prefixes, slots, strict=True):
            _put_one(prefix, cache, slot)
        return
    at_once = max(_TOKENS_AT_ONCE // longest, 1)
    for start in range(0, len(slots), at_once):
        some = slice(start, start + at_once)
        put_together(prefixes[some], cache, slots[some])


def _put_one(prefix: Prefix, cache: KVCache, slot: int) -> None:
    parts = prefix.parts()
    whole_2LHTK = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    for stored_SHPK, kept_HTK in zip(cache.stored(), whole_2LHTK, strict=True):
        stored_SHPK[slot, :, : prefix.length] = kept_HTK


def put_together(prefixes: Sequence[Prefix], cache: KVCache, slots: Sequence[int]) -> None:
    """:func:`put` with one copy per layer for all of them; the cache has the room laid out."""
    parts = [part_2LHTK for prefix in prefixes for part_2LHTK in prefix.parts()]
    whole_2LHXK = torch.cat(parts, dim=2)
    lengths = [prefix.length for prefix in prefixes]
    slot_X, place_X = _places(slots, [0] * len(slots), lengths, whole_2LHXK.device)
    for stored_SHPK, kept_HXK in zip(cache.stored(), whole_2LHXK, strict=True):
        stored_SHPK[slot_X, :, place_X] = kept_HXK.transpose(0, 1)


def _places(
    slots: Sequence[int], starts: Sequence[int], ends: Sequence[int], device: torch.device
) -> torch.Tensor:
    """Slot and position of the tokens of several slots from a start to an end, one behind the other; int64
    ``(2, X)``."""
    start_N, end_N = torch.tensor(starts), torch.tensor(ends)
    counts_N = end_N - start_N
    first_N = counts_N.cumsum(0) - counts_N
    slot_X = torch.tensor(slots).repeat_interleave(counts_N)
    place_X = torch.arange(len(slot_X)) + (start_N - first_N).repeat_interleave(counts_N)
    return torch.stack([slot_X, place_X]).to(device)
