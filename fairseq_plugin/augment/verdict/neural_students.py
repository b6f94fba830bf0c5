"""Two small networks that show whether new rows help: averaged n-gram embeddings, and a BiLSTM over words.

Both are trained alike: Adam, a few passes over the rows at hand, the network kept that does best on dev. For
every set of rows dev chooses among the same learning rates.

Shape legend: B texts of a batch, T words of the longest, W width, L labels, N texts.
"""

import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fairseq_plugin.augment.verdict.students import only_label
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.text.words import words

BATCH = 32  # texts of an update
PASSES = 10  # over the rows of an arm
MOST_UPDATES = 2000  # however many rows there are
VALIDATIONS = 20  # of a training that runs to its end
PATIENCE = 20  # validations without a better network; what "to patience" means
LONGEST_PATIENCE = 20  # times the updates of a training without patience, where dev improves for ever
MOST_SYMBOLS = 100_000  # the most frequent
MOST_WORDS = 100  # of a text that the BiLSTM reads
PADDING, UNKNOWN = 0, 1
_FIRST = 2  # index of the first symbol

Score = tuple[float, float]  # of dev: accuracy, then minus the loss (nats); the larger the better


class NgramBag(nn.Module):
    """The mean of n-gram embeddings, then a linear layer (fastText: Joulin et al. 2017, arXiv:1607.01759)."""

    def __init__(self, num_symbols: int, num_labels: int, width: int = 50) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(num_symbols, width, mode="mean")
        self.output = nn.Linear(width, num_labels)
        nn.init.uniform_(self.embedding.weight, -1 / width, 1 / width)

    def forward(self, texts: Sequence[Tensor]) -> Tensor:
        """``(B, L)``; a text without a known n-gram gets the bias alone."""
        known = [text[text >= _FIRST] for text in texts]
        starts_B = torch.tensor([0, *map(len, known[:-1])]).cumsum(0)
        return self.output(self.embedding(torch.cat(known), starts_B))


class BiLSTM(nn.Module):
    """An LSTM in both directions, the largest of every output over the words, then a linear layer."""

    def __init__(self, num_symbols: int, num_labels: int, width: int = 32, dropout: float = 0.3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, width, padding_idx=PADDING)
        self.forwards, self.backwards = (nn.LSTM(width, width, batch_first=True) for _ in range(2))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * width, num_labels)

    def forward(self, texts: Sequence[Tensor]) -> Tensor:
        """``(B, L)``."""
        texts = [text[:MOST_WORDS] if len(text) else torch.tensor([UNKNOWN]) for text in texts]
        # A text and its mirror image, both with their padding at the end: a third of the time of packed
        # sequences, and no word's state depends on the other texts of the batch.
        states = [
            self._states(texts, self.forwards),
            self._states([text.flip(0) for text in texts], self.backwards),
        ]
        is_word_BT = pad_sequence(
            [torch.ones(len(text), dtype=torch.bool) for text in texts], batch_first=True
        )
        states_BTW = torch.cat(states, dim=2).masked_fill(~is_word_BT[:, :, None], -1.0)  # all are above -1
        return self.output(self.dropout(states_BTW.amax(dim=1)))

    def _states(self, texts: Sequence[Tensor], lstm: nn.LSTM) -> Tensor:
        """``(B, T, W)``, without meaning where padding is."""
        symbols_BT = pad_sequence(list(texts), batch_first=True, padding_value=PADDING)
        if self.training:  # some words become the unknown one, for texts to come hold unknown words
            dropped_BT = (torch.rand(symbols_BT.shape) < 0.1) & (symbols_BT != PADDING)
            symbols_BT = symbols_BT.masked_fill(dropped_BT, UNKNOWN)
        return lstm(self.dropout(self.embedding(symbols_BT)))[0]


def words_and_pairs(text: str) -> list[str]:
    """Words, and pairs of neighbours."""
    found = words(text)
    return found + [f"{left} {right}" for left, right in pairwise(found)]


