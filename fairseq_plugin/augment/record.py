"""What a run of ``fairseq-generate`` was, written beside its samples."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from fairseq_plugin.files import atomic_write, sha256

_SECONDS_BETWEEN_WRITES = 30


class GenerationRecord:
    """Counts what was generated and keeps the record ``FORMAT.json`` up to date.

    Args:
        folder: ``--results-path``.
        kind: what the record is called, ``"augment"`` or ``"completions"``.
        facts: everything known before the first sample (data, checkpoint, seed, settings, counts).
        expected: number of sample ids of this shard.
    """

    def __init__(self, folder, kind, facts, expected):
        self.path = Path(folder) / f"{kind}.json"
        self.expected, self.done, self.tokens = expected, 0, 0
        self.began = self.written = time.monotonic()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self.facts = {"format": kind, "version": 1, **facts, "started": started}
        self._write()

    @property
    def complete(self):
        """Whether every sample was counted."""
        return self.done == self.expected

    def add(self, hypotheses):
        """Count one batch: a list of hypotheses per sample."""
        self.done += len(hypotheses)
        self.tokens += sum(len(one["positional_scores"]) for many in hypotheses for one in many)
        if self.complete or time.monotonic() - self.written > _SECONDS_BETWEEN_WRITES:
            self._write()

    def _write(self):
        self.written = time.monotonic()
        state = {
            "complete": self.complete,
            "expected": self.expected,
            "done": self.done,
            "tokens": self.tokens,
            "seconds": round(self.written - self.began, 3),
        }
        with atomic_write(self.path) as stream:
            json.dump({**self.facts, **state}, stream, indent=1, ensure_ascii=False)
            stream.write("\n")


def facts_of_run(config, settings, shard, **more):
    """The unchanging part of a record.

    Args:
        config: the task's configuration (``data``, ``path``, ``seed``, ``first_sample``).
        settings: the generation flags in force.
        shard: ``[rank, world size]``.
        more: what else there is to say.
    """
    checkpoints = config.path.split(":")
    return {
        "data": str(config.data),
        "manifest_sha256": sha256(Path(config.data) / "manifest.json"),
        "checkpoint": checkpoints,
        "checkpoint_sha256": [sha256(path) for path in checkpoints],
        "seed": config.seed,
        "settings": settings,
        "first_sample": config.first_sample,
        "shard": shard,
        **more,
    }
