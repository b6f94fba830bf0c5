"""What a generation of ``--gen-subset augment`` was, as its record states it, checked for its types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_plugin.augment.label_counts import SampleIds
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sealed import KEY, is_sealed

KIND = "augment"
RECORD = f"{KIND}.json"
_KINDS: dict[str, type] = {
    "manifest_sha256": str, "checkpoint": list, "checkpoint_sha256": list, "seed": int, "settings": dict,
    "labels": list, "counts": list, "first_sample": int, "shard": list,
}  # fmt: skip


@dataclass(frozen=True)
class RunFacts:
    """One run of ``fairseq-generate``, or one shard of it.

    Attributes:
        data: the prepared folder, as it was given.
        manifest_sha256: of that folder's manifest.
        checkpoint, checkpoint_sha256: the models.
        seed, settings: what the samples depend on besides.
        labels: names, in the data's order.
        counts: samples asked for per label, all shards together.
        first_sample: ``--first-sample``.
        shard: ``(number, how many)``.
        started: date and time, or None where the record does not tell.
    """

    data: str
    manifest_sha256: str
    checkpoint: list[str]
    checkpoint_sha256: list[str]
    seed: int
    settings: dict[str, object]
    labels: list[str]
    counts: list[int]
    first_sample: int
    shard: tuple[int, int]
    started: str | None

    @property
    def ids(self) -> SampleIds:
        """The ids asked for, all shards together."""
        return SampleIds(tuple(self.counts), self.first_sample)

    @classmethod
    def parse(cls, stated: Mapping[str, Any], path: Path) -> "RunFacts":
        """From the content of a record; ``path`` is for messages.

        Raises:
            UserError: a part is missing or of another type.
        """
        for name, kind in _KINDS.items():
            if not isinstance(stated.get(name), kind):
                found = stated.get(name)
                raise UserError(f"{path}: {name!r} is {found!r}, not a {kind.__name__}; generate again")
        found = {name: stated[name] for name in _KINDS}
        counts, shard = found["counts"], found["shard"]
        if len(counts) != len(found["labels"]) or not all(type(n) is int and n >= 0 for n in counts):
            raise UserError(f"{path}: counts {counts!r} does not give one number per label; generate again")
        if len(shard) != 2 or not all(type(n) is int for n in shard) or not 0 <= shard[0] < shard[1]:
            raise UserError(f"{path}: shard is {shard!r}, not [number, count]; generate again")
        started = stated.get("started")
        found["shard"] = tuple(shard)
        return cls(data=str(stated.get("data")), started=None if started is None else str(started), **found)


@dataclass(frozen=True)
class Record:
    """``augment.json``.

    Attributes:
        facts: what the run was.
        seconds: it took; None where the record does not tell.
        sealed: whether it carries its own digest, and the digest is right; records of older versions have
            none.
    """

    facts: RunFacts
    seconds: float | None
    sealed: bool


def read_record(folder: str | Path) -> Record:
    """Read and check ``augment.json`` of a results folder.

    Raises:
        UserError: missing, damaged, of another format or version, a part missing, or of a run cut short.
    """
    path = Path(folder) / RECORD
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; --task conditional_augmentation writes it when fairseq-generate "
            "--gen-subset augment has finished: give that command's --results-path"
        )
    try:
        written = path.read_bytes()
        stated = json.loads(written.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise UserError(f"{path} is not JSON ({error}); run fairseq-generate again") from error
    if not isinstance(stated, dict) or stated.get("format") != KIND:
        raise UserError(f'{path} is not an augmentation record ("format": "augment"); give a --results-path')
    if stated.get("version") != 1:
        raise UserError(f"{path} has version {stated.get('version')!r}, this program reads 1; generate again")
    if KEY in stated and not is_sealed(stated, written):
        raise UserError(f"{path} is not as it was written: it is damaged; run fairseq-generate again")
    facts = RunFacts.parse(stated, path)
    if stated.get("complete") is not True:
        raise UserError(
            f"{path}: the generation was cut short ({stated.get('done')} of {stated.get('expected')} "
            "samples); run fairseq-generate again"
        )
    seconds = stated.get("seconds")
    return Record(facts, float(seconds) if isinstance(seconds, (int, float)) else None, KEY in stated)
