"""How a model is trained on a labelled set of a given size, and what to say before minutes are spent.

The figures come from ``benchmarks/training_defaults.py``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# One update reads four batches of 512 tokens, padding included; with fewer the end token comes too rarely.
BATCH_TOKENS, BATCHES_PER_UPDATE = 512, 4
_PADDING = 1.2  # of batches sorted by length
# From scratch: 1.6 million tokens, but no more updates than the longest useful training of a small set.
_TOKENS, _UPDATES = 1_600_000, 800
_LEAST_EPOCHS = 3
_VALIDATIONS = 40  # of a training that runs to its end; each costs about as much as ten small updates
_PATIENCE = 8
# Fewer examples per label than this, and a model from scratch has not enough to learn a language from.
FEW, VERY_FEW = 300, 50


@dataclass(frozen=True)
class Plan:
    """Flags of a training.

    Attributes:
        epochs: most passes over the training set.
        interval: epochs between two validations.
        patience: validations without improvement after which the training stops.
        lr, warmup, dropout: as fairseq's flags.
        arch: named architecture.
        warnings: lines for the person, before anything is trained.
    """

    epochs: int
    interval: int
    patience: int
    lr: float
    warmup: int
    dropout: float
    arch: str
    warnings: tuple[str, ...] = ()


def plan(
    num_tokens: int, examples_per_label: Sequence[int], is_pretrained: bool, epochs: int | None = None
) -> Plan:
    """The plan for a training set.

    Args:
        num_tokens: of the training set, >= 1.
        examples_per_label: training examples of each label.
        is_pretrained: the training starts from a GPT-2 that knows the language.
        epochs: that the person asked for; None: by the size of the set.
    """
    updates_per_epoch = max(1, math.ceil(_PADDING * num_tokens / (BATCH_TOKENS * BATCHES_PER_UPDATE)))
    if epochs is None:
        epochs = max(_LEAST_EPOCHS, min(_TOKENS // num_tokens, math.ceil(_UPDATES / updates_per_epoch)))
    interval = max(1, round(epochs / _VALIDATIONS))
    updates = epochs * updates_per_epoch
    warmup = max(1, min(100, updates // 10))
    if is_pretrained:
        return Plan(epochs, interval, _PATIENCE, 5e-5, warmup, 0.1, "gpt2")
    is_small = _typical(examples_per_label) < FEW
    lr, dropout = (1e-3, 0.3) if is_small else (3e-3, 0.1)
    told = _warnings(_typical(examples_per_label))
    return Plan(epochs, interval, _PATIENCE, lr, warmup, dropout, "gpt2_tiny", told)


def vocabulary(num_bytes: int) -> int:
    """Size of a tokenizer trained on so much text: a token must be seen often enough to be learnt.

    >>> vocabulary(1_000), vocabulary(50_000), vocabulary(5_000_000)
    (300, 800, 2000)
    """
    return max(300, min(2000, num_bytes // 100 + 300))


def _typical(examples_per_label: Sequence[int]) -> int:
    """The median label."""
    ordered = sorted(examples_per_label)
    return ordered[len(ordered) // 2] if ordered else 0


def _warnings(typical: int) -> tuple[str, ...]:
    if typical >= FEW:
        return ()
    size = f"a typical label has {typical:,} training examples"
    if typical < VERY_FEW:
        return (
            f"WARNING: {size}. A model that knows no language cannot learn one from so few: expect broken "
            "sentences whose labels do not fit, and a verdict that says so. Start from a pretrained GPT-2 "
            "(--from GPT2_FOLDER; docs/training.md says how to fetch one), or collect more rows.",
        )
    return (
        f"WARNING: {size}. From scratch that gives sentences in the style of yours that are often broken. A "
        "pretrained GPT-2 (--from GPT2_FOLDER; docs/training.md says how to fetch one) does better; the "
        "verdict at the end tells.",
    )
