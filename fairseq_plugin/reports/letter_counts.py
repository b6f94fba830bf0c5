"""How well a text is told by counts of a few characters in a row: the rival that makes a model's loss mean
something.

Characters given those before them (Witten and Bell 1991, method C): counts, mixed with those of fewer
characters as far as a context is rare:

    p(c | x) = (count(x c) + kinds(x) p(c | x without its first)) / (count(x) + kinds(x))

with kinds(x) the number of different characters seen after x. A character that was never seen costs 8 bits
for each byte of its UTF-8. Every text has an end, which is told like a character.

Legend: P positions: all characters and ends of all texts, one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_END = 0x110000  # behind the last code point of Unicode


@dataclass(frozen=True)
class _Positions:
    """Characters and ends of texts.

    Attributes:
        code_P: code points; :data:`_END` for an end.
        place_P: in its own text, from 0.
        text_P: number of its text.
    """

    code_P: NDArray[np.int64]
    place_P: NDArray[np.int64]
    text_P: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Positions":
        """Lay texts out."""
        sizes = np.array([len(text) + 1 for text in texts], dtype=np.int64)
        joined = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        code_P = np.insert(joined.astype(np.int64), np.cumsum(sizes - 1), _END)
        starts = np.cumsum(sizes) - sizes
        text_P = np.repeat(np.arange(len(texts)), sizes)
        return cls(code_P, np.arange(len(code_P)) - starts[text_P], text_P)


def letter_bits(train: Sequence[str], held: Sequence[str], before: int) -> NDArray[np.float64]:
    """What texts cost under the counts of others, in time linear in both but for sorting.

    Args:
        train: texts to count in, at least one.
        held: texts to tell, at least one.
        before: characters before the one that is told, >= 0: 4 for counts of five in a row.

    Returns:
        Bits of each held text and its end, ``(len(held),)``, >= 0.
    """
    positions = _Positions.of([*train, *held])
    bits_P = -np.log2(_probabilities(positions, len(train), before))
    is_held_P = positions.text_P >= len(train)
    number_P = positions.text_P[is_held_P] - len(train)
    return np.bincount(number_P, weights=bits_P[is_held_P], minlength=len(held)).astype(np.float64)


def _probabilities(positions: _Positions, num_train: int, before: int) -> NDArray[np.float64]:
    """p of each position, ``(P,)``, by the counts of the first ``num_train`` texts."""
    is_train_P = positions.text_P < num_train
    _, code_P = np.unique(positions.code_P, return_inverse=True)
    num_codes = int(code_P.max()) + 1
    p_P = 256.0 ** -_bytes(positions.code_P)
    context_P = np.zeros(len(code_P), dtype=np.int64)
    told_P = np.ones(len(code_P), dtype=bool)  # the contexts so far were seen
    for length in range(before + 1):
        inside_P = positions.place_P >= length
        pairs, pair_P = np.unique(context_P * num_codes + code_P, return_inverse=True)
        num_contexts = int(context_P.max()) + 1
        counted_P = is_train_P & inside_P
        count_of_pair = np.bincount(pair_P[counted_P], minlength=len(pairs))
        context_of_pair = pairs // num_codes
        total = np.bincount(context_of_pair, weights=count_of_pair, minlength=num_contexts)
        kinds = np.bincount(context_of_pair, weights=count_of_pair > 0, minlength=num_contexts)
        told_P &= inside_P & (total[context_P] > 0)
        kinds_P = kinds[context_P]
        mixed_P = (count_of_pair[pair_P] + kinds_P * p_P) / np.maximum(total[context_P] + kinds_P, 1)
        p_P = np.where(told_P, mixed_P, p_P)
        # One character longer: the context of a position is what its neighbour's pair was.
        context_P = np.concatenate([[0], pair_P[:-1]])
    return p_P


def _bytes(code_P: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bytes of each character in UTF-8; an end is one."""
    sizes = np.digitize(code_P, [0x80, 0x800, 0x10000]) + 1.0
    return np.where(code_P == _END, 1.0, sizes)
