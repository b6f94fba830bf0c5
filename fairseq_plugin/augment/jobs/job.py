"""The job of an augmentation: what its samples depend on, and how units of them are made."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from fairseq_plugin.augment.jobs.label_model import LabelModel, load_label_model
from fairseq_plugin.augment.label_counts import MAX_ID
from fairseq_plugin.core.bf16 import writes_in_bf16
from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.files import sha256
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.sample_units import sample_units
from fairseq_plugin.jobs.units import Unit
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.storage.manifest import NAME as MANIFEST


@dataclass(frozen=True)
class Settings:
    """How samples are drawn, by the names of fairseq's flags; -1 turns top-k and top-p off."""

    seed: int = 1
    temperature: float = 1.0
    sampling_topk: int = -1
    sampling_topp: float = -1.0
    max_len_b: int = 200
    compute_dtype: str | None = None  # None: bf16 on a GPU that has it, else as the model was trained

    def __post_init__(self) -> None:
        if self.max_len_b < 1:
            raise UserError(f"--max-len {self.max_len_b}: at least one new token is needed")
        if not 0 <= self.seed < 2**32:  # what fairseq's own commands take
            raise UserError(f"--seed {self.seed}: give a seed from 0 to {2**32 - 1:,}")
        if not (self.sampling_topk == -1 or self.sampling_topk > 0):
            raise UserError(f"--top-k {self.sampling_topk} must be positive; -1 turns it off")
        self.method()

    def method(self) -> Sampling:
        """How a token is drawn."""
        top_p = 1.0 if self.sampling_topp == -1 else self.sampling_topp
        try:
            return Sampling(self.temperature, max(self.sampling_topk, 0), top_p)
        except ValueError as error:
            raise UserError(f"--temperature, --top-k, --top-p: {error}") from error

    def to_json(self) -> dict[str, object]:
        """As the record of a ``fairseq-generate --sampling`` states it; the seed is told apart there."""
        stated: dict[str, object] = {"sampling": True, **asdict(self), "beam": 1, "nbest": 1, "min_len": 1}
        stated.pop("seed")
        return {**stated, "sampler": "keyed"}


@dataclass(frozen=True)
class MadeWith:
    """Everything that a job's samples depend on besides their ids."""

    manifest_sha256: str
    checkpoint_sha256: str
    seed: int
    settings: dict[str, object]
    labels: list[str]

    @classmethod
    def of(cls, data: str | Path, checkpoint: str | Path, settings: Settings) -> "MadeWith":
        """For these files as they are now.

        Raises:
            UserError: there are no such files.
        """
        manifest = Manifest.load(data)
        if not Path(checkpoint).is_file():
            raise UserError(f"--path: there is no checkpoint {checkpoint}; train one, or name another file")
        return cls(
            manifest_sha256=sha256(Path(data) / MANIFEST),
            checkpoint_sha256=sha256(checkpoint),
            seed=settings.seed,
            settings=settings.to_json(),
            labels=[label.name for label in manifest.labels],
        )


@dataclass(frozen=True)
class Job(UnitJob):
    """The job of an augmentation.

    Attributes:
        settings: how samples are drawn.
        made_with: what the samples depend on.
    """

    settings: Settings
    made_with: MadeWith

    kind: ClassVar[str] = "augmentation job"

    @property
    def facts(self) -> dict[str, Any]:
        return asdict(self.made_with)

    @property
    def num_labels(self) -> int:
        return len(self.made_with.labels)

    def load_model(self, device: str = "cpu") -> LabelModel:
        """The model of the job.

        Raises:
            UserError: the checkpoint has changed since the job was opened, or is not fit for the data.
        """
        dtype = self.settings.compute_dtype or ("bf16" if writes_in_bf16(device) else None)
        model = load_label_model(self.checkpoint, self.data, device, dtype)
        if model.sha256 != self.made_with.checkpoint_sha256:
            raise UserError(f"--path {self.checkpoint} changed since the job began; give the same file")
        return model

    def make(self, units: Sequence[Unit], model: LabelModel) -> Iterator[Unit]:
        """See :meth:`~fairseq_plugin.jobs.folder.UnitJob.make`.

        Raises:
            UserError: the model's logits are damaged (the message names the samples), or the disk is full.
        """
        of_lengths: dict[int, list[Unit]] = {}
        for unit in units:
            last = unit.ids(self.num_labels)[-1]
            if last > MAX_ID:
                raise UserError(
                    f"sample {last} is beyond the last sample id, {MAX_ID:,}: ask for fewer samples"
                )
            of_lengths.setdefault(min(self.settings.max_len_b, model.room(unit.label)), []).append(unit)
        for max_new, own in of_lengths.items():
            request = DecodingRequest(
                self.settings.method(), end=EOS, max_new=max_new, seed=self.settings.seed
            )
            with addressed_to_the_user(FloatingPointError):
                yield from sample_units(self, own, model.gpt2, request, model.symbols, model.prompts)


def open_job(
    folder: str | Path, data: str | Path, checkpoint: str | Path, settings: Settings | None = None
) -> Job:
    """Make a job folder, or go on with one.

    Args:
        folder: ``--to``.
        data: the prepared folder that the model was trained on.
        checkpoint: the model.
        settings: how samples are drawn.

    Raises:
        UserError: the folder holds another job or other things; the message names what differs.
    """
    job = describe_job(folder, data, checkpoint, settings)
    job.begin()
    return job


def describe_job(
    folder: str | Path, data: str | Path, checkpoint: str | Path, settings: Settings | None = None
) -> Job:
    """The job that :func:`open_job` opens, nothing written yet.

    Raises:
        UserError: there is no such data or checkpoint.
    """
    settings = settings or Settings()
    made_with = MadeWith.of(data, checkpoint, settings)
    return Job(Path(folder), Path(data), Path(checkpoint), settings, made_with)
