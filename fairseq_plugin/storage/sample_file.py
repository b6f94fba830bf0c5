"""``KIND.samples.jsonl``: generated samples on disk while they come, each line checked, published when all
are there.

A running generation appends to ``KIND.part-N.jsonl``; its last act is to rename that file. A process that is
killed leaves the part with every sample it had written, and an earlier ``KIND.samples.jsonl`` as it was. The
lines::

    {"format": "generated samples", "version": 1, "kind": "augment", "expected": 2, "facts": {...}, "check":
    "52..."} {"id": 0, "rank": 0, "symbols": "464 318", "ended": true, "score": -7.25, "check": "1f..."}
    {"id": 1, "rank": 0, "symbols": "257 13 <unk>", "ended": false, "score": -9.5, "check": "ac..."}
    {"samples": 2, "tokens": 6, "seconds": 0.5, "check": "07..."}

A check is the beginning of the SHA-256 of the check before it and its own line: a bit that flips, and a line
that is lost, doubled or moved, breaks the chain from there on.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError

FORMAT, VERSION = "generated samples", 1
AGAIN = "run fairseq-generate again"
_SECONDS_BETWEEN_SYNCS = 10  # a killed process loses nothing; a power cut at most this much
# What belongs to a moment or a place, and says nothing about what the samples are.
_CIRCUMSTANCES = {"data", "checkpoint", "started"}


@dataclass(frozen=True)
class SampleLine:
    """One generated text.

    Attributes:
        id: the sample's number, >= 0.
        rank: 0 for its best text, 1 for the next (``--nbest``).
        symbols: the dictionary's symbols joined by spaces, without the end token: decimal ids of the
            tokenizer, or
            a symbol that is not text, such as ``<unk>``.
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
        finished: whether the closing line is there.
        seconds: of the generation; None where it did not finish.
    """

    path: Path
    kind: str
    expected: int
    facts: dict[str, object]
    lines: list[SampleLine]
    finished: bool
    seconds: float | None

    @property
    def num_samples(self) -> int:
        """Number of samples, each counted once however many texts it has."""
        return len({line.id for line in self.lines})

    def is_same_request(self, expected: int, facts: Mapping[str, object]) -> bool:
        """Whether a generation with these facts asks for the same samples."""
        same = {key: value for key, value in facts.items() if key not in _CIRCUMSTANCES}
        return self.expected == expected and same == {
            key: value for key, value in self.facts.items() if key not in _CIRCUMSTANCES
        }


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
    """Writes samples as they come and publishes them at the end.

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
        self._part: _Part | None = None
        self._began = self._synced = time.monotonic()

    def add(self, samples: Iterable[Iterable[SampleLine]]) -> None:
        """Append the texts of some samples, one iterable of lines per sample; a kill after this loses none
        of them.
        """
        part = self._part or self._start()
        for lines in samples:
            for line in lines:
                self.num_tokens += line.num_tokens
                part.append(asdict(line))
            self.num_samples += 1
        part.flush()
        if time.monotonic() - self._synced > _SECONDS_BETWEEN_SYNCS:
            self._synced = time.monotonic()
            part.sync()

    def finish(self) -> float:
        """Close the file and give it its final name; parts of the same request, all contained in it, go.

        Returns:
            Seconds since the beginning.
        """
        part, seconds = self._part or self._start(), round(time.monotonic() - self._began, 3)
        part.append({"samples": self.num_samples, "tokens": self.num_tokens, "seconds": seconds})
        part.publish(finished_path(self.folder, self.kind))
        for other in part_paths(self.folder, self.kind):
            try:
                contained = read_samples_file(other).is_same_request(self.expected, self.facts)
            except UserError:
                continue  # damaged: whoever wants to look at it still can
            if contained:
                other.unlink(missing_ok=True)
        return seconds

    def _start(self) -> "_Part":
        self._part = _Part(self.folder, self.kind)
        head = {"format": FORMAT, "version": VERSION, "kind": self.kind, "expected": self.expected}
        self._part.append({**head, "facts": self.facts})
        return self._part


class _Part:
    """A new part and the chain of its checks."""

    def __init__(self, folder: Path, kind: str) -> None:
        number = 1 + max((_part_number(path) for path in part_paths(folder, kind)), default=0)
        self.path = folder / f"{kind}.part-{number}.jsonl"
        self._check = ""
        with self._told():
            self._stream = open(self.path, "xb")

    def append(self, content: Mapping[str, object]) -> None:
        body = json.dumps(content, ensure_ascii=True)
        self._check = _link(self._check, body)
        with self._told():
            self._stream.write(f'{body[:-1]}, "check": "{self._check}"}}\n'.encode("ascii"))

    def flush(self) -> None:
        with self._told():
            self._stream.flush()

    def sync(self) -> None:
        with self._told():
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def publish(self, final: Path) -> None:
        self.sync()
        with self._told():
            self._stream.close()
            os.replace(self.path, final)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say which file it was where the system refuses to write it."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror or error}); the samples written before are "
                f"kept: "
                f"make room, or give another --results-path, and {AGAIN}"
            ) from error


def _link(before: str, body: str) -> str:
    return hashlib.sha256(f"{before}\n{body}".encode()).hexdigest()[:16]


def read_samples_file(path: str | Path) -> SampleFile:
    """Read and verify a file of samples, finished or not.

    A last line that a killed process did not write to its end is left out; anything else that is not as it
    was written is refused.

    Raises:
        UserError: no such file, another version, or a damaged line (with its number).
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); {AGAIN}") from error
    bodies = list(_verified(path, content))
    if not bodies:
        raise UserError(f"{path} is not a file of generated samples: its first line is cut off; {AGAIN}")
    try:
        head = bodies[0]
        if (head["format"], head["version"]) != (FORMAT, VERSION):
            raise UserError(f"{path} has version {head['version']!r}, this code reads {VERSION}; {AGAIN}")
        closing = bodies.pop() if "samples" in bodies[-1] else None
        lines = [SampleLine(**body) for body in bodies[1:]]
        found = SampleFile(
            path=path,
            kind=str(head["kind"]),
            expected=int(head["expected"]),
            facts=dict(head["facts"]),
            lines=lines,
            finished=closing is not None,
            seconds=None if closing is None else float(closing["seconds"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is not a file of generated samples ({error!r}); {AGAIN}") from error
    if closing is None and path.name.endswith(".samples.jsonl"):
        raise UserError(f"{path} is cut off after {found.num_samples:,} samples; restore it, or {AGAIN}")
    return found


def _verified(path: Path, content: bytes) -> Iterator[dict]:
    """The content of each line without its check, once the chain of checks is right so far."""
    check = ""
    lines = content.split(b"\n")
    lines.pop()  # empty, or torn: a whole line ends in a line feed
    for number, line in enumerate(lines, start=1):
        body, separator, stated = line.rpartition(b', "check": "')
        check = _link(check, body.decode("utf-8", errors="replace") + "}")
        if not separator or stated != f'{check}"}}'.encode():
            raise UserError(f"{path}, line {number} is not as it was written; restore the file, or {AGAIN}")
        yield json.loads(body + b"}")
