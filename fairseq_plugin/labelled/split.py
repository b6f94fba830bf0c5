"""A held-out part that shares no sentence with the training part."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.source import Row
from fairseq_plugin.text.words import folded_key


def hold_out(rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Split rows, stratified by label; the same sentence is never on both sides.

    Rows with the same sentence (compared without case and with single spaces) move together, also
    when their labels differ. Which sentences are held out depends only on the seed and their own
    text, not on the order of rows.

    Args:
        rows: in any order.
        fraction: share of each label's rows to hold out, 0 < fraction < 1; at least one sentence
            of each label stays in training, and the whole part holds at least one row.
        seed: of the choice.

    Returns:
        ``(train, held_out)``, both in the order of ``rows``.
    """
    if not 0 < fraction < 1:
        raise UserError(f"--held-out {fraction} must be larger than 0 and smaller than 1")
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[sentence_key(row.text)].append(index)
    by_label: dict[str, list[tuple[bytes, list[int]]]] = defaultdict(list)
    for key, members in groups.items():
        by_label[min(rows[index].label for index in members)].append((_order(seed, key), members))
    held: set[int] = set()
    for candidates in by_label.values():
        candidates.sort()
        wanted = fraction * sum(len(members) for _, members in candidates)
        taken = 0
        for _, members in candidates[:-1]:  # the last one stays, whatever the fraction
            if taken + len(members) / 2 > wanted:
                break
            held.update(members)
            taken += len(members)
    if not held:
        raise UserError(
            f"--held-out {fraction} of {len(rows)} rows is not one row; raise it, or give --valid"
        )
    return (
        [row for index, row in enumerate(rows) if index not in held],
        [row for index, row in enumerate(rows) if index in held],
    )


def sentence_key(text: str) -> str:
    """What makes two sentences the same one: no case, single spaces, no outer whitespace."""
    return folded_key(text)


def _order(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()
