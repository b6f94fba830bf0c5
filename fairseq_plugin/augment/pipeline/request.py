"""What a person asks of augmentation: the flags of ``scripts/augment.py``."""

import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path

from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.augment.jobs.quota import MOST_TRIES, Limits
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled import parquet
from fairseq_plugin.labelled.guess import FORMATS
from fairseq_plugin.labelled.reading_flags import ReadingOptions

_SPLITS = {"train": ("train",), "valid": ("valid", "dev"), "test": ("test",)}


@dataclass(frozen=True)
class AugmentRequest:
    """What to augment, and how.

    Attributes:
        source: a file of labelled rows, or a folder with ``train.*`` and perhaps ``valid.*`` (``dev.*``) and
            ``test.*``; None with ``data``.
        to: folder for everything that is written.
        per_label: new sentences, as ``--samples-per-label`` reads it.
        valid, test: files beside ``source``; they take the place of a folder's.
        reading: how ``source`` is read.
        pretrained: folder of a GPT-2 to start from; None: from scratch.
        data: a prepared folder, instead of ``source``.
        path: a trained checkpoint, instead of training.
        gamma: of ScaleGrad, in (0, 1].
        seed: of the split, the training and the samples.
        epochs: most passes over the training set; None: by the size of the set.
        temperature, top_k, top_p: of sampling; no top_k: every token may come.
        max_len: most tokens of a sentence.
        spreadsheet_safe: put a mark before new texts that a spreadsheet would compute.
        form: of the new set's files; None: the source's own.
        scores: columns more: each sentence's log probability, and the probability of its label.
        soft_labels: columns more: the probability of every label.
        most_tries: samples per sentence asked for, after which a label is given up.
        compute_dtype: of the products while sentences are written; None: bf16 on a GPU that has it, else as
            the model was trained.
        workers: processes that write sentences.
        filters: which sentences are accepted.
        allow_fewer: go on with fewer new sentences where a label falls short.
        overwrite: where inputs or settings differ from an earlier run in ``to``, start again.
    """

    to: Path
    source: Path | None = None
    per_label: str = "500"
    valid: Path | None = None
    test: Path | None = None
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    pretrained: Path | None = None
    data: Path | None = None
    path: Path | None = None
    gamma: float = 0.5
    seed: int = 1
    epochs: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 0.95
    max_len: int = 100
    spreadsheet_safe: bool = False
    form: str | None = None
    scores: bool = False
    soft_labels: bool = False
    most_tries: float = MOST_TRIES
    compute_dtype: str | None = None
    workers: int = 1
    filters: FilterOptions = field(default_factory=FilterOptions)
    allow_fewer: bool = False
    overwrite: bool = False

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is written.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if (self.source is None) == (self.data is None):
            raise UserError("give a labelled file or folder, or else --data with a prepared folder")
        if self.data is not None and (unused := self.reading.words()):
            raise UserError(f"--data {self.data} is prepared: leave out {' '.join(unused)}, or give the file")
        if self.path is not None and self.data is None:
            raise UserError(f"--path {self.path} needs --data, the prepared folder that it was trained on")
        self._check_numbers()
        if not 0 < self.gamma <= 1:  # also NaN
            raise UserError(f"--gamma {self.gamma} must be in (0, 1]; 1 is maximum likelihood")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed {self.seed}: give a seed from 0 to {2**32 - 1:,}")
        if self.epochs is not None and self.epochs < 1:
            raise UserError(f"--epochs {self.epochs} must be at least 1")
        if not math.isfinite(self.temperature) or self.temperature <= 0:
            raise UserError(f"--temperature {self.temperature} must be above 0")
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top-p {self.top_p} must be in (0, 1]; 1 keeps every token")
        for flag, value in (("top-k", self.top_k), ("max-len", self.max_len), ("workers", self.workers)):
            if value is not None and value < 1:
                raise UserError(f"--{flag} {value} must be at least 1")
        Limits(most_tries=self.most_tries)
        if self.form == parquet.FORMAT:
            parquet.require_pyarrow()
        for flag, path in (("--valid", self.valid), ("--test", self.test)):
            if path is not None and not path.is_file():
                raise UserError(f"{flag} {path}: there is no such file")
        for flag, path in (("--data", self.data), ("--from", self.pretrained)):
            if path is not None and not path.is_dir():
                raise UserError(f"{flag} {path} is not a folder")
        if self.path is not None and not self.path.is_file():
            raise UserError(f"--path {self.path}: there is no such checkpoint")

    def _check_numbers(self) -> None:
        """Callers from Python may give anything."""
        for name, kind, told in (
            *(
                (name, Integral, "a whole number")
                for name in ("seed", "epochs", "top_k", "max_len", "workers")
            ),
            *((name, Real, "a number") for name in ("gamma", "temperature", "top_p", "most_tries")),
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise UserError(f"--{name.replace('_', '-')} {value!r}: give {told}")

    def files(self) -> dict[str, Path]:
        """The source's files by split; train is always there.

        Raises:
            UserError: there is no such file, or more than one for a split.
        """
        assert self.source is not None
        if self.source.is_dir():
            found = {split: _file_of(self.source, names) for split, names in _SPLITS.items()}
            if found["train"] is None:
                names = ", ".join(f"train{ending}" for ending in FORMATS)
                raise UserError(f"{self.source} holds none of {names}; name the file itself")
        elif self.source.is_file():
            if self.source.suffix.lower() not in FORMATS and self.reading.source_format == "auto":
                raise UserError(
                    f"{self.source}: its ending is none of {', '.join(FORMATS)}; rename it, or give "
                    "--source-format tsv, csv or jsonl"
                )
            found = {"train": self.source}
        else:
            raise UserError(f"{self.source}: there is no such file or folder")
        found |= {"valid": self.valid or found.get("valid"), "test": self.test or found.get("test")}
        return {split: path for split, path in found.items() if path is not None}


def _file_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    found = [folder / f"{name}{ending}" for name in names for ending in FORMATS]
    found = [path for path in found if path.is_file()]
    if len(found) > 1:
        raise UserError(f"{folder} holds {', '.join(path.name for path in found)}: keep one of them")
    return found[0] if found else None
