"""Augmentation for notebooks: the stages of ``scripts/augment.py`` behind one object.

a = Augmenter().fit(frame)
frame = a.sample(500)
a.verdict(frame)
"""

import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from fairseq_plugin.augment.jobs.quota import MOST_TRIES
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.judges.score_examples import score_examples
from fairseq_plugin.augment.notebook.arguments import ARGUMENTS
from fairseq_plugin.augment.notebook.frames import (
    LabelValue,
    Rows,
    is_frame,
    label_values,
    read_known,
    read_table,
    to_frame,
    write_table,
)
from fairseq_plugin.augment.notebook.sample_rows import NewFrameRows, SampleOptions, sample_rows
from fairseq_plugin.augment.notebook.train_model import train_model
from fairseq_plugin.augment.notebook.trained import Trained
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.augment.verdict.bar import VerdictBar
from fairseq_plugin.augment.verdict.quick import QuickVerdict, describe, judge_rows
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.reading_flags import ReadingOptions
from fairseq_plugin.python_names import arguments_named, in_python
from fairseq_plugin.storage.lock import FolderLock

if TYPE_CHECKING:
    from pandas import DataFrame

N = int | Mapping[LabelValue, int]


class Augmenter:
    """Learns labelled sentences and writes new ones.

    Args:
        gamma: of ScaleGrad, in (0, 1]; 1 is maximum likelihood.
        seed: of the split, the training and the samples, in [0, 2^32): the same seed, the same rows.
        pretrained: folder of a GPT-2 in Hugging Face's form to start from; None: from scratch.
        epochs: most passes over the rows; None: by their number. The training stops early.
        temperature: of sampling, > 0.
        top_k: draw from the most probable tokens only; None: from all.
        top_p: of sampling, in (0, 1].
        max_len: most tokens of a sentence.
        folder: for everything that is written; the same arguments go on there. None: a temporary folder,
            which lives as long as the object.
        overwrite: where rows or arguments differ from an earlier run in ``folder``, start again.
        verbose: show commands, what they say, and bars.
        device: where sentences are written and scored: ``"cpu"`` or ``"cuda"``. (fairseq trains on a GPU
            where there is one.)

    Raises:
        UserError: (a ``ValueError``) an argument out of range; the message names it.
    """

    def __init__(
        self,
        gamma: float = 0.5,
        seed: int = 1,
        pretrained: str | Path | None = None,
        epochs: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 0.95,
        max_len: int = 100,
        folder: str | Path | None = None,
        overwrite: bool = False,
        verbose: bool = True,
        device: str = "cpu",
    ) -> None:
        self.verbose, self.device = verbose, device
        self._temporary = tempfile.TemporaryDirectory(prefix="augmenter-") if folder is None else None
        to = Path(self._temporary.name if self._temporary is not None else str(folder)).resolve()
        self._request = AugmentRequest(
            to=to,
            source=to / "rows.jsonl",
            reading=ReadingOptions(text_column="text", label_column="label"),
            pretrained=None if pretrained is None else Path(pretrained).absolute(),
            gamma=gamma,
            seed=seed,
            epochs=epochs,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            max_len=max_len,
            overwrite=overwrite or folder is None,
        )
        with arguments_named(ARGUMENTS):
            self._request.check()
        self._trained: Trained | None = None
        self._judge: BayesJudge | None = None

    # -- learning ----------------------------------------------------------------------------------------

    def fit(
        self,
        rows: "DataFrame | Rows",
        text_column: str | int | None = None,
        label_column: str | int | None = None,
        valid: "DataFrame | Rows | None" = None,
    ) -> "Augmenter":
        """Prepare rows and train the model; minutes.

        Args:
            rows: a DataFrame, a list of ``(text, label)``, or a list of dicts.
            text_column, label_column: a name, or a position from 0; None: guessed by common names.
            valid: rows that choose when to stop; None: a tenth of ``rows`` is held out.

        Returns:
            This object.

        Warns:
            UserWarning: rows that were left out, and why; too few rows to learn a language from.

        Raises:
            UserError: rows that cannot be used, or a command that failed.
        """
        with arguments_named(ARGUMENTS):
            if self._request.source is None:
                raise UserError("a loaded Augmenter is not trained again: make a new one")
            table = read_table(rows, text_column, label_column)
            held = None if valid is None else read_known(valid, table.columns)
            labels = label_values([*table.labels, *([] if held is None else held.labels)])
            request, source = self._request, self._request.source
            request.to.mkdir(parents=True, exist_ok=True)
            with FolderLock(request.to / "augment", flag="folder", what=request.to):
                write_table(source, table)
                if held is not None:
                    request = replace(request, valid=request.to / "valid.jsonl")
                    write_table(request.to / "valid.jsonl", held)
                stages = Stages(request)
                manifest = train_model(stages, self.verbose, stacklevel=3)
            names = [label.name for label in manifest.labels]
            self._trained = Trained(stages, table.columns, {name: labels[name] for name in names})
            self._judge = None
        return self

    # -- new rows ----------------------------------------------------------------------------------------

    def sample(
        self,
        n: N,
        labels: Sequence[LabelValue] | None = None,
        allow_fewer: bool = False,
        seed: int | None = None,
        soft_labels: bool = False,
        filters: Mapping[str, Any] | None = None,
        most_tries: float = MOST_TRIES,
    ) -> "DataFrame":
        """New rows: exactly so many of each label, whole and new (no copy of a real row, none twice).

        The same seed gives the same rows, and more of them begin with the fewer. (Where a text turns up under
        two labels, it is taken from both: with more rows that can come to one of the first.)

        Args:
            n: of each label, or ``{label: number}``.
            labels: only these; None: all.
            allow_fewer: give what there is, with a warning, where a label falls short.
            seed: of the samples; None: the object's own.
            soft_labels: a column more for each label, ``p_LABEL``: its probability given the text.
            filters: see :class:`~fairseq_plugin.augment.filters.options.FilterOptions`, such as
                ``{"judge_threshold": 0.8}``; None: the defaults.
            most_tries: samples per row asked for, after which a label falls short, in [1, 1000].

        Returns:
            Columns as in the rows given to :meth:`fit`; ``log_probability``, of the sentence and its end
            given the label, in nats, <= 0; ``label_probability``, of the label given the text, by the model.
            To four decimals.

        Raises:
            UserError: unknown labels, a label that fell short, or pandas is not installed.
        """
        options = SampleOptions(
            allow_fewer=allow_fewer,
            seed=seed,
            soft_labels=soft_labels,
            filters=filters,
            most_tries=most_tries,
        )
        found = self._sample(n, labels, options)
        return to_frame(found.rows, self._known().columns, found.more)

    def sample_rows(
        self, n: N, labels: Sequence[LabelValue] | None = None, **options: Unpack[SampleOptions]
    ) -> list[dict[str | int, object]]:
        """:meth:`sample` as a list of dicts, without pandas; it takes the same arguments."""
        return self._sample(n, labels, options).rows

    def _sample(self, n: N, labels: Sequence[LabelValue] | None, options: SampleOptions) -> NewFrameRows:
        with arguments_named(ARGUMENTS):
            trained = self._known()
            asked = trained.asked(n, labels)
            found = sample_rows(trained, asked, options, self.device, self.verbose)
        if found.shortage:
            told = f"kept {len(found.rows):,} of {sum(asked.values()):,} asked: {found.shortage}"
            warnings.warn(in_python(told, ARGUMENTS), stacklevel=3)
        return found

    # -- rows of one's own -------------------------------------------------------------------------------

    @overload
    def score(self, rows: "DataFrame", soft_labels: bool = False) -> "DataFrame": ...

    @overload
    def score(self, rows: Rows, soft_labels: bool = False) -> list[dict[str | int, object]]: ...

    def score(
        self, rows: "DataFrame | Rows", soft_labels: bool = False
    ) -> "DataFrame | list[dict[str | int, object]]":
        """How probable the model finds each text given its label, and each label given its text.

        Args:
            rows: a DataFrame with the columns of :meth:`fit`, pairs, or dicts.
            soft_labels: a column more for each label, ``p_LABEL``.

        Returns:
            The DataFrame with more columns, or dicts: ``log_probability``, of the text and its end given the
            label, in nats, <= 0 (added up over rows, it is what ``fairseq-eval-lm`` says), and
            ``label_probability``, of the label given the text by Bayes' rule, in [0, 1].

        Warns:
            UserWarning: texts without them (NaN): missing or blank (:meth:`fit` leaves these out), changed by
                the tokenizer, or too long.

        Raises:
            UserError: other columns, or a label that the model does not know.
        """
        with arguments_named(ARGUMENTS):
            trained = self._known()
            table, more = read_known(rows, trained.columns), trained.score_columns(soft_labels)
            values = score_examples(self._model(), trained.examples(table), len(trained.labels))
        if unscored := sum(math.isnan(own[0]) for own in values):
            warnings.warn(
                f"{unscored:,} of {len(values):,} rows have no log probability (NaN): no text or label, a "
                "blank text, one that the tokenizer would change, or one too long for the model",
                stacklevel=2,
            )
        if is_frame(rows):
            columns = {name: [own[place] for own in values] for place, name in enumerate(more)}
            return rows.assign(**columns)  # type: ignore[union-attr]
        return [
            trained.columns.row(text, label, more, own)  # zip ends with the names: the rest was not asked for
            for text, label, own in zip(table.texts, table.labels, values, strict=True)
        ]

    def verdict(self, rows: "DataFrame | Rows") -> QuickVerdict:
        """Are these new rows worth using? Plain classifiers, trained with and without them, tell; a minute.

        Args:
            rows: new rows, such as those of :meth:`sample`.

        Returns:
            ``outcome`` ("use this", "no gain", "do not use this" or "not checked"), ``sentence``, and the
            figures behind it.
        """
        with arguments_named(ARGUMENTS):
            trained = self._known()
            manifest = Manifest.load(trained.data)
            examples = trained.examples(read_known(rows, trained.columns))
            if None in examples:
                raise UserError(f"row {examples.index(None)} (from 0) has no text or no label; remove it")
            real = {split: read_texts(trained.data, split) for split in manifest.splits}
            new = [example for example in examples if example is not None]
            names = [label.name for label in manifest.labels]
            with VerdictBar(always=self.verbose) as bar:
                found = judge_rows(names, real, new, trained.stages.request.seed, self._model(), bar.said)
        if self.verbose:
            print("\n".join([found.sentence, *describe(found)]))
        return found

    # -- on disk -----------------------------------------------------------------------------------------

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the trained model and its prepared rows, real text included, into a folder.

        Args:
            path: the folder; it appears whole or not at all.
            overwrite: replace an Augmenter that was saved there.
        """
        with arguments_named(ARGUMENTS):
            self._known().save(path, overwrite)

    @classmethod
    def load(
        cls,
        path: str | Path,
        folder: str | Path | None = None,
        verbose: bool = True,
        device: str = "cpu",
    ) -> "Augmenter":
        """An Augmenter that was saved; every file is held against its digest, and none is changed.

        Args:
            path: the folder.
            folder, verbose, device: as for a new one.

        Raises:
            UserError: not such a folder, or one that was altered or damaged.
        """
        with arguments_named(ARGUMENTS):
            augmenter = cls(folder=folder, verbose=verbose, device=device)
            augmenter._trained = Trained.load(path, augmenter._request.to)
            augmenter._request = augmenter._trained.stages.request
        return augmenter

    def _model(self) -> BayesJudge:
        """The model, to be asked for probabilities; it is read once."""
        if self._judge is None:
            self._judge = BayesJudge.load(self._known().checkpoint, self._known().data, self.device)
        return self._judge

    def _known(self) -> Trained:
        if self._trained is None:
            raise UserError("there is no model yet: call fit(rows), or Augmenter.load(path)")
        return self._trained
