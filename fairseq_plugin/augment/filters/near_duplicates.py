"""Texts that are almost the same: near-duplicates among samples, near-copies of real sentences.

Two texts are as near as the share of their character 4-grams that they have in common (Jaccard: the common
ones by all of either), without regard to case and spacing; it needs no words, so it serves every language.
MinHash (Broder 1997; the package ``rensa``) proposes pairs, the share itself decides: nothing is rejected by
chance. Of the pairs at the threshold at most 1 in 100 is missed, of nearer ones fewer.

Shape legend: N texts of a batch, H hashes of a signature, B bands of it, S hashes of a band.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  (in Rust, without stubs)

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.text_filters import SPLIT_NAMES, SPLITS
from fairseq_plugin.reports.display import percent
from fairseq_plugin.text.words import folded_key

# Of real held-out sentences this share stands in train almost as it is: 0 % of SST-2's 872, 1.6 % of ATIS's
# 893, 0 % of the embedded reviews' 600. At 0.8 it is 0, 2.8 and 0.3 %, and pairs such as "hated this book"
# and "hated this biography" begin to count.
NEAR = 0.85
LEAST_NEAR = 0.5  # below, unlike texts share so many bands that finding them takes as long as comparing all

_NUM_HASHES = 128
_SEED = 1  # of MinHash; it decides which few pairs are missed
_GRAM = 4  # characters
_MISSED = 0.01  # most pairs at the threshold that are not proposed
_CHUNK = 8192  # real texts that are added at once
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio: multiples of it are spread evenly


def shingles(text: str) -> frozenset[str]:
    """The character 4-grams of a text, one space before and after it.

    >>> sorted(shingles("A  cat"))
    [' a c', 'a ca', 'cat ']
    """
    # Half of a surrogate pair has no UTF-8 form, which rensa needs.
    folded = f" {folded_key(text)} ".encode("utf-8", "replace").decode("utf-8")
    return frozenset(folded[start : start + _GRAM] for start in range(max(1, len(folded) - _GRAM + 1)))


def nearness(first: frozenset[str], second: frozenset[str]) -> float:
    """Share of the shingles of both that both have, in [0, 1]."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def band_size(threshold: float) -> int:
    """Hashes of a band: as many as leave at most 1 % of the pairs at the threshold unproposed."""
    # A band of such a pair is equal with probability threshold^size; a pair is missed if none of them is.
    missed = {size: (1 - threshold**size) ** (_NUM_HASHES // size) for size in range(1, 17)}
    return max(size for size, share in missed.items() if share <= _MISSED)


@dataclass(frozen=True)
class Signed:
    """Some texts, their shingles, and their MinHash signatures, ``(N, H)``."""

    texts: Sequence[str]
    grams: list[frozenset[str]]
    signatures_NH: NDArray[np.uint64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Signed":
        """Sign texts."""
        grams = [shingles(text) for text in texts]
        signatures = RMinHash.digests_from_token_sets(list(map(list, grams)), _NUM_HASHES, _SEED)
        return cls(texts, grams, np.array(signatures, dtype=np.uint64).reshape(len(texts), _NUM_HASHES))

    def take(self, numbers: Sequence[int]) -> "Signed":
        """Those at some places."""
        texts, grams = [self.texts[n] for n in numbers], [self.grams[n] for n in numbers]
        return Signed(texts, grams, self.signatures_NH[list(numbers)])


class NearTexts:
    """Texts, and which of them others are near to. About 250 bytes a text, besides the text.

    Args:
        threshold: least :func:`nearness`, in [0.5, 1].
    """

    def __init__(self, threshold: float) -> None:
        self._threshold, self._size = threshold, band_size(threshold)
        self._texts: list[str] = []
        self._bands = _Bands()

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, texts: Sequence[str]) -> None:
        """Take texts in, near to one another or not."""
        for start in range(0, len(texts), _CHUNK):
            some = Signed.of(texts[start : start + _CHUNK])
            self._bands.add(self._keys(some, [0] * len(some.texts)), len(self))
            self._texts += some.texts

    def first_near(self, signed: Signed) -> list[int | None]:
        """For each text the number of the first one taken in that it is near to; None: there is none."""
        proposed = self._bands.find(self._keys(signed, [0] * len(signed.texts)))
        return [self._first(own, places) for own, places in zip(signed.grams, proposed, strict=True)]

    def take_in(self, signed: Signed, groups: Sequence[int]) -> list[bool]:
        """Take in, one after the other, each text that is near to none taken in before of its group.

        Returns:
            Whether each was taken in.
        """
        keys_NB, before, taken = self._keys(signed, groups), len(self), []
        earlier, here = self._bands.find(keys_NB), {}
        found, counts = np.unique(keys_NB, return_counts=True)
        repeated_NB = np.isin(keys_NB, found[counts > 1])  # few, so the loop looks at these alone
        for number, (text, own) in enumerate(zip(signed.texts, signed.grams, strict=True)):
            keys = keys_NB[number][repeated_NB[number]].tolist()
            proposed = [*earlier[number], *(place for key in keys for place in here.get(key, ()))]
            taken.append(self._first(own, proposed) is None)
            if taken[-1]:
                for key in keys:
                    here.setdefault(key, []).append(len(self))
                self._texts.append(text)
        if any(taken):
            self._bands.add(keys_NB[np.array(taken)], before)
        return taken

    def _first(self, own: frozenset[str], proposed: Sequence[int]) -> int | None:
        return next((place for place in sorted(set(proposed)) if self._is_near(own, place)), None)

    def _is_near(self, own: frozenset[str], place: int) -> bool:
        return nearness(own, shingles(self._texts[place])) >= self._threshold

    def _keys(self, signed: Signed, groups: Sequence[int]) -> NDArray[np.uint64]:
        """A number for each band of each text: equal where its hashes and the group are, ``(N, B)``."""
        num_bands = _NUM_HASHES // self._size
        keys_NB = np.array(groups, dtype=np.uint64)[:, None] * np.uint64(num_bands)
        keys_NB = keys_NB + np.arange(num_bands, dtype=np.uint64)
        used_NH = signed.signatures_NH[:, : num_bands * self._size]
        hashes_NBS = used_NH.reshape(len(signed.texts), num_bands, self._size)
        for place in range(self._size):  # wraps at 2^64, as a hash may
            keys_NB = (keys_NB ^ hashes_NBS[:, :, place]) * _GOLDEN
            keys_NB ^= keys_NB >> np.uint64(29)
        return keys_NB


class _Bands:
    """Keys, and the places that they stand for, in sorted runs: 12 bytes for each pair.

    A run is merged with the one before it unless that is much longer, so there are few. (rensa's own index
    takes 1 GB for 800,000 texts, these 154 MB.)
    """

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.uint32]]] = []

    def add(self, keys_NB: NDArray[np.uint64], first: int) -> None:
        """The keys of the N texts stand for the places ``first``, ``first + 1``, ..."""
        num_texts, num_bands = keys_NB.shape
        places = np.arange(first, first + num_texts, dtype=np.uint32)
        run = keys_NB.ravel(), np.repeat(places, num_bands)
        while self._runs and len(self._runs[-1][0]) <= 2 * len(run[0]):
            keys, places = self._runs.pop()
            run = np.concatenate([keys, run[0]]), np.concatenate([places, run[1]])
        order = np.argsort(run[0], kind="stable")
        self._runs.append((run[0][order], run[1][order]))

    def find(self, keys_NB: NDArray[np.uint64]) -> list[list[int]]:
        """The places of each text's keys; a place is there once for each."""
        found: list[list[int]] = [[] for _ in keys_NB]
        keys, num_bands = keys_NB.ravel(), keys_NB.shape[1]
        for run, places in self._runs:
            starts, ends = np.searchsorted(run, keys, side="left"), np.searchsorted(run, keys, side="right")
            for hit in np.nonzero(starts < ends)[0].tolist():
                found[hit // num_bands] += places[starts[hit] : ends[hit]].tolist()
        return found


class NearDuplicates:
    """Rejects near-copies of real sentences, and near-duplicates of samples that passed before.

    A near-copy counts under any label: it would leak, or contradict the real sentence. A near-duplicate
    counts within its label alone: the few letters between "a good film" and "a bad film" may be what matters.

    Args:
        real: split -> its texts; only splits whose near-copies shall go.
        threshold: least :func:`nearness`, in [0.5, 1].
    """

    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, real: Mapping[str, Sequence[str]], threshold: float = NEAR) -> None:
        self._real, self._passed = NearTexts(threshold), NearTexts(threshold)
        self._splits: list[str] = []  # of each real text
        for split in SPLITS:
            self._real.add(real.get(split, ()))
            self._splits += [split] * len(real.get(split, ()))
        share = f"{percent(threshold, 0)} of their character 4-grams are the same"
        self.reasons: Mapping[str, str] = {
            f"near_copy_of_{split}": f"is almost a sentence of {SPLIT_NAMES[split]}: {share}"
            for split in SPLITS
        } | {"near_duplicate": f"is almost an earlier sample of its label: {share}"}

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        signed = Signed.of([candidate.text for candidate in candidates])
        copied = self._real.first_near(signed)
        verdicts = [None if place is None else f"near_copy_of_{self._splits[place]}" for place in copied]
        rest = [number for number, verdict in enumerate(verdicts) if verdict is None]
        taken = self._passed.take_in(signed.take(rest), [candidates[number].label for number in rest])
        for number, passes in zip(rest, taken, strict=True):
            verdicts[number] = None if passes else "near_duplicate"
        return verdicts
