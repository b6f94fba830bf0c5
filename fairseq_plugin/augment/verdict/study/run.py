"""Make the points of a study that are missing, one after the other; the same request goes on with them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from fairseq_plugin.augment.judges.words import probabilities, train_judge
from fairseq_plugin.augment.verdict.eda import wordnet_synonyms
from fairseq_plugin.augment.verdict.study.arms import (
    FILTERED,
    JUDGED,
    MODEL_JUDGED,
    STUDENTS,
    SYNTHETIC,
    UNFILTERED,
    most_confident,
    real_arms,
    train_and_answer,
)
from fairseq_plugin.augment.verdict.study.generator import Drawn, Generator, wanted_rows
from fairseq_plugin.augment.verdict.study.points import Key, Point, read_point, write_point
from fairseq_plugin.augment.verdict.study.request import StudyRequest
from fairseq_plugin.augment.verdict.study.splits import LabelledSet, Split, draw_split, read_set
from fairseq_plugin.augment.verdict.study.yardstick import Yardstick
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

NAME = "study.json"
FORMAT, VERSION = "verdict study", 1

Said = Callable[[Key], None]


@dataclass
class Study:
    """A study in its folder.

    Attributes:
        request: what to compare.
    """

    request: StudyRequest

    @cached_property
    def whole(self) -> LabelledSet:
        """The labelled set."""
        request = self.request
        return read_set(request.data, request.text_column, request.label_column, request.most_test)

    @cached_property
    def facts(self) -> dict[str, object]:
        """What every point depends on besides its key."""
        whole, synonyms = self.whole, wordnet_synonyms() is not None
        rows = {"set": whole.name, "labels": whole.labels, "digests": whole.digests, "wordnet": synonyms}
        return json.loads(json.dumps({**rows, **self.request.facts()}))

    @property
    def digest(self) -> str:
        """Of the facts."""
        return hashlib.sha256(json.dumps(self.facts).encode()).hexdigest()

    def open(self) -> None:
        """Begin the folder, or make sure that it is of the same study.

        Raises:
            UserError: it is of another one; names what differs.
        """
        place = self.request.to / NAME
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(place, {"format": FORMAT, "version": VERSION, "facts": self.facts})
            return
        theirs = (read_sealed(place) or {}).get("facts")
        if not isinstance(theirs, dict):
            raise UserError(f"{place} is not a study of this version, or damaged; name another --to")
        differing = [name for name in self.facts if theirs.get(name) != self.facts[name]]
        if differing:
            named = ", ".join(
                f"{name} {theirs.get(name)!r}, now {self.facts[name]!r}"[:120] for name in differing
            )
            raise UserError(
                f"--to {self.request.to} holds a study with other settings ({named}); name another"
            )

    def points(self) -> dict[Key, Point]:
        """The points that are done."""
        found = {key: read_point(self.request.to, key, self.digest) for key in self.request.all_keys()}
        return {key: point for key, point in found.items() if point is not None}

    def run(self, said: Said = lambda key: None) -> None:
        """Make what is missing.

        Args:
            said: is told each point that was made.
        """
        done = self.points()
        missing = [key for key in self.request.all_keys() if key not in done]
        for (k, number), keys in groupby(missing, key=lambda key: (key.k, key.split)):
            split = draw_split(self.whole, k, number)
            for generator, group in groupby(keys, key=lambda key: key.generator):
                self._make(split, list(group), generator, said)

    def _make(
        self, split: Split, keys: Sequence[Key], generator: tuple[float, float] | None, said: Said
    ) -> None:
        made = self._real(split, keys) if generator is None else self._new(split, keys, *generator)
        for point in made:
            write_point(self.request.to, point, self.digest)
            said(point.key)

    def _real(self, split: Split, keys: Iterable[Key]) -> Iterator[Point]:
        for key in keys:
            student = STUDENTS[key.student]
            wanted = wanted_rows(self.request, key.k, split)
            arms = real_arms(split, wanted, student, key.split, wordnet_synonyms())
            yield Point(key, train_and_answer(student, arms, split, self.whole.test, key.split))

    def _new(self, split: Split, keys: Sequence[Key], gamma: float, temperature: float) -> Iterator[Point]:
        first, folder = keys[0], self.request.to / keys[0].folder
        generator = Generator(self.request, self.whole.labels, folder, first.k, first.split, gamma)
        generator.train(split)
        drawn = generator.draw(split, temperature)
        rows, wanted, num_labels = drawn.accepted, drawn.wanted, len(self.whole.labels)
        judge = train_judge([text for _, text in split.train], [label for label, _ in split.train])
        judged = most_confident(rows, probabilities(judge, rows, num_labels), wanted) if rows else []
        by_model = most_confident(rows, generator.probabilities(rows), wanted) if rows else []
        arms = {
            SYNTHETIC: drawn.filtered,
            UNFILTERED: [*split.train, *drawn.raw],
            FILTERED: [*split.train, *drawn.filtered],
            JUDGED: [*split.train, *judged],
            MODEL_JUDGED: [*split.train, *by_model],
        }
        facts = drawn.facts | self._fidelity(drawn)
        for key in keys:
            student = STUDENTS[key.student]
            found = train_and_answer(student, arms, split, self.whole.test, key.split)
            yield Point(key, found, facts)

    def _fidelity(self, drawn: Drawn) -> dict[str, float]:
        """How often a judge that has read many real rows agrees with the new labels; for the report alone."""
        used = drawn.filtered
        share = self._yardstick.share(used)
        fidelity = {} if share is None else {"fidelity": share}
        return {
            **fidelity,
            "fidelity_of_real": self._yardstick.accuracy,
            "used_share": len(used) / sum(drawn.wanted.values()),
        }

    @cached_property
    def _yardstick(self) -> Yardstick:
        return Yardstick.of(self.whole)


def describe(key: Key) -> str:
    """A point, for a progress bar."""
    new = "" if key.gamma is None else f", gamma {key.gamma:g}, T {key.temperature:g}"
    return f"k {key.k or 'all'}, split {key.split}, {key.student}{new}"
