"""A person's own teacher: scores of the labels from a file, or from a function.

Scores are >= 0 and are divided by their sum; of logits take the softmax first. Nothing is unpickled.

Shape legend: N texts, L labels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairseq_plugin.augment.filters.user_function import load_function
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.display import short
from fairseq_plugin.text.not_utf8 import NotUtf8

FLAG = "--teacher"


class FileTeacher:
    """Scores of a TSV file: a header, a column with each label's name, and one column with the texts.

    Args:
        path: UTF-8, a row a line, cells separated by tabs, without quotes.
        labels: names, in order.

    Raises:
        UserError: no such file, no such columns, a score that is none, or one text with two answers.
    """

    def __init__(self, path: str | Path, labels: Sequence[str]) -> None:
        self.name = f"{FLAG} {path}"
        self._num_labels = len(labels)
        self._scores = _read_scores(Path(path), labels)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """p(label | text), ``(N, L)``; NaN for texts that the file does not hold."""
        none = np.full(self._num_labels, np.nan)
        found = [self._scores.get(text.strip(), none) for text in texts]
        return np.array(found, dtype=np.float64).reshape(len(texts), self._num_labels)


def _read_scores(path: Path, labels: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    scores: dict[str, NDArray[np.float64]] = {}
    number = 1
    try:
        with open(path, "rb") as stream:
            columns = stream.readline().decode("utf-8").rstrip("\r\n").split("\t")
            places = _places(columns, labels, path)
            for number, content in enumerate(stream, start=2):
                line = content.decode("utf-8")
                cells, where = line.rstrip("\r\n").split("\t"), f"{FLAG} {path}, line {number}"
                if len(cells) != len(columns):
                    raise UserError(f"{where}: {len(cells)} cells under {len(columns)} columns")
                *given, text = (cells[place] for place in places)
                own = _normal(_numbers(given, where), (1, len(labels)), where)[0]
                if not np.array_equal(scores.setdefault(text.strip(), own), own):
                    raise UserError(f"{where}: {short(text, 60)!r} stood there before with other scores")
    except OSError as error:
        raise UserError(f"{FLAG} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(NotUtf8.of(error, number).refusal(path, FLAG)) from error
    return scores


def _places(columns: Sequence[str], labels: Sequence[str], path: Path) -> list[int]:
    """Where each label's column is, and that of the texts."""
    missing = [name for name in labels if name not in columns]
    others = [place for place, name in enumerate(columns) if name not in labels]
    if missing or len(others) != 1 or len(columns) != len(labels) + 1:
        raise UserError(
            f"{FLAG} {path}: its first line must name a column for the text and one for each label "
            f"({', '.join(labels[:10])}), separated by tabs; it names {short(', '.join(columns), 100)}"
        )
    return [*(columns.index(name) for name in labels), *others]


def _numbers(cells: Sequence[str], where: str) -> list[list[float]]:
    try:
        return [[float(cell) for cell in cells]]
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


class FunctionTeacher:
    """Scores by a function, called with a list of texts and the list of labels' names.

    It returns a score for each label of each text, ``(N, L)``, and always the same for the same text.

    Args:
        name: ``module:function``.
        labels: names, in order.

    Raises:
        UserError: see :func:`~fairseq_plugin.augment.filters.user_function.load_function`.
    """

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        self.name = f"{FLAG} {name}"
        self._function, self._labels = load_function(name, FLAG), list(labels)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """p(label | text), ``(N, L)``.

        Raises:
            UserError: the function failed, or its answer is no table of scores.
        """
        shape = len(texts), len(self._labels)
        if not texts:
            return np.zeros(shape)
        try:
            answer = self._function(list(texts), list(self._labels))
        except Exception as error:  # whatever a person's function does
            raise UserError(
                f"{self.name} failed on {len(texts)} texts from {short(texts[0], 60)!r} on: "
                f"{type(error).__name__}: {error}; mend the function"
            ) from error
        return _normal(answer, shape, self.name)


def _normal(scores: ArrayLike, shape: tuple[int, int], where: str) -> NDArray[np.float64]:
    """Scores as probabilities."""
    try:
        found_NL = np.array(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: the scores are no table of numbers ({error})") from error
    if found_NL.shape != shape:
        raise UserError(f"{where}: scores of shape {found_NL.shape}, not (texts, labels) = {shape}")
    if not np.isfinite(found_NL).all() or (found_NL < 0).any() or not (found_NL.sum(axis=1) > 0).all():
        raise UserError(
            f"{where}: scores must be numbers >= 0, not all 0 for a text; of logits give the softmax"
        )
    return found_NL / found_NL.sum(axis=1, keepdims=True)


def load_teacher(given: str, labels: Sequence[str]) -> FileTeacher | FunctionTeacher:
    """By ``--teacher``: a file that is there or ends in ``.tsv``, else ``module:function``."""
    if Path(given).is_file() or given.endswith(".tsv"):
        return FileTeacher(given, labels)
    return FunctionTeacher(given, labels)
