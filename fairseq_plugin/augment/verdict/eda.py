"""Easy data augmentation (Wei and Zou 2019, arXiv:1901.11196): the cheap rival of every generator.

A sentence is changed in one of four ways, drawn at random: words are replaced by synonyms, words are
inserted, pairs of words change places, or words are deleted. Synonyms are those of WordNet, read by nltk,
where both are installed. Without them nothing is replaced, and what is inserted is a word of the sentence.

Words are what spaces separate; in a language without spaces (Chinese, say) they are its characters.
"""

import random
from collections.abc import Callable

from fairseq_plugin.text.words import has_spaces, words_as_written

CHANGED = 0.1  # of the words; the paper's alpha for all but the smallest sets

Synonyms = Callable[[str], list[str]]


def wordnet_synonyms() -> Synonyms | None:
    """A function from a word to its synonyms in WordNet; None where nltk or its data is not there."""
    try:
        from nltk.corpus import wordnet  # pyright: ignore[reportMissingImports]

        wordnet.ensure_loaded()
    except (ImportError, LookupError):
        return None

    def synonyms(word: str) -> list[str]:
        found = {name.replace("_", " ") for synset in wordnet.synsets(word) for name in synset.lemma_names()}
        return sorted(found - {word, word.lower()})

    return synonyms


def change(text: str, seed: int, sample: int, synonyms: Synonyms | None = None) -> str:
    """One changed copy of a sentence.

    Args:
        text: a sentence.
        seed, sample: the change depends on these two and the text alone.
        synonyms: see :func:`wordnet_synonyms`.
    """
    words, between = (text.split(), " ") if has_spaces([text]) else (words_as_written(text), "")
    if len(words) < 2:
        return text
    generator = random.Random(f"{seed} {sample} {text}")  # a text seeds through SHA-512: the same everywhere
    num_changes = max(1, round(CHANGED * len(words)))
    ways = [_insert, _swap, _delete] if synonyms is None else [_replace, _insert, _swap, _delete]
    return between.join(generator.choice(ways)(words, num_changes, generator, synonyms or _none))


def _none(_: str) -> list[str]:
    return []


def _replace(words: list[str], count: int, generator: random.Random, synonyms: Synonyms) -> list[str]:
    """Up to ``count`` words that have synonyms become one of them."""
    changed, replaced = list(words), 0
    for place in generator.sample(range(len(words)), len(words)):
        options = synonyms(words[place])
        if options and replaced < count:
            changed[place] = generator.choice(options)
            replaced += 1
    return changed


def _insert(words: list[str], count: int, generator: random.Random, synonyms: Synonyms) -> list[str]:
    """``count`` times: a synonym of a word, or without one the word itself, at any place."""
    changed = list(words)
    for _ in range(count):
        word = generator.choice(words)
        changed.insert(generator.randint(0, len(changed)), generator.choice(synonyms(word) or [word]))
    return changed


def _swap(words: list[str], count: int, generator: random.Random, synonyms: Synonyms) -> list[str]:
    """``count`` times: two words change places."""
    changed = list(words)
    for _ in range(count):
        left, right = generator.sample(range(len(changed)), 2)
        changed[left], changed[right] = changed[right], changed[left]
    return changed


def _delete(words: list[str], count: int, generator: random.Random, synonyms: Synonyms) -> list[str]:
    """Every word goes with the chance :data:`CHANGED`; one stays."""
    kept = [word for word in words if generator.random() >= CHANGED]
    return kept or [generator.choice(words)]
