"""Everything the report tells about an augmented set, computed in one place, drawn in another.

What is costly is counted on seeded subsets; their sizes are part of the facts and are on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.reports import statistics
from fairseq_plugin.reports.statistics import DistinctPair, Novelty, Words
from fairseq_plugin.text.words import words

MEASURED = 200_000  # kept sentences that are looked at; more would change no digit that is shown
NOVELTY_SENTENCES = 20_000  # sentences per side whose copied runs are measured
NEAREST_SENTENCES = 600  # sentences per side whose nearest training sentence is looked up
NEAREST_TRAIN = 200_000  # training sentences among which it is looked up
EXAMPLES = 8  # samples on the first screen, by turns of every label
SHOWN = 5  # samples in each further list
YARDSTICKS = ("valid", "test", "train")  # real text to compare with: the first that there is

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
        similarities: of each sentence of a side ("synthetic", and the yardstick where it is held out).
        examples: pairs of every label by turns.
        most_novel, least_novel: further pairs to show.
    """

    searched: int
    similarities: dict[str, list[float]]
    examples: list[Pair]
    most_novel: list[Pair]
    least_novel: list[Pair]


@dataclass(frozen=True)
class Facts:
    """A kept set beside the real one.

    Attributes:
        yardstick: the split of real text that ``distinct``, ``novelty`` and ``neighbours`` compare with;
            "train" where no real text is held out.
        lengths: beside the training set.
        distinct: all labels first, then each.
        novelty: by side: "synthetic", and the yardstick where it is held out.
        neighbours: of a draw of sentences.
    """

    yardstick: str
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
    kept = statistics.draw(kept, MEASURED, seed)
    yardstick = next(split for split in YARDSTICKS if real.get(split))
    held_out = {yardstick: real[yardstick]} if yardstick != "train" else {}
    train = [words(text) for _, text in real["train"]]
    return Facts(
        yardstick=yardstick,
        lengths=_lengths(train, [words(text) for _, text in kept]),
        distinct=_distinct(labels, real[yardstick], kept, seed),
        novelty=_novelty(train, held_out, kept, seed),
        neighbours=_neighbours(real["train"], held_out, kept, seed),
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


def _distinct(labels: Sequence[str], real: Examples, kept: Examples, seed: int) -> list[LabelDistinct]:
    """distinct-1/2/3 of both sides at equal numbers of words: everything first, then label by label."""
    sides: list[dict[int | None, list[Words]]] = []
    for examples in (real, kept):
        by_label: dict[int | None, list[Words]] = {None: []}
        for label, text in examples:
            by_label[None].append(own := words(text))
            by_label.setdefault(label, []).append(own)
        sides.append(by_label)
    names = {None: None, **dict(enumerate(labels))}
    return [
        LabelDistinct(name, statistics.compare_distinct(*(side.get(key, []) for side in sides), seed=seed))
        for key, name in names.items()
    ]


def _novelty(
    train: Sequence[Words], held_out: Mapping[str, Examples], kept: Examples, seed: int
) -> dict[str, Novelty]:
    """Copied runs of the synthetic sentences, and of held-out real ones as a yardstick."""
    sides = {
        side: statistics.draw(examples, NOVELTY_SENTENCES, seed)
        for side, examples in {"synthetic": kept, **held_out}.items()
    }
    queries = [words(text) for examples in sides.values() for _, text in examples]
    copied = statistics.copied_lengths(train, queries)
    found = {}
    for side, examples in sides.items():
        found[side], copied = statistics.novelty(copied[: len(examples)]), copied[len(examples) :]
    return found


def _neighbours(train: Examples, held_out: Mapping[str, Examples], kept: Examples, seed: int) -> Neighbours:
    """Nearest training sentence and similarity, for a draw of synthetic and of held-out sentences."""
    searched = statistics.draw(train, NEAREST_TRAIN, seed)
    texts = [text for _, text in searched]
    examples = by_turns(kept, EXAMPLES, seed)
    drawn = [*examples, *statistics.draw(kept, NEAREST_SENTENCES, seed)]
    nearest = statistics.nearest(texts, [text for _, text in drawn])
    pairs = [
        Pair(label, text, *searched[index], round(similarity, 4))
        for (label, text), (index, similarity) in zip(drawn, nearest)
    ]
    shown, others = pairs[: len(examples)], pairs[len(examples) :]
    similarities = {"synthetic": [pair.similarity for pair in others]}
    for side, real in held_out.items():
        queries = [text for _, text in statistics.draw(real, NEAREST_SENTENCES, seed)]
        similarities[side] = [round(similarity, 4) for _, similarity in statistics.nearest(texts, queries)]
    ordered = sorted(others, key=lambda pair: (pair.similarity, pair.text))
    return Neighbours(
        searched=len(searched),
        similarities=similarities,
        examples=shown,
        most_novel=ordered[:SHOWN],
        least_novel=ordered[::-1][:SHOWN],
    )


def by_turns(examples: Examples, most: int, seed: int) -> list[tuple[int, str]]:
    """A seeded draw that takes one example of every label, then a second of each, until there are ``most``.

    With more labels than places, the labels are drawn too. The examples come ordered by label.

    >>> by_turns([(0, "a"), (1, "b"), (0, "c")], 2, seed=1)
    [(0, 'a'), (1, 'b')]
    """
    by_label: dict[int, list[str]] = {}
    for label, text in examples:
        by_label.setdefault(label, []).append(text)
    labels = statistics.draw(sorted(by_label), most, seed)
    turns = [label for turn in range(most) for label in labels if turn < len(by_label[label])][:most]
    drawn = {label: statistics.draw(by_label[label], turns.count(label), seed) for label in labels}
    return [(label, text) for label in labels for text in drawn[label]]
