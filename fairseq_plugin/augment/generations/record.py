"""What ``fairseq-generate`` leaves in ``--results-path`` besides what it prints: the samples, and a record
of the run.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import torch

from fairseq_plugin.files import sha256
from fairseq_plugin.storage.lock import FolderLock
from fairseq_plugin.storage.sample_file import SampleLine, SampleWriter, finished_path
from fairseq_plugin.storage.sealed import write_sealed

Hypothesis = Mapping[str, torch.Tensor]


class RunConfig(Protocol):
    """The settings of a task that a record tells."""

    data: str
    path: str | None
    seed: int
    first_sample: int
    results_path: str | None


class GenerationRecord:
    """Keeps every sample on disk as it comes (``KIND.samples.jsonl``); at the end writes the record
    ``KIND.json``.

    Until then whatever an earlier run has left is as it was.

    Args:
        folder: ``--results-path``.
        kind: what the record is called, ``"augment"`` or ``"completions"``.
        facts: everything known before the first sample; see :func:`facts_of_run`.
        expected: number of sample ids of this shard.
        symbols: token indices, ``(T,)`` -> the dictionary's symbols, joined by spaces.
        nbest: texts per sample that fairseq prints, >= 1.
    """

    def __init__(
        self,
        folder: str | Path,
        kind: str,
        facts: Mapping[str, object],
        expected: int,
        symbols: Callable[[torch.Tensor], str],
        nbest: int = 1,
    ) -> None:
        self.folder, self.kind, self.expected = Path(folder), kind, expected
        self.facts = {**facts, "started": datetime.now(UTC).isoformat(timespec="seconds")}
        self._symbols, self._nbest = symbols, nbest
        self._writer = SampleWriter(folder, kind, self.facts, expected)
        self._lock = generation_lock(folder, kind)
        self._began = time.monotonic()

    @property
    def complete(self) -> bool:
        """Whether every sample was added."""
        return self._writer.num_samples == self.expected

    def add(self, sample_ids: Sequence[int], hypotheses: Iterable[Sequence[Hypothesis]]) -> None:
        """Write one batch: per sample its hypotheses, best first.

        Raises:
            UserError: another process writes there, or the disk is full.
        """
        if not self._writer.num_samples:
            self._lock.acquire()
        self._writer.add(map(self._lines, sample_ids, hypotheses))

    def close(self) -> None:
        """Let others write there; the samples so far stay where they are."""
        self._lock.release()

    def finish(self, also: Iterable[Path] = ()) -> None:
        """Publish the samples, then the record.

        Args:
            also: other files of this run, whose digests the record shall tell.
        """
        seconds = round(time.monotonic() - self._began, 3)
        self._writer.finish(seconds)
        files = [finished_path(self.folder, self.kind), *also]
        done = {
            "complete": self.complete,
            "expected": self.expected,
            "done": self._writer.num_samples,
            "tokens": self._writer.num_tokens,
            "seconds": seconds,
            "files": {path.name: sha256(path) for path in files},
        }
        path = self.folder / f"{self.kind}.json"
        write_sealed(path, {"format": self.kind, "version": 1, **self.facts, **done})
        self.close()

    def _lines(self, sample_id: int, hypotheses: Sequence[Hypothesis]) -> list[SampleLine]:
        lines = []
        for rank, one in enumerate(hypotheses[: self._nbest]):
            symbols, scores = self._symbols(one["tokens"]), one["positional_scores"]
            # A text that was cut has as many scores as tokens; one that ended has the end token's too.
            ended = len(scores) > len(one["tokens"])
            lines.append(SampleLine(int(sample_id), rank, symbols, ended, float(scores.double().sum())))
        return lines


@contextmanager
def closing_on_error(record: GenerationRecord | None) -> Iterator[None]:
    """Close a record, if there is one, when the block ends in an error."""
    try:
        yield
    except BaseException:
        if record is not None:
            record.close()
        raise


def generation_lock(folder: str | Path, kind: str) -> FolderLock:
    """The lock that a generation holds while it writes to ``--results-path``; it is inside that folder."""
    return FolderLock(Path(folder) / kind, "--results-path")


def facts_of_run(
    config: RunConfig, settings: Mapping[str, object], shard: Sequence[int], **more: object
) -> dict[str, object]:
    """The unchanging part of a record.

    Args:
        config: the task's configuration.
        settings: the generation flags in force.
        shard: ``[rank, world size]``.
        more: what else there is to say.
    """
    checkpoints = (config.path or "").split(":")
    return {
        "data": str(config.data),
        "manifest_sha256": sha256(Path(config.data) / "manifest.json"),
        "checkpoint": checkpoints,
        "checkpoint_sha256": [sha256(path) for path in checkpoints],
        "seed": config.seed,
        "settings": dict(settings),
        "first_sample": config.first_sample,
        "shard": list(shard),
        **more,
    }
