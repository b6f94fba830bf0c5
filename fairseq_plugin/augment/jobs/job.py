"""A job folder: what its samples depend on (``job.json``), and one file per finished unit of work.

:func:`run_units` is the one method that works; executors only decide where.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fairseq_plugin.augment.jobs.label_model import LabelModel, load_label_model
from fairseq_plugin.augment.jobs.units import Unit, UnitSamples, read_unit, write_unit
from fairseq_plugin.augment.label_counts import MAX_ID
from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.files import sha256, writing_errors
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool, default_slots
from fairseq_plugin.sampling.request import Continuation, DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.storage.sample_file import SampleLine
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

NAME = "job.json"
UNITS = "units"
FORMAT, VERSION = "augmentation job", 1


@dataclass(frozen=True)
class Settings:
    """How samples are drawn, by the names of fairseq's flags; -1 turns top-k and top-p off."""

    seed: int = 1
    temperature: float = 1.0
    sampling_topk: int = -1
    sampling_topp: float = -1.0
    max_len_b: int = 200
    compute_dtype: str | None = None  # None: as the model was trained

    def __post_init__(self) -> None:
        if self.max_len_b < 1:
            raise UserError(f"--max-len-b {self.max_len_b}: at least one new token is needed")
        if not 0 <= self.seed < 2**32:  # what fairseq's own commands take
            raise UserError(f"--seed {self.seed}: give a seed from 0 to {2**32 - 1:,}")
        if not (self.sampling_topk == -1 or self.sampling_topk > 0):
            raise UserError(f"--sampling-topk {self.sampling_topk} must be positive; -1 turns it off")
        self.method()

    def method(self) -> Sampling:
        """How a token is drawn."""
        top_p = 1.0 if self.sampling_topp == -1 else self.sampling_topp
        try:
            return Sampling(self.temperature, max(self.sampling_topk, 0), top_p)
        except ValueError as error:
            raise UserError(f"--temperature, --sampling-topk, --sampling-topp: {error}") from error

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

    def digest(self) -> str:
        """Tells a job's units from those of others."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()


@dataclass(frozen=True)
class Job:
    """A job folder that is open for work.

    Attributes:
        folder: ``--to``.
        data: the prepared folder.
        checkpoint: ``--path``.
        settings: how samples are drawn.
        made_with: what the samples depend on.
    """

    folder: Path
    data: Path
    checkpoint: Path
    settings: Settings
    made_with: MadeWith

    @property
    def units(self) -> Path:
        """The folder of the units' files."""
        return self.folder / UNITS

    @property
    def num_labels(self) -> int:
        return len(self.made_with.labels)

    def load_model(self, device: str = "cpu") -> LabelModel:
        """The model of the job.

        Raises:
            UserError: the checkpoint has changed since the job was opened, or is not fit for the data.
        """
        model = load_label_model(self.checkpoint, self.data, device, self.settings.compute_dtype)
        if model.sha256 != self.made_with.checkpoint_sha256:
            raise UserError(f"--path {self.checkpoint} changed since the job began; give the same file")
        return model

    def begin(self) -> None:
        """Make the folder, or make sure that it is of this very job.

        Raises:
            UserError: it holds another job or other things; the message names what differs.
        """
        path = self.folder / NAME
        if path.exists():
            _require_same(path, self.made_with)
        elif self.folder.exists() and any(
            entry.name != UNITS for entry in self.folder.iterdir() if entry.name[0] != "."
        ):
            raise UserError(f"--to {self.folder} holds other things than a job; name another folder")
        with writing_errors(self.folder, self.units):
            self.units.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            stated = {"format": FORMAT, "version": VERSION, "data": self.data.resolve().name}
            write_sealed(path, {**stated, **asdict(self.made_with)})

    def read(self, unit: Unit) -> UnitSamples:
        """What a finished unit holds; see :func:`~fairseq_plugin.augment.jobs.units.read_unit`."""
        return read_unit(self.units, unit, self.made_with.digest(), self.num_labels)

    def is_done(self, unit: Unit) -> bool:
        """Whether a unit's file has its name, whatever is in it."""
        return unit.path(self.units).is_file()

    def set_aside(self, unit: Unit) -> None:
        """Rename a unit's file, which is not as it was written, so that the unit is made again."""
        path = unit.path(self.units)
        with suppress(FileNotFoundError):  # another rank was quicker
            path.rename(path.with_name(f"{path.name}.damaged"))


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


