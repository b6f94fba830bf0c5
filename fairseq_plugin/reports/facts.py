"""Everything the report tells about an augmented set, computed in one place, drawn in another.

What is costly is counted on seeded subsets; their sizes are part of the facts and are on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.reports import statistics
from fairseq_plugin.reports.statistics import DistinctPair, Novelty, Words

NOVELTY_SENTENCES = 20_000  # sentences per side whose copied runs are measured
NEAREST_SENTENCES = 600  # sentences per side whose nearest training sentence is looked up
NEAREST_TRAIN = 200_000  # training sentences among which it is looked up
SHOWN = 5  # samples in each list

Examples = Sequence[tuple[int, str]]  # label index and text of each


@dataclass(frozen=True)
class Lengths:
    """Words per sentence, by side ("real", "synthetic").

    Attributes:
        edges: of the histogram's bars.
        shares: of sentences in each bar.
        median, mean: in words.
    """

    edges: list[int]
    shares: dict[str, list[float]]
    median: dict[str, int]
    mean: dict[str, float]


@dataclass(frozen=True)
class LabelDistinct:
    """distinct-n of one label's sentences; ``label`` is None for all labels together."""

    label: str | None
    pair: DistinctPair


@dataclass(frozen=True)
class Pair:
    """A synthetic sentence and the training sentence most like it; labels are indices."""

    label: int
    text: str
    real_label: int
    real_text: str
    similarity: float


@dataclass(frozen=True)
class Neighbours:
    """Nearest training sentences of a draw.

    Attributes:
        searched: number of training sentences among which they were looked up.
        similarities: of each sentence of a side ("synthetic", "valid").
        random, most_novel, least_novel: pairs to show.
    """

    searched: int
    similarities: dict[str, list[float]]
    random: list[Pair]
    most_novel: list[Pair]
    least_novel: list[Pair]


@dataclass(frozen=True)
class Facts:
    """A kept set beside the real one; ``distinct`` starts with all labels, ``novelty`` is by side."""

    lengths: Lengths
    distinct: list[LabelDistinct]
    novelty: dict[str, Novelty]
    neighbours: Neighbours


def measure(labels: Sequence[str], real: Mapping[str, Examples], kept: Examples, seed: int) -> Facts:
    """Measure a kept set beside the real one.

    Args:
        labels: their names.
        real: by split; "train" must be there.
        kept: not empty.
        seed: of every draw.
    """
    synthetic = [statistics.words(text) for _, text in kept]
    train = [statistics.words(text) for _, text in real["train"]]
    return Facts(
        lengths=_lengths(train, synthetic),
        distinct=_distinct(labels, real["train"], train, kept, synthetic, seed),
        novelty=_novelty(train, real.get("valid", []), kept, seed),
        neighbours=_neighbours(real["train"], real.get("valid", []), kept, seed),
    )


def _lengths(train: list[list[str]], synthetic: list[list[str]]) -> Lengths:
    lengths = {"real": sorted(map(len, train)), "synthetic": sorted(map(len, synthetic))}
    edges, shares = statistics.histogram(lengths)
    return Lengths(
        edges=edges,
        shares=shares,
        median={side: sorted_[len(sorted_) // 2] for side, sorted_ in lengths.items() if sorted_},
        mean={side: sum(sorted_) / len(sorted_) for side, sorted_ in lengths.items() if sorted_},
    )


def _distinct(
    labels: Sequence[str],
    real: Examples,
    real_words: Sequence[Words],
    kept: Examples,
    kept_words: Sequence[Words],
    seed: int,
) -> list[LabelDistinct]:
    """distinct-1/2/3 of both sides at equal numbers of words: everything first, then label by label."""
    found = [LabelDistinct(None, statistics.compare_distinct(real_words, kept_words, seed))]
    for index, name in enumerate(labels):
        left = [words for (label, _), words in zip(real, real_words) if label == index]
        right = [words for (label, _), words in zip(kept, kept_words) if label == index]
        found.append(LabelDistinct(name, statistics.compare_distinct(left, right, seed)))
    return found


def _novelty(train: Sequence[Words], valid: Examples, kept: Examples, seed: int) -> dict[str, Novelty]:
    """Copied runs of the synthetic sentences, and of the real valid ones as a yardstick."""
    sides = {"synthetic": statistics.draw(kept, NOVELTY_SENTENCES, seed)}
    if valid:
        sides["valid"] = statistics.draw(valid, NOVELTY_SENTENCES, seed)
    queries = [statistics.words(text) for examples in sides.values() for _, text in examples]
    copied = statistics.copied_lengths(train, queries)
    found = {}
    for side, examples in sides.items():
        found[side], copied = statistics.novelty(copied[: len(examples)]), copied[len(examples) :]
    return found


def _neighbours(train: Examples, valid: Examples, kept: Examples, seed: int) -> Neighbours:
    """Nearest training sentence and similarity, for a draw of synthetic and of valid sentences."""
    searched = statistics.draw(train, NEAREST_TRAIN, seed)
    sides = {"synthetic": statistics.draw(kept, NEAREST_SENTENCES, seed)}
    if valid:
        sides["valid"] = statistics.draw(valid, NEAREST_SENTENCES, seed)
    texts = [text for _, text in searched]
    nearest = {side: statistics.nearest(texts, [text for _, text in own]) for side, own in sides.items()}
    pairs = [
        Pair(label, text, *searched[index], round(similarity, 4))
        for (label, text), (index, similarity) in zip(sides["synthetic"], nearest["synthetic"])
    ]
    ordered = sorted(pairs, key=lambda pair: (pair.similarity, pair.text))
    return Neighbours(
        searched=len(searched),
        similarities={side: [round(s, 4) for _, s in found] for side, found in nearest.items()},
        random=statistics.draw(pairs, SHOWN, seed),
        most_novel=ordered[:SHOWN],
        least_novel=ordered[::-1][:SHOWN],
    )
