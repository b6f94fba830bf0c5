"""A job's folder: what its samples depend on (``job.json``), and one file per finished unit of work."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import writing_errors
from fairseq_plugin.jobs.units import Unit, UnitSamples, read_unit
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

NAME = "job.json"
UNITS = "units"
VERSION = 1


def digest_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 of a job's facts."""
    return hashlib.sha256(json.dumps(dict(facts)).encode()).hexdigest()


@dataclass(frozen=True)
class UnitJob(ABC):
    """Samples that are made unit by unit, in this process or in others that share the folder.

    Attributes:
        folder: of the job.
        data: the prepared folder that the model was trained on.
        checkpoint: the model.
        kind: of the job, as ``job.json`` states it.
    """

    folder: Path
    data: Path
    checkpoint: Path

    kind: ClassVar[str]

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Everything that the samples depend on besides their ids, in JSON's types."""

    @property
    @abstractmethod
    def num_labels(self) -> int:
        """Labels among which the ids are dealt out; 1 where there are none."""

    @abstractmethod
    def load_model(self, device: str = "cpu") -> Any:
        """The model of the job.

        Raises:
            UserError: the checkpoint has changed since the job was opened, or is not fit for the data.
        """

    @abstractmethod
    def make(self, units: Sequence[Unit], model: Any) -> Iterator[Unit]:
        """Sample units together.

        Args:
            units: to be made.
            model: from :meth:`load_model`.

        Yields:
            Each unit, as soon as its file is written.
        """

    @property
    def units(self) -> Path:
        """The folder of the units' files."""
        return self.folder / UNITS

    @property
    def digest(self) -> str:
        """Tells a job's units from those of others."""
        return digest_of(self.facts)

    def begin(self) -> None:
        """Make the folder, or make sure that it is of this very job.

        Raises:
            UserError: it holds another job or other things; the message names what differs.
        """
        path = self.folder / NAME
        if path.exists():
            self._require_same(path)
        elif self.folder.exists() and any(
            entry.name != UNITS for entry in self.folder.iterdir() if entry.name[0] != "."
        ):
            raise UserError(f"--to {self.folder} holds other things than a job; name another folder")
        with writing_errors(self.folder, self.units):
            self.units.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            stated = {"format": self.kind, "version": VERSION, "data": self.data.resolve().name}
            write_sealed(path, {**stated, **self.facts})

    def read(self, unit: Unit) -> UnitSamples:
        """What a finished unit holds; see :func:`~fairseq_plugin.jobs.units.read_unit`."""
        return read_unit(self.units, unit, self.digest, self.num_labels)

    def is_done(self, unit: Unit) -> bool:
        """Whether a unit's file has its name, whatever is in it."""
        return unit.path(self.units).is_file()

    def set_aside(self, unit: Unit) -> None:
        """Rename a unit's file, which is not as it was written, so that the unit is made again."""
        path = unit.path(self.units)
        with suppress(FileNotFoundError):  # another rank was quicker
            path.rename(path.with_name(f"{path.name}.damaged"))

    def _require_same(self, path: Path) -> None:
        stated = self._read(path)
        theirs, ours = {name: stated.get(name) for name in self.facts}, self.facts
        if theirs == ours:
            return
        theirs, ours = _spread(theirs), _spread(ours)  # tell the setting that differs
        differing = [
            f"{name} {_brief(theirs.get(name))}, now {_brief(ours.get(name))}"
            for name in {**theirs, **ours}
            if theirs.get(name) != ours.get(name)
        ]
        raise UserError(
            f"--to {path.parent} holds a job of other settings ({'; '.join(differing)}); give the "
            "same, or name another folder"
        )

    def _read(self, path: Path) -> dict[str, Any]:
        if (stated := read_sealed(path)) is None:
            raise UserError(
                f"{path} is damaged: its digest is not its own; restore it, or name another folder"
            )
        if stated.get("format") != self.kind or stated.get("version") != VERSION:
            raise UserError(f"{path} is not a {self.kind} of version {VERSION}; name another folder")
        return stated


def _spread(facts: Mapping[str, Any]) -> dict[str, Any]:
    settings = facts.get("settings")
    rest = {name: value for name, value in facts.items() if name != "settings"}
    return rest | settings if isinstance(settings, dict) else rest


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."
