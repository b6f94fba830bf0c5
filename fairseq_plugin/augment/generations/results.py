"""One results folder of ``fairseq-generate --gen-subset augment``.

``augment.samples.jsonl`` is the truth where it is there: every line of it is checked, and a run that was
refused or killed cannot have emptied it, as fairseq empties the file it prints to. Folders without it come
from an earlier version; their ``generate-augment.txt`` is read with care, but has no checksum.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.augment.generations.read import GENERATED, Sample, read_samples
from fairseq_plugin.augment.generations.run_facts import KIND, RECORD, RunFacts, read_record
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sample_file import SampleFile, SampleLine, finished_path, newest_sample_file

Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Results:
    """A results folder whose facts were read.

    Attributes:
        folder: ``--results-path``.
        path: the file that holds the samples.
        facts: what the run was.
        seconds: it took; None where the record does not tell.
        verified: whether checksums cover the samples.
    """

    folder: Path
    path: Path
    facts: RunFacts
    seconds: float | None
    verified: bool
    _file: SampleFile | None = None

    @classmethod
    def read(cls, folder: str | Path) -> "Results":
        """Find out what a folder holds.

        Raises:
            UserError: no such folder, no finished generation in it, or a damaged file.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(
                f"the results folder {folder} does not exist; give fairseq-generate's --results-path"
            )
        file = newest_sample_file(folder, KIND)
        if file is None:
            record = read_record(folder)
            if record.sealed:
                path = finished_path(folder, KIND)
                raise UserError(f"{path} is missing: restore it, or run fairseq-generate again")
            return cls(folder, folder / GENERATED, record.facts, record.seconds, verified=False)
        facts = RunFacts.parse(file.facts, file.path)
        # The record repeats what the samples' own head says. It may be missing, or be of an earlier run where
        # this one was stopped between the two; but damaged it must not be.
        if (folder / RECORD).is_file() and not read_record(folder).sealed:
            raise UserError(f"{folder / RECORD} is not as it was written; run fairseq-generate again")
        return cls(folder, file.path, facts, file.seconds, verified=True, _file=file)

    def samples(self, decode: Decode, prompts: Sequence[str]) -> Iterator[Sample]:
        """The samples in the order of the file.

        Args:
            decode: ids -> text.
            prompts: prompt text per label index.

        Raises:
            UserError: an id that was not asked for, ids outside the tokenizer, or a damaged text file.
        """
        ids = self.facts.ids
        if self._file is None:
            yield from read_samples(self.path, decode, lambda sample_id: prompts[ids.label_of(sample_id)])
            return
        for line in self._file.lines:
            if line.id not in ids:
                raise UserError(
                    f"{self.path}: sample {line.id} was not asked for; run fairseq-generate again"
                )
            yield sample_of(line, decode, self.path)


def sample_of(line: SampleLine, decode: Decode, path: Path) -> Sample:
    """The sample that a line holds; ``path`` for messages."""
    symbols = line.symbols.split()
    special = not all(symbol.isascii() and symbol.isdecimal() for symbol in symbols)
    try:
        text = "" if special else decode([int(symbol) for symbol in symbols])
    except UserError as error:
        raise UserError(f"{path}, sample {line.id}: {error}") from error
    return Sample(line.id, text, line.num_tokens, line.ended, line.symbols, line.score)
