"""Does an independent classifier read the synthetic rows as their labels say?

Words and word pairs weighted by TF-IDF, then logistic regression, trained on the real training set alone.
Its accuracy on the real valid set stands beside every figure: agreement cannot be judged without knowing how
often the judge itself is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.augmented_set import read_synthetic
from fairseq_plugin.augment.judges.quality import calibrate
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.reports.display import percent, visible
from fairseq_plugin.reports.opinions import Calibration, DoubtfulRow
from fairseq_plugin.reports.statistics import draw
from fairseq_plugin.storage.manifest import NAME
from fairseq_plugin.text.table import cells, isolated, left, right
from fairseq_plugin.text.words import words

CLASSIFIER = "TF-IDF, logistic regression"
_MOST_SHOWN = 12  # labels of a confusion table on a terminal

if TYPE_CHECKING:  # scikit-learn is loaded when a judge is trained, not before
    from sklearn.feature_extraction.text import TfidfVectorizer


class Judge(Protocol):
    """A classifier of texts."""

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The label indices that it has seen, rising."""
        ...

    def predict(self, texts: Sequence[str]) -> NDArray[np.int64] | Sequence[int]:
        """Label index of each text."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probability of each of ``classes_`` for each text."""
        ...


@dataclass(frozen=True)
class LabelAgreement:
    """How often the judge agrees with one label; ``share`` in [0, 1], None for no rows."""

    rows: int
    share: float | None


@dataclass(frozen=True)
class Agreement:
    """How often the judge's label is the given one.

    Attributes:
        rows: number of rows judged.
        share: of rows with the same label, in [0, 1]; None for no rows.
        by_label: by the label's name.
        confusion: ``confusion[given][judged]``, counts, in the order of the labels.
    """

    rows: int
    share: float | None
    by_label: dict[str, LabelAgreement]
    confusion: list[list[int]]

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> "Agreement":
        """From what ``judge_agreement.py --json`` wrote."""
        by_label = {name: LabelAgreement(**own) for name, own in stated["by_label"].items()}
        return cls(stated["rows"], stated["share"], by_label, stated["confusion"])


@dataclass(frozen=True)
class JudgedByModel:
    """An augmented set as the model that wrote it sees it; attributes as of :class:`Judged`."""

    valid: Agreement | None
    synthetic: Agreement


@dataclass(frozen=True)
class Judged:
    """An augmented set as the judge sees it.

    Attributes:
        labels: their names.
        train_rows: number of real rows the judge was trained on.
        seed: of the judge.
        valid: the judge on the real valid set; None where there is none.
        synthetic: the judge on the synthetic rows.
        by_model: the same by the model itself; None where it was not asked.
        calibration: of each judge, on the same real rows of valid.
        doubtful: real rows whose label the model does not believe, the least probable first.
    """

    labels: list[str]
    train_rows: int
    seed: int
    valid: Agreement | None
    synthetic: Agreement
    by_model: JudgedByModel | None = None
    calibration: list[Calibration] = field(default_factory=list)
    doubtful: list[DoubtfulRow] = field(default_factory=list)


@dataclass(frozen=True)
class JudgedRows:
    """What judges read: label index and text of each row.

    Attributes:
        labels: their names.
        train, valid: real rows; valid may be empty.
        synthetic: the rows of an augmented set.
    """

    labels: list[str]
    train: list[tuple[int, str]]
    valid: list[tuple[int, str]]
    synthetic: list[tuple[int, str]]

    @classmethod
    def read(cls, data: str | Path, samples: str | Path) -> "JudgedRows":
        """Read a prepared folder and a set made with it.

        Args:
            data: the prepared data folder.
            samples: a folder written by ``scripts/collect.py``.

        Raises:
            UserError: no such data, no such set, or a set made with other data.
        """
        manifest, synthetic = Manifest.load(data), synthetic_examples(data, samples)
        valid = read_texts(data, "valid") if "valid" in manifest.splits else []
        return cls([label.name for label in manifest.labels], read_texts(data, "train"), valid, synthetic)


def judge_samples(rows: JudgedRows, seed: int = 1, most_rows: int | None = None) -> Judged:
    """Train the judge on the real training set and let it read an augmented set.

    Args:
        rows: of both.
        seed: of the classifier.
        most_rows: of valid, for its calibration, as ``judge_by_model`` draws them; None: all.

    Raises:
        UserError: fewer than two labels, no words at all, or a seed out of range.
    """
    if not 0 <= seed < 1 << 32:
        raise UserError(f"--seed {seed} must lie in [0, 2^32)")
    names, train, valid = rows.labels, rows.train, rows.valid
    judge = train_judge([text for _, text in train], [label for label, _ in train], seed)
    some = valid if most_rows is None else draw(valid, most_rows, seed)
    return Judged(
        labels=names,
        train_rows=len(train),
        seed=seed,
        valid=agree(judge, valid, names) if valid else None,
        synthetic=agree(judge, rows.synthetic, names),
        calibration=[
            calibrate(CLASSIFIER, probabilities(judge, some, len(names)), [label for label, _ in some])
        ]
        if valid
        else [],
    )


