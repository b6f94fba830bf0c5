"""Keys and values of the beginning of a text, taken out of a cache so that other slots can go on from there.

Legend: L layers, 2 keys and values, H heads, T tokens, K width of a head.

A prefix holds only what follows the prefix it begins with: texts that part late share nearly everything.
"""

import weakref
from dataclasses import dataclass

import torch

from fairseq_plugin.core.kv_cache import KVCache


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
        found = Prefix(parent, torch.stack(parts), length)
        self._num_bytes += num_bytes
        weakref.finalize(found, self._give_back, num_bytes)
        return found

    def _give_back(self, num_bytes: int) -> None:
        self._num_bytes -= num_bytes


def put(prefix: Prefix, cache: KVCache, slot: int) -> None:
    """Let a slot's text begin with a prefix; its length is the caller's to set."""
    cache.lay_out(prefix.length)
    parts = prefix.parts()
    whole_2LHTK = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    for stored_SHPK, kept_HTK in zip(cache.stored(), whole_2LHTK, strict=True):
        stored_SHPK[slot, :, : prefix.length] = kept_HTK
