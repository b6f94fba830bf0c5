"""One set of samples out of several results folders: every sample exactly once, all of one kind.

Folders may be the shards of one distributed ``fairseq-generate``, and a later run that goes on
where an earlier one stopped (``--first-sample``), in any order.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fairseq_plugin.augment.generations.read import Sample
from fairseq_plugin.augment.generations.results import Decode, Results
from fairseq_plugin.augment.generations.run_facts import RunFacts
from fairseq_plugin.augment.label_counts import SampleIds
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256

# What all folders must share: the model, the data, and everything a text depends on.
_SHARED = ("manifest_sha256", "labels", "checkpoint_sha256", "seed", "settings")


@dataclass(frozen=True)
class Part:
    """What one results folder contributed.

    Attributes:
        folder: its name.
        file, sha256: of the samples.
        verified: whether checksums cover them; not so for what an older version printed.
        first_sample, counts, shard: what was asked for.
        samples, tokens: what was found.
        seconds, started: of the run; None where it does not tell.
    """

    folder: str
    file: str
    sha256: str
    verified: bool
    first_sample: int
    counts: list[int]
    shard: tuple[int, int]
    samples: int
    tokens: int
    seconds: float | None
    started: str | None

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "shard": list(self.shard)}


@dataclass(frozen=True)
class Generation:
    """All samples that were asked for.

    Attributes:
        samples: in the order of their ids.
        labels: their label indices.
        facts: of the first folder.
        parts: what each folder contributed.
    """

    samples: list[Sample]
    labels: list[int]
    facts: RunFacts
    parts: list[Part]

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.parts)

    @property
    def seconds(self) -> float | None:
        """Seconds of all folders added up, or None where one does not tell."""
        seconds = [part.seconds for part in self.parts if part.seconds is not None]
        return round(sum(seconds), 3) if len(seconds) == len(self.parts) else None


def gather(
    folders: Sequence[str | Path],
    decode: Decode,
    prompts: Sequence[str],
    label_names: Sequence[str],
    manifest_sha256: str,
    data: str | Path,
) -> Generation:
    """Read and check the results folders.

    Args:
        folders: ``--results-path`` of every run, in any order.
        decode: ids -> text.
        prompts: prompt text per label index.
        label_names: names of the data's labels, in order.
        manifest_sha256: hash of the data's ``manifest.json``.
        data: the data folder, for messages.

    Raises:
        UserError: a folder of other data or of another model, a shard or a sample missing or there twice.
    """
    results = _read_all([Path(folder) for folder in folders])
    for own in results:
        if own.facts.manifest_sha256 != manifest_sha256 or own.facts.labels != list(label_names):
            raise UserError(
                f"{own.folder} was made with the data {own.facts.data!r} (manifest "
                f"{own.facts.manifest_sha256[:12]}), --data {data} is another (manifest "
                f"{manifest_sha256[:12]}); give the data the samples were made with"
            )
    _check_one_kind(results)
    runs = _all_ids(results)
    found: dict[int, Sample] = {}
    home: dict[int, Path] = {}
    parts = []
    for own in results:
        num_samples, num_tokens = 0, 0
        for sample in own.samples(decode, prompts):
            if sample.id in home:
                raise UserError(
                    f"sample {sample.id} is there twice: in {home[sample.id]} and in {own.path}; give each "
                    "run once, and generate with --nbest 1"
                )
            found[sample.id], home[sample.id] = sample, own.path
            num_samples, num_tokens = num_samples + 1, num_tokens + sample.num_tokens
        parts.append(_part(own, num_samples, num_tokens))
    _check_complete(runs, found, results)
    ids = sorted(found)
    # Sample k of label i of L has the id k * L + i.
    return Generation([found[i] for i in ids], [i % len(label_names) for i in ids], results[0].facts, parts)


def _read_all(folders: list[Path]) -> list[Results]:
    """Every folder, sorted by first sample and shard."""
    results: dict[Path, Results] = {}
    for folder in folders:
        if folder in results:
            raise UserError(f"the results folder {folder} is given twice; give each one once")
        results[folder] = Results.read(folder)
    return sorted(results.values(), key=lambda own: (own.facts.first_sample, own.facts.shard))


def _check_one_kind(results: list[Results]) -> None:
    """Same data, model, seed and settings everywhere."""
    first, *others = results
    for own in others:
        for part in _SHARED:
            left, right = getattr(first.facts, part), getattr(own.facts, part)
            if left != right:
                raise UserError(
                    f"{first.folder} and {own.folder} do not belong together: their {part} differ "
                    f"({_brief(left)} and {_brief(right)}); collect them one by one"
                )


def _all_ids(results: list[Results]) -> list[SampleIds]:
    """The ids of all runs; every run with all its shards, no id in two runs."""
    runs: dict[tuple[int, tuple[int, ...], int], dict[int, Results]] = {}
    for own in results:
        facts, (number, count) = own.facts, own.facts.shard
        shards = runs.setdefault((facts.first_sample, tuple(facts.counts), count), {})
        if number in shards:
            raise UserError(
                f"{shards[number].folder} and {own.folder} hold the same samples (shard {number} of {count} "
                f"from --first-sample {facts.first_sample}); give one of them"
            )
        shards[number] = own
    every: list[SampleIds] = []
    for (first, counts, count), shards in runs.items():
        missing = list(itertools.islice((str(n) for n in range(count) if n not in shards), 20))
        if missing:
            raise UserError(
                f"shard {', '.join(missing)} of {count} (--first-sample {first}) is missing; give the "
                "--results-path of every shard"
            )
        asked = SampleIds(counts, first)
        shared = [i for other in every if (i := asked.first_shared(other)) is not None]
        if shared:
            raise UserError(
                f"sample {min(shared)} was asked for in two runs, one of them "
                f"{next(iter(shards.values())).folder}; "
                "collect runs whose --first-sample and --samples-per-label do not overlap"
            )
        every.append(asked)
    return every


def _check_complete(runs: list[SampleIds], found: Mapping[int, Sample], results: list[Results]) -> None:
    # Every id that was found was asked for, and no two runs share one: the numbers tell.
    expected = sum(map(len, runs))
    if len(found) < expected:
        missing = list(itertools.islice((i for ids in runs for i in ids if i not in found), 6))
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        folders = ", ".join(str(own.folder) for own in results)
        raise UserError(
            f"{expected - len(found):,} of {expected:,} samples are missing from {folders} "
            f"(ids {shown}); the file was cut short or --quiet was given: run fairseq-generate again"
        )


def _part(own: Results, num_samples: int, num_tokens: int) -> Part:
    return Part(
        folder=own.folder.name,
        file=own.path.name,
        sha256=sha256(own.path),
        verified=own.verified,
        first_sample=own.facts.first_sample,
        counts=own.facts.counts,
        shard=own.facts.shard,
        samples=num_samples,
        tokens=num_tokens,
        seconds=own.seconds,
        started=own.facts.started,
    )


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