def _require_same(path: Path, made_with: MadeWith) -> None:
    stated = _read(path)
    theirs, ours = {name.name: stated.get(name.name) for name in fields(MadeWith)}, asdict(made_with)
    if theirs == ours:
        return
    settings = theirs.pop("settings")
    theirs |= settings if isinstance(settings, dict) else {}
    ours |= ours.pop("settings")  # tell the one that differs
    differing = [
        f"{name} {_brief(theirs.get(name))}, now {_brief(ours.get(name))}"
        for name in {**theirs, **ours}
        if theirs.get(name) != ours.get(name)
    ]
    raise UserError(
        f"--to {path.parent} holds a job of other settings ({'; '.join(differing)}); give the "
        "same, or name another folder"
    )


def _read(path: Path) -> dict[str, Any]:
    if (stated := read_sealed(path)) is None:
        raise UserError(f"{path} is damaged: its digest is not its own; restore it, or name another folder")
    if stated.get("format") != FORMAT or stated.get("version") != VERSION:
        raise UserError(f"{path} is not a job of this version ({FORMAT!r}, {VERSION}); name another folder")
    return stated


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def run_units(job: Job, units: Sequence[Unit], model: LabelModel) -> Iterator[Unit]:
    """Sample units together: what their samples share is read once, and slots are refilled to the last.

    Yields:
        Each unit, as soon as its file is written.

    Raises:
        UserError: the model's logits are damaged (the message names the samples), or the disk is full.
    """
    of_lengths: dict[int, list[Unit]] = {}
    for unit in units:
        last = unit.ids(job.num_labels)[-1]
        if last > MAX_ID:
            raise UserError(f"sample {last} is beyond the last sample id, {MAX_ID:,}: ask for fewer samples")
        of_lengths.setdefault(min(job.settings.max_len_b, model.room(unit.label)), []).append(unit)
    for max_new, own in of_lengths.items():
        with addressed_to_the_user(FloatingPointError):
            yield from _run(job, own, max_new, model)


def _run(job: Job, units: Sequence[Unit], max_new: int, model: LabelModel) -> Iterator[Unit]:
    began = time.monotonic()
    request = DecodingRequest(job.settings.method(), end=EOS, max_new=max_new, seed=job.settings.seed)
    longest = max(len(model.prompts[unit.label]) for unit in units)
    num_slots = min(default_slots(model.gpt2, longest + max_new), sum(unit.count for unit in units))
    unit_of = {sample_id: unit for unit in units for sample_id in unit.ids(job.num_labels)}
    lines: dict[Unit, list[SampleLine]] = {unit: [] for unit in units}
    groups = [(model.prompts[unit.label], unit.ids(job.num_labels)) for unit in units]
    for one in SamplePool(model.gpt2, request, longest, num_slots).run(groups):
        unit = unit_of[one.sample_id]
        lines[unit].append(_line(model, one.sample_id, one.continuation))
        if len(lines[unit]) == unit.count:
            whole = sorted(lines.pop(unit), key=lambda line: line.id)
            now = time.monotonic()
            write_unit(job.units, unit, job.made_with.digest(), whole, round(now - began, 3))
            began = now  # the seconds of all units add up to those that passed
            yield unit


def _line(model: LabelModel, sample_id: int, found: Continuation) -> SampleLine:
    symbols = " ".join(model.symbols[index] for index in found.tokens.tolist() if index != EOS)
    return SampleLine(sample_id, 0, symbols, found.ended, float(found.scores.double().sum()))
