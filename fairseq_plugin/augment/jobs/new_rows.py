"""From the units of a job to candidates, and from those that are accepted to rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.candidates import candidate_of
from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.generations.results import sample_of
from fairseq_plugin.augment.jobs.fill import in_order
from fairseq_plugin.augment.jobs.job import Job
from fairseq_plugin.augment.judges.filter import Opinions
from fairseq_plugin.augment.judges.score_columns import ScoreColumns
from fairseq_plugin.jobs.units import Unit
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import Row, SourceSpec
from fairseq_plugin.storage.sample_file import SampleLine
from fairseq_plugin.text.codec import Codec


@dataclass(frozen=True)
class NewRows:
    """The rows of a job.

    Attributes:
        job: an open job.
        codec, manifest: of its data.
        spec: form of the rows.
        acceptance: knows what became of each sample.
        columns: what rows tell besides text and label.
        opinions: the probabilities of labels; None where no column tells one.
    """

    job: Job
    codec: Codec
    manifest: Manifest
    spec: SourceSpec
    acceptance: Acceptance
    columns: ScoreColumns
    opinions: Opinions | None

    def read(self, line: SampleLine, label: int) -> Candidate:
        """What filters look at."""
        sample = sample_of(line, self.codec.decode, self.job.units)
        return candidate_of(sample, label, self.manifest.source.keep_whitespace)

    def judged(self, units: Sequence[Unit]) -> Iterator[tuple[Candidate, str | None]]:
        """All samples in the order of their ids, and why each is not accepted; every unit is read again."""
        candidates = in_order(units, self.read, self.job.read)
        return ((one, self.acceptance.reason(one.id)) for one in candidates)

    def accepted(self, judged: Iterable[tuple[Candidate, str | None]]) -> Iterator[Row]:
        """The rows among what :meth:`judged` gives, in its order."""
        for candidate, reason in judged:
            if reason is None:
                yield Row(
                    candidate.text, self.manifest.labels[candidate.label].name, cells=self._cells(candidate)
                )

    def _cells(self, candidate: Candidate) -> list[str] | dict[str, object] | None:
        if not self.columns.names:
            return None
        assert self.opinions is not None
        values = self.columns.values(candidate, self.opinions)
        if self.spec.format in ("tsv", "csv"):
            return [*[""] * (len(self.spec.columns) - len(values)), *map(str, values)]
        told = dict(zip(self.columns.names, values, strict=True))
        return {self.spec.text_key: None, self.spec.label_key: None, **told}