def probabilities(judge: Judge, examples: Sequence[tuple[int, str]], num_labels: int) -> NDArray[np.float64]:
    """p(label | text) by a trained judge, ``(N, num_labels)``; 0 for labels that it has never seen."""
    found = np.zeros((len(examples), num_labels))
    found[:, judge.classes_] = judge.predict_proba([text for _, text in examples])
    return found


def synthetic_examples(data: str | Path, samples: str | Path) -> list[tuple[int, str]]:
    """Label index and text of each row of an augmented set that was made with this data.

    Raises:
        UserError: no such set, or a set made with other data.
    """
    manifest, synthetic = Manifest.load(data), read_synthetic(samples)
    if synthetic.manifest_sha256 != sha256(Path(data) / NAME):
        raise UserError(
            f"{samples} was made with the data {synthetic.data_name!r}, --data {data} is another; give "
            "the data the samples were made with"
        )
    return [(manifest.label_index(row.label), row.text) for row in synthetic.rows]


def train_judge(texts: Sequence[str], labels: Sequence[int], seed: int = 1) -> Judge:
    """Train the classifier.

    Args:
        texts: sentences.
        labels: their label indices.
        seed: of the solver.

    Raises:
        UserError: fewer than two labels, or no words at all.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if len(set(labels)) < 2:
        raise UserError(f"the training set has {len(set(labels))} label(s); a judge needs at least two")
    judge = make_pipeline(
        word_pairs(len(texts)), LogisticRegression(C=10.0, max_iter=2000, random_state=seed)
    )
    try:
        return cast(Judge, judge.fit(texts, labels))
    except ValueError as error:
        raise UserError(f"the judge cannot be trained on this training set: {error}") from error


def word_pairs(num_texts: int) -> "TfidfVectorizer":
    """Words and word pairs of a text, weighted by TF-IDF; ``num_texts`` will teach the weights."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # One-letter words count ("i", "a", Chinese characters); a pair must be seen twice to be a clue where
    # there is enough text for it.
    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        tokenizer=words,
        token_pattern=None,  # pyright: ignore[reportArgumentType]  (not said in its types)
        lowercase=False,  # words() does
        min_df=2 if num_texts > 5000 else 1,
    )


def agree(judge: Judge, examples: Sequence[tuple[int, str]], names: Sequence[str]) -> Agreement:
    """Compare the judge's labels with the given ones.

    Args:
        judge: from :func:`train_judge`.
        examples: given label index and text of each.
        names: label names in order.
    """
    texts = [text for _, text in examples]
    return agreement([label for label, _ in examples], judge.predict(texts) if texts else [], names)


def agreement(
    given: Sequence[int], judged: Sequence[int] | NDArray[np.int64], names: Sequence[str]
) -> Agreement:
    """Compare labels.

    Args:
        given, judged: label index of each text.
        names: label names in order.
    """
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (np.array(given, dtype=np.int64), np.array(judged, dtype=np.int64)), 1)
    totals, right = confusion.sum(axis=1).tolist(), confusion.diagonal().tolist()
    by_label = {
        name: LabelAgreement(total, same / total if total else None)
        for name, total, same in zip(names, totals, right, strict=True)
    }
    share = sum(right) / len(given) if len(given) else None
    return Agreement(len(given), share, by_label, confusion.tolist())


def describe(agreement: Agreement, names: Sequence[str]) -> list[str]:
    """Lines of text: the share overall and per label, and the confusion table where a terminal has room."""
    names = [isolated(visible(name)) for name in names]
    width = max(8, *map(cells, names)) + 2
    lines = [f"  all{'':{width - 3}}{percent(agreement.share):>9}  of {agreement.rows:,} rows"]
    for name, own in zip(names, agreement.by_label.values()):
        lines.append(f"  {left(name, width)}{percent(own.share):>9}  of {own.rows:,} rows")
    if len(names) > _MOST_SHOWN:
        return lines
    heads = "".join(right(name, width) for name in names)
    lines.append(f"  given \\ judged{'':{max(0, width - 14)}}{heads}")
    for name, counts in zip(names, agreement.confusion):
        lines.append(f"  {left(name, max(width, 14))}" + "".join(f"{count:>{width},}" for count in counts))
    return lines