@dataclass(frozen=True)
class NeuralStudent:
    """A network and how it is trained; a :class:`~fairseq_plugin.augment.verdict.students.Student`.

    Attributes:
        name: for people.
        network: called with the numbers of symbols and labels.
        features: text -> its symbols.
        rates: learning rates; dev chooses one.
    """

    name: str
    network: Callable[[int, int], nn.Module]
    features: Callable[[str], list[str]]
    rates: tuple[float, ...]
    stops_by_patience: bool = True

    def answers(
        self, train: Examples, dev: Examples, texts: Sequence[str], seed: int, to_patience: bool = False
    ) -> NDArray[np.int64]:
        """See :meth:`~fairseq_plugin.augment.verdict.students.Student.answers`."""
        if (alone := only_label(train, texts)) is not None:
            return alone
        return self.fit(train, dev, seed, to_patience).probabilities(texts).argmax(axis=1)

    def fit(self, train: Examples, dev: Examples, seed: int, to_patience: bool = False) -> "Fitted":
        """Train it; arguments as of :meth:`answers`, with two labels or more."""
        index = _symbols(self.features(text) for _, text in train)

        def encode(text: str) -> Tensor:
            return torch.tensor([index.get(symbol, UNKNOWN) for symbol in self.features(text)]).long()

        train_set, dev_set = (_Examples.of(rows, encode) for rows in (train, dev))
        num_labels = 1 + max(label for label, _ in (*train, *dev))
        best: tuple[Score, nn.Module] | None = None
        with _one_thread(), torch.random.fork_rng(devices=[]):
            for rate in self.rates:
                torch.manual_seed(seed)
                network = self.network(len(index) + _FIRST, num_labels)
                found = _fit(network, train_set, dev_set, rate, seed, to_patience)
                if best is None or found[0] > best[0]:
                    best = found
        assert best is not None
        return Fitted(best[1], encode)


@dataclass(frozen=True)
class Fitted:
    """A trained network, and how it reads a text."""

    network: nn.Module
    encode: Callable[[str], Tensor]

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """p(label | text), ``(N, L)``; at least one text."""
        with _one_thread():
            return _logits(self.network, list(map(self.encode, texts))).double().softmax(dim=1).numpy()


NGRAM_BAG = NeuralStudent("n-gram embeddings", NgramBag, words_and_pairs, (0.01, 0.1))
BILSTM = NeuralStudent("BiLSTM", BiLSTM, words, (0.002, 0.01))


@dataclass(frozen=True)
class _Examples:
    texts: list[Tensor]
    labels_N: Tensor

    @classmethod
    def of(cls, rows: Examples, encode: Callable[[str], Tensor]) -> "_Examples":
        return cls([encode(text) for _, text in rows], torch.tensor([label for label, _ in rows]).long())


def _symbols(texts: Iterator[list[str]]) -> dict[str, int]:
    """The index of every symbol that is kept."""
    counts = Counter(symbol for text in texts for symbol in text)
    return {symbol: _FIRST + place for place, (symbol, _) in enumerate(counts.most_common(MOST_SYMBOLS))}


def _fit(
    network: nn.Module, train: _Examples, dev: _Examples, rate: float, seed: int, to_patience: bool
) -> tuple[Score, nn.Module]:
    """Train; the network that did best on dev (without dev the last one), and how well it did."""
    updates = min(MOST_UPDATES, PASSES * -(-len(train.texts) // BATCH))
    interval = max(1, updates // VALIDATIONS)
    most = updates * LONGEST_PATIENCE if to_patience else updates
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    best, kept, waited = (-1.0, 0.0), network, 0
    for update, places in zip(range(1, most + 1), _batches(len(train.texts), seed)):
        network.train()
        optimizer.zero_grad()
        logits_BL = network([train.texts[place] for place in places])
        nn.functional.cross_entropy(logits_BL, train.labels_N[places]).backward()
        optimizer.step()
        if update % interval and update != most:
            continue
        score = _score(network, dev)
        if score > best or not dev.texts:
            best, kept, waited = score, copy.deepcopy(network), 0
        else:
            waited += 1
        if to_patience and waited >= PATIENCE:
            break
    return best, kept


def _batches(num_texts: int, seed: int) -> Iterator[list[int]]:
    """Places of the texts of one update after the other, every pass in an order of its own."""
    number = 0
    while True:
        order = list(range(num_texts))
        random.Random(f"{seed} {number}").shuffle(order)
        for start in range(0, num_texts, BATCH):
            yield order[start : start + BATCH]
        number += 1


def _score(network: nn.Module, dev: _Examples) -> Score:
    if not dev.texts:
        return 0.0, 0.0
    logits_NL = _logits(network, dev.texts)
    accuracy = (logits_NL.argmax(dim=1) == dev.labels_N).double().mean()
    return float(accuracy), -float(nn.functional.cross_entropy(logits_NL, dev.labels_N))


def _logits(network: nn.Module, texts: Sequence[Tensor], at_once: int = 256) -> Tensor:
    """``(N, L)``."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(texts[start : start + at_once]) for start in range(0, len(texts), at_once)])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Answers must not depend on the number of cores, and such small products are fastest on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
