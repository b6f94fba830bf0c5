"""``augment.json``: what a run of ``fairseq-generate`` was, written beside its samples."""

import json
import time
from datetime import datetime, timezone
from pathlib import Path

from fairseq_plugin.files import atomic_write, sha256

FILE_NAME = "augment.json"
_SECONDS_BETWEEN_WRITES = 30


class GenerationRecord:
    """Counts what was generated and keeps ``augment.json`` up to date.

    Args:
        folder: ``--results-path``.
        facts: everything known before the first sample (data, checkpoint, seed, settings, counts).
        expected: number of sample ids of this shard.
    """

    def __init__(self, folder, facts, expected):
        self.path = Path(folder) / FILE_NAME
        self.expected, self.done, self.tokens = expected, 0, 0
        self.began = self.written = time.monotonic()
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.facts = {"format": "augment", "version": 1, **facts, "started": started}
        self._write()

    def add(self, hypotheses):
        """Count one batch: a list of hypotheses per sample."""
        self.done += len(hypotheses)
        self.tokens += sum(len(one["positional_scores"]) for many in hypotheses for one in many)
        if self.done == self.expected or time.monotonic() - self.written > _SECONDS_BETWEEN_WRITES:
            self._write()

    def _write(self):
        self.written = time.monotonic()
        state = {
            "complete": self.done == self.expected,
            "expected": self.expected,
            "done": self.done,
            "tokens": self.tokens,
            "seconds": round(self.written - self.began, 3),
        }
        with atomic_write(self.path) as stream:
            json.dump({**self.facts, **state}, stream, indent=1, ensure_ascii=False)
            stream.write("\n")


def facts_of_run(config, manifest_path, labels, counts, settings, shard):
    """The unchanging part of ``augment.json``.

    Args:
        config: the task's configuration (``data``, ``path``, ``seed``, ``first_sample``).
        manifest_path: the data folder's manifest.
        labels: names of the labels; sample id ``k * len(labels) + i`` belongs to label ``i``.
        counts: samples of each label.
        settings: the generation flags in force.
        shard: ``[rank, world size]``.
    """
    checkpoints = config.path.split(":")
    return {
        "data": str(config.data),
        "manifest_sha256": sha256(manifest_path),
        "checkpoint": checkpoints,
        "checkpoint_sha256": [sha256(path) for path in checkpoints],
        "seed": config.seed,
        "settings": settings,
        "labels": labels,
        "counts": counts,
        "first_sample": config.first_sample,
        "shard": shard,
    }
