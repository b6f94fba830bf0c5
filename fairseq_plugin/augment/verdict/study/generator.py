"""A generator of one draw of rows: trained by the stages of ``scripts/augment.py``, sampled as a job.

It sees ``train.jsonl`` and ``valid.jsonl`` of the draw. Nothing of it is trained or sampled twice.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.jobs.generate import GenerateRequest, make_samples
from fairseq_plugin.augment.jobs.job import Settings
from fairseq_plugin.augment.jobs.quota import Limits
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.augment.verdict.study.request import StudyRequest
from fairseq_plugin.augment.verdict.study.splits import ALL, Split, write_split
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.stages.stage import Runner
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

_UNUSED = ("checkpoint_last.pt", "train.log")  # of a training: only its best checkpoint is needed
MOST_NEW = 20_000  # rows of a label; more make a study of all rows last for days
_UNIT_SIZE = 2000
_MOST_TRIES = 2.0  # samples for each that is asked for, and those are more than are used


@dataclass(frozen=True)
class Drawn:
    """New rows, in the order of their sample ids.

    Attributes:
        raw: of each label the first samples as they came, without those that have no text at all.
        accepted: what passed the filters, more than is needed: for a judge to choose from.
        wanted: how many are to be used of each label.
        facts: seconds, counts and shares.
    """

    raw: Examples
    accepted: Examples
    wanted: dict[int, int]
    facts: dict[str, float]

    @property
    def filtered(self) -> Examples:
        """The first ones that passed."""
        return first_of_each(self.accepted, self.wanted)


def wanted_rows(request: StudyRequest, k: int, split: Split) -> dict[int, int]:
    """How many new rows of each label: the same for all, at most :data:`MOST_NEW`."""
    labels = {label for label, _ in split.train}
    size = len(split.train) // len(labels) if k == ALL else k
    return dict.fromkeys(sorted(labels), min(MOST_NEW, request.times * size))


def first_of_each(rows: Examples, per_label: dict[int, int]) -> Examples:
    """The first rows of each label, so many as there may be."""
    left, found = dict(per_label), []
    for label, text in rows:
        if left[label] > 0:
            left[label] -= 1
            found.append((label, text))
    return found


@dataclass(frozen=True)
class Generator:
    """A model for one draw of rows and one gamma.

    Attributes:
        request: of the study.
        labels: names by label index.
        folder: of the draw.
        k: rows per class.
        number: of the draw; the seed of the training and of the samples.
        gamma: of ScaleGrad.
    """

    request: StudyRequest
    labels: list[str]
    folder: Path
    k: int
    number: int
    gamma: float

    def train(self, split: Split) -> float:
        """Train it, unless that is done.

        Returns:
            The seconds it took, then.
        """
        if (seconds := self._seconds()) is not None:
            return seconds
        began, source = time.monotonic(), self.folder / "source"
        write_split(source, split, self.labels)
        stages, runner = self._stages(), Runner(stream=None)
        for stage in stages.training():
            runner.run(stage)
        for name in _UNUSED:
            (stages.checkpoint.parent / name).unlink(missing_ok=True)
        seconds = round(time.monotonic() - began, 3)
        write_sealed(self._note, {"seconds": seconds})
        return seconds

    def draw(self, split: Split, temperature: float) -> Drawn:
        """Sample it, or read what was sampled."""
        began, stages = time.monotonic(), self._stages()
        wanted = wanted_rows(self.request, self.k, split)
        made = make_samples(
            GenerateRequest(
                data=stages.data,
                checkpoint=stages.checkpoint,
                to=stages.run / f"temperature-{temperature:g}-top-p-{self.request.top_p:g}",
                per_label=str(max(wanted.values()) * self.request.choose_from),
                settings=Settings(
                    self.number, temperature, sampling_topp=self.request.top_p, max_len_b=self.request.max_len
                ),
                limits=Limits(most_tries=_MOST_TRIES),
                unit_size=_UNIT_SIZE,
            ),
            ThisProcess(),
        )
        index = {name: place for place, name in enumerate(self.labels)}
        names = [label.name for label in Manifest.load(stages.data).labels]
        judged = [(index[names[one.label]], one, reason) for one, reason in made.judged()]
        raw = first_of_each([(label, one.text) for label, one, _ in judged], wanted)
        accepted = [(label, one.text) for label, one, reason in judged if reason is None]
        ended = sum(one.ended for _, one, _ in judged)
        facts = {
            "train_seconds": self._seconds() or 0.0,
            "sample_seconds": made.filled.seconds or round(time.monotonic() - began, 3),
            "generated": len(judged),
            "accepted": len(accepted),
            "ended_share": ended / max(1, len(judged)),
        }
        return Drawn([row for row in raw if row[1].strip()], accepted, wanted, facts)

    def probabilities(self, rows: Examples) -> NDArray[np.float64]:
        """What the generator itself thinks of rows: p(label | text) by Bayes' rule, ``(N, L)``."""
        stages = self._stages()
        found_NL = BayesJudge.load(stages.checkpoint, stages.data).probabilities([text for _, text in rows])
        names = [label.name for label in Manifest.load(stages.data).labels]
        return found_NL[:, [names.index(label) for label in self.labels]]

    def _stages(self) -> Stages:
        return Stages(
            AugmentRequest(
                to=self.folder,
                source=self.folder / "source",
                gamma=self.gamma,
                seed=self.number,
                epochs=self.request.epochs,
                pretrained=self.request.pretrained,
            )
        )

    @property
    def _note(self) -> Path:
        return self._stages().run / "trained.json"

    def _seconds(self) -> float | None:
        """Of the training; None where it is not done."""
        try:
            stated = read_sealed(self._note)
        except OSError:
            return None
        return float(stated["seconds"]) if stated and self._stages().checkpoint.is_file() else None
