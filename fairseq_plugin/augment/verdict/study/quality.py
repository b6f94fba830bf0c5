"""Fidelity and diversity of new rows, always beside held-out real ones.

No single figure tells good text: random words are the most diverse, copies the most faithful. So what is
close to real text in *all* of them is good, and more diverse than real text is not better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.verdict.study.yardstick import Yardstick
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.reports.self_bleu import self_bleu
from fairseq_plugin.reports.statistics import copied_lengths, distinct_n, draw, novelty, take_words
from fairseq_plugin.text.words import words

REAL = "real"
_RUN = 4  # words


@dataclass(frozen=True)
class Quality:
    """Figures of one set of rows.

    Attributes:
        fidelity: share whose label a judge of the whole training set gives too; of real rows, its accuracy.
        distinct: distinct-1, -2, -3 of so many words as every set has.
        self_bleu: of so many sentences as every set has.
        novel: share of runs of four words that stand nowhere in these training rows.
        copied: share that stands in the generator's training rows word for word.
        invented: share that holds a word which is in no real row of train.
    """

    fidelity: float
    distinct: tuple[float | None, ...]
    self_bleu: float | None
    novel: float | None
    copied: float
    invented: float


def measure_quality(
    sets: Mapping[str, Examples], learnt: Examples, known: Examples, yardstick: Yardstick, seed: int = 1
) -> tuple[int, int, dict[str, Quality]]:
    """Measure some sets of rows on equal numbers of words and sentences.

    Args:
        sets: by name, each with at least one row; :data:`REAL` are held-out real rows.
        learnt: the rows that the generators were trained on.
        known: all real rows whose words are known.
        yardstick: see the class.
        seed: of every draw.

    Returns:
        ``(words, sentences, {name: Quality})``.
    """
    texts = {name: [words(text) for _, text in rows] for name, rows in sets.items()}
    num_words = min(sum(map(len, own)) for own in texts.values())
    num_sentences = min(map(len, texts.values()))
    lexicon = {word for _, text in known for word in words(text)}
    own_train = [words(text) for _, text in learnt]
    found = {}
    for name, rows in sets.items():
        taken = take_words(texts[name], num_words, seed)
        new = novelty(copied_lengths(own_train, texts[name]))
        found[name] = Quality(
            fidelity=yardstick.share(rows) or 0.0,
            distinct=tuple(distinct_n(taken, n) for n in (1, 2, 3)),
            self_bleu=self_bleu(draw(texts[name], num_sentences, seed)),
            novel=new.new[_RUN - 1],
            copied=new.whole or 0.0,
            invented=_share_with(texts[name], lexicon),
        )
    return num_words, num_sentences, found


def _share_with(sentences: Sequence[Sequence[str]], lexicon: set[str]) -> float:
    """Share of sentences that hold a word which the lexicon lacks."""
    return sum(not lexicon.issuperset(sentence) for sentence in sentences) / len(sentences)
