"""A trained model with what its user calls things."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fairseq_plugin.augment.judges.score_columns import ScoreColumns
from fairseq_plugin.augment.notebook.frames import Columns, LabelValue, Table, label_value
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import label_name
from fairseq_plugin.stages.stage import ROOT
from fairseq_plugin.storage.saved_model import CHECKPOINT, DATA, SavedKind

KIND = SavedKind("Augmenter")
SAVED_SETTINGS = ("gamma", "seed", "temperature", "top_k", "top_p", "max_len")


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        stages: that made it.
        columns: names of the user's columns.
        labels: the user's own value of each label, by name, in the order of the labels.
    """

    stages: Stages
    columns: Columns
    labels: dict[str, LabelValue]

    @property
    def data(self) -> Path:
        """The prepared folder."""
        return ROOT / self.stages.data

    @property
    def checkpoint(self) -> Path:
        """The model."""
        return ROOT / self.stages.checkpoint

    def name(self, label: LabelValue) -> str:
        """The name that preparation gave a label: one of the user's own values, or the name itself.

        Raises:
            UserError: the model does not know it.
        """
        value = label_value(label)
        name = self._names.get((type(value), value)) or label_name(value)
        if name not in self.labels:
            listed = ", ".join(map(repr, self.labels.values()))
            raise UserError(f"there is no label {label!r}; the labels are {listed}")
        return name

    @functools.cached_property
    def _names(self) -> dict[tuple[type, LabelValue | None], str]:
        known = [(label_value(value), name) for name, value in self.labels.items()]  # saved ones may hold 1.0
        return {(type(value), value): name for value, name in known}  # True is not 1 here

    def asked(self, n: int | Mapping[LabelValue, int], labels: Sequence[LabelValue] | None) -> dict[str, int]:
        """How many new rows of each label, by name.

        Raises:
            UserError: unknown labels, or numbers said twice.
        """
        if isinstance(n, Mapping):
            if labels is not None:
                raise UserError("labels: n says already how many of each label; give one of the two")
            return {self.name(label): count for label, count in n.items()}
        if isinstance(labels, (str, bytes)):
            raise UserError(f"labels {labels!r}: give a list of labels")
        return {self.name(label): n for label in (self.labels.values() if labels is None else labels)}

    def score_columns(self, soft_labels: bool) -> list[str]:
        """Names of the columns after the user's own.

        Raises:
            UserError: one of the user's own has such a name.
        """
        names = ScoreColumns.asked_for(True, soft_labels, [*self.labels]).names
        if taken := [name for name in names if name in self.columns.names]:
            raise UserError(f"soft_labels: a column of the rows is called {taken[0]!r} already; rename it")
        return names

    def examples(self, table: Table) -> list[tuple[int, str] | None]:
        """Label index and text of each row, as preparation keeps it; None where one is missing or blank."""
        manifest, examples = Manifest.load(self.data), []
        for text, label in zip(table.texts, table.labels, strict=True):
            if text is None or label is None or not text.strip():
                examples.append(None)
                continue
            kept = text if manifest.source.keep_whitespace else text.strip()
            examples.append((manifest.label_index(self.name(label)), kept))
        return examples

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the folder; it appears whole or not at all.

        Raises:
            UserError: something is there that must not be replaced, or it cannot be written.
        """
        content: dict[str, object] = {
            "settings": {name: getattr(self.stages.request, name) for name in SAVED_SETTINGS},
            "columns": asdict(self.columns),
            "labels": [[name, value] for name, value in self.labels.items()],
        }
        files = Manifest.load(self.data).files
        KIND.save(path, content, self.data, files, self.checkpoint, overwrite)

    @classmethod
    def load(cls, path: str | Path, to: Path) -> "Trained":
        """Read such a folder; nothing in it is changed.

        Args:
            path: the folder.
            to: where samples will be written.

        Raises:
            UserError: not such a folder, or a file of it is not the one that was saved.
        """
        path = Path(path).absolute()
        content = KIND.load(path)
        try:
            columns, labels = Columns(**content["columns"]), dict(content["labels"])
            settings = {name: content["settings"][name] for name in SAVED_SETTINGS}
            request = AugmentRequest(to=to, data=path / DATA, path=path / CHECKPOINT, **settings)
            request.check()
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path / KIND.file_name} is not one of this version: {error!r}") from error
        return cls(Stages(request), columns, labels)
