"""``KIND.samples.jsonl``: generated samples, on disk while they come and published when all are there.

A running generation appends to the journal ``KIND.part-N.jsonl``; its last act is to rename that file. A
process that is killed leaves the part with every sample it had written, and an earlier ``KIND.samples.jsonl``
as it was. Between the journal's head and its last line, which counts them, there is one line per text::

    {"id": 0, "rank": 0, "symbols": "464 318", "ended": true, "score": -7.25, "check": "1f..."}
    {"id": 1, "rank": 0, "symbols": "257 13 <unk>", "ended": false, "score": -9.5, "check": "ac..."}
    {"samples": 2, "tokens": 6, "seconds": 0.5, "check": "07..."}
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, writing_errors
from fairseq_plugin.storage.journal import Journal, read_journal, sealed

FORMAT, VERSION = "generated samples", 1
AGAIN = "run fairseq-generate again"
# What belongs to a moment or a place, and says nothing about what the samples are.
_CIRCUMSTANCES = {"data", "checkpoint", "started"}


@dataclass(frozen=True)
class SampleLine:
    """One generated text.

    Attributes:
        id: the sample's number, >= 0.
        rank: 0 for its best text, 1 for the next (``--nbest``).
        symbols: the dictionary's symbols joined by spaces, without the end token: decimal ids of the
            tokenizer,
            or a symbol that is not text, such as ``<unk>``.
        ended: whether the end token came; otherwise the text was cut at the limit.
        score: sum of the tokens' log probabilities (nats), the end token's included.
    """

    id: int
    rank: int
    symbols: str
    ended: bool
    score: float

    @property
    def num_tokens(self) -> int:
        """Tokens drawn, the end token included."""
        return len(self.symbols.split()) + self.ended


@dataclass(frozen=True)
class SampleFile:
    """A file of samples that was read and verified.

    Attributes:
        path: the file.
        kind: ``"augment"`` or ``"completions"``.
        expected: number of sample ids asked for.
        facts: what the generation was (data, checkpoint, seed, settings, ...).
        lines: in the order of the file.
        seconds: of the generation; None where it did not finish.
    """

    path: Path
    kind: str
    expected: int
    facts: dict[str, Any]
    lines: list[SampleLine]
    seconds: float | None

    @property
    def num_samples(self) -> int:
        """Number of samples, each counted once however many texts it has."""
        return len({line.id for line in self.lines})

    def is_same_request(self, expected: int, facts: Mapping[str, object]) -> bool:
        """Whether a generation with these facts asks for the same samples."""
        return self.expected == expected and _lasting(self.facts) == _lasting(facts)


def _lasting(facts: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in facts.items() if key not in _CIRCUMSTANCES}


def finished_path(folder: str | Path, kind: str) -> Path:
    """Where the samples of a finished generation are."""
    return Path(folder) / f"{kind}.samples.jsonl"


def part_paths(folder: str | Path, kind: str) -> list[Path]:
    """What generations that did not finish have left, and what a running one writes, the oldest first."""
    parts = [path for path in Path(folder).glob(f"{kind}.part-*.jsonl") if _part_number(path)]
    return sorted(parts, key=_part_number)


def _part_number(path: Path) -> int:
    digits = path.name.split("-")[-1].removesuffix(".jsonl")
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


class SampleWriter:
    """Writes samples as they come and publishes them at the end; hold a lock meanwhile.

    Nothing is written before the first sample: a generation that is refused leaves no trace.

    Args:
        folder: ``--results-path``, an existing folder.
        kind: ``"augment"`` or ``"completions"``.
        facts: what the generation is; strings, numbers, lists and dictionaries.
        expected: number of sample ids to come.
    """

    def __init__(self, folder: str | Path, kind: str, facts: Mapping[str, object], expected: int) -> None:
        self.folder, self.kind, self.facts, self.expected = Path(folder), kind, dict(facts), expected
        self.num_samples, self.num_tokens = 0, 0
        self._journal: Journal | None = None

    def add(self, samples: Iterable[Iterable[SampleLine]]) -> None:
        """Append the texts of some samples, one iterable of lines per sample; on disk when this returns."""
        entries = []
        for lines in samples:
            entries += map(asdict, lines := list(lines))
            self.num_tokens += sum(line.num_tokens for line in lines)
            self.num_samples += 1
        self._part().append(entries)

    def finish(self, seconds: float) -> None:
        """Give the file its final name; parts of the same request, all contained in it, go.

        Args:
            seconds: that the generation took.
        """
        journal, final = self._part(), finished_path(self.folder, self.kind)
        journal.append([{"samples": self.num_samples, "tokens": self.num_tokens, "seconds": seconds}])
        with writing_errors(final, journal.path):
            os.replace(journal.path, final)
        for part in part_paths(self.folder, self.kind):
            try:
                contained = read_sample_file(part).is_same_request(self.expected, self.facts)
            except UserError:
                continue  # damaged: whoever wants to look at it still can
            if contained:
                part.unlink(missing_ok=True)

    def _part(self) -> Journal:
        if self._journal is None:
            parts = part_paths(self.folder, self.kind)
            path = self.folder / f"{self.kind}.part-{1 + max(map(_part_number, parts), default=0)}.jsonl"
            settings = {"kind": self.kind, "expected": self.expected, "facts": self.facts}
            self._journal = Journal(path, FORMAT, VERSION, settings)
            self._journal.read()
        return self._journal


def write_sample_file(
    path: Path, kind: str, facts: Mapping[str, object], lines: Iterable[SampleLine], seconds: float
) -> None:
    """Write samples that are all there, one text of each, in the same form; whole under its name or absent.

    Args:
        path: the file to make.
        kind, facts: see :class:`SampleWriter`.
        lines: one text of every sample.
        seconds: that the generation took.

    Raises:
        CannotWriteError: the disk is full, say.
    """
    lines = list(lines)
    settings = {"kind": kind, "expected": len(lines), "facts": dict(facts)}
    entries = [{"format": FORMAT, "version": VERSION, "settings": settings}, *map(asdict, lines)]
    num_tokens = sum(line.num_tokens for line in lines)
    entries.append({"samples": len(lines), "tokens": num_tokens, "seconds": seconds})
    check = ""
    with atomic_write(path, "wb") as stream:
        for entry in entries:
            written, check = sealed(entry, check)
            stream.write(written)


def read_sample_file(path: str | Path) -> SampleFile:
    """Read and verify a file of samples, finished or not.

    A last line that a killed process did not write to its end is left out of a part; anything else that is
    not as it was written is refused.

    Raises:
        UserError: no such file, another version, or a damaged line (with its number).
    """
    path = Path(path)
    try:
        head, entries = read_journal(path, is_part := path.name.split(".")[-2].startswith("part-"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); {AGAIN}") from error
    if head.get("format") != FORMAT or head.get("version") != VERSION:
        found = f"{head.get('format')!r}, version {head.get('version')!r}"
        raise UserError(f"{path} holds {found}; this code reads {FORMAT!r}, version {VERSION}; {AGAIN}")
    closing = entries.pop() if entries and "samples" in entries[-1] else None
    if closing is None and not is_part:
        raise UserError(f"{path} is cut off after {len(entries):,} lines; restore it, or {AGAIN}")
    settings = head["settings"]
    return SampleFile(
        path=path,
        kind=settings["kind"],
        expected=settings["expected"],
        facts=settings["facts"],
        lines=[SampleLine(**entry) for entry in entries],
        seconds=None if closing is None else closing["seconds"],
    )


def newest_sample_file(folder: str | Path, kind: str) -> SampleFile | None:
    """The samples of a folder's last generation; None where this version wrote none.

    Raises:
        UserError: that generation did not finish, or its file is damaged.
    """
    finished, parts = finished_path(folder, kind), part_paths(folder, kind)
    if not parts:
        return read_sample_file(finished) if finished.is_file() else None
    file = read_sample_file(parts[-1])
    if file.seconds is not None:  # killed after its last line, before it got its final name
        return file
    mend = f"{AGAIN} with the same flags"
    if finished.is_file():
        mend += f", or remove that file to use the finished generation in {finished.name}"
    raise UserError(
        f"{file.path} holds {file.num_samples:,} of {file.expected:,} samples: the generation was cut short, "
        f"or is still running; {mend}"
    )
