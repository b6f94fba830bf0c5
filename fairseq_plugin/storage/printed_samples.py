r"""What ``fairseq-generate`` prints, read so that no text can forge a sample.

For each sample it prints lines with tabs between the fields, in this order::

    S-7  <source, decoded>             not with every task
    T-7  <target, decoded>             only where the data has targets
    H-7  <score>  464 318 257          the sample itself
    D-7  <score>  <the same, decoded>  anything at all, line breaks included
    P-7  -2.1 -0.4 -1.0 -0.2           one score per token, the end token included
    A-7, I-7, E-7_0                    with --print-alignment, --print-step, --retain-iter-history

Only H- and P- carry data. S-, T- and D- hold free text: a line break in one, followed by ``H-9\t-1\t12``,
looks like another sample. Two ways to be safe:

- **The texts are known** (:class:`KnownTexts`). What is printed must be exactly the text, or one single line
  (our tasks escape line breaks). Either way the reader knows where the text stops before it looks at it.
- **Nothing is known.** Every text must be one line, and every sample may be there once. A text that goes on
  in further lines is refused even if these look like whole records: the true P- line still follows the text.
  It fits only where an H- line of the same sample was just read, and that would be the sample's second one.
  For this reason several hypotheses per sample (``--nbest``) are refused too. The file must be whole: where a
  run was cut in the middle of a text, its lines can end in a forged sample.

Lines between samples that do not look like records are fairseq's log.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

from fairseq_plugin.errors import UserError

_START = re.compile(r"([STH])-(0|[1-9][0-9]{0,11})\t")
_LOOKS_LIKE_RECORD = re.compile(r"([STHDPAIE])-[0-9]+[\t_]")
_NUM_SENTENCES = re.compile(r"\| Translated ([0-9,]+) sentences \(")
_AGAIN = "run fairseq-generate again"
_ONE_LINE = (
    "give the whole file as fairseq-generate wrote it; if its texts hold line breaks, generate with --task "
    "open_ended_generation, which prints each text on one line, or give the ids as .jsonl"
)


class PrintedSample(NamedTuple):
    """One printed hypothesis.

    Attributes:
        id: the sample's number.
        line: of its H-, from 1.
        symbols: dictionary symbols as H- shows them.
        ids: the same as token ids; None where one is not an id.
        text: of D-, where it is known; "" where it is not.
        num_scores: as many as ids, or one more for the end token.
    """

    id: int
    line: int
    symbols: list[str]
    ids: list[int] | None
    text: str
    num_scores: int


@dataclass(frozen=True)
class KnownTexts:
    """What the free texts of a file must be.

    Attributes:
        source: sample id -> text of S-; ``KeyError`` for a sample that was not asked for.
        decode: token ids -> text of D-; ``UserError`` for ids that the tokenizer does not have.
    """

    source: Callable[[int], str]
    decode: Callable[[list[int]], str]


class _Lines:
    """The lines of a file with one line of look-ahead; only a line feed ends a line."""

    def __init__(self, stream: TextIO, path: Path, mend: str) -> None:
        self.path, self.mend = path, mend
        self._read = stream.readline
        self.number = 0
        self.line, self.ended = "", False
        self.whole = True  # the current line ends in a line feed: nothing cut it short
        self.next()

    def next(self) -> str:
        """Return the current line and move on; at the end of the file the current line is empty."""
        line, raw = self.line, self._read()
        self.number += 1
        if raw and raw[-1] == "\n":
            self.line = raw[:-1]
        else:
            self.line, self.whole, self.ended = raw, not raw, not raw
        return line

    def skip_text(self, start: str, expected: str | None) -> None:
        """Pass over ``start`` + text: the expected text over as many lines as it has, or one line.

        Args:
            start: the part of the current line before the text.
            expected: None: not known, so it has one line.
        """
        first = self.next()
        if expected is None:
            return
        pieces = expected.split("\n")
        if first != start + pieces[0] or len(pieces) == 1:
            return  # one line: nothing in it matters
        for piece in pieces[1:]:
            if self.line != piece:
                self.fail("a text with a line break was printed in part, or changed")
            self.next()

    def fail(self, what: str) -> NoReturn:
        shown = "the end of the file" if self.ended else repr(self.line[:60])
        raise UserError(
            f"{self.path}, line {self.number}: {what} (found {shown}); the file is damaged or was cut: "
            f"{self.mend}"
        )


def read_printed(path: Path, known: KnownTexts | None = None) -> Iterator[PrintedSample]:
    """Read what ``fairseq-generate`` printed, in the order of the file.

    Args:
        path: an existing file.
        known: the texts where they are known; see the module. Then a sample may have several hypotheses, and
            what the texts hold that is not UTF-8 does not matter.

    Raises:
        UserError: with file, line and mend: a damaged or cut file, or one that can be read in two ways.
    """
    mend = _ONE_LINE if known is None else _AGAIN
    errors = "strict" if known is None else "replace"
    # newline="\n": a carriage return or U+2028 in a text must not end a line.
    with open(path, encoding="utf-8", errors=errors, newline="\n") as stream:
        try:
            yield from _read_lines(_Lines(stream, path, mend), known)
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8: {error}; {mend}") from error


def _read_lines(lines: _Lines, known: KnownTexts | None) -> Iterator[PrintedSample]:
    seen: set[int] = set()
    previous = ""  # the sample read last
    has_sources: bool | None = None  # a run prints S- with every sample or with none
    num_logged: int | None = None
    while not lines.ended:
        start = _START.match(lines.line)
        if start is None:
            num_logged = _read_log(lines, num_logged)
            continue
        kind, name = start.groups()
        sample_id = int(name)
        if known is None and sample_id in seen:
            raise UserError(
                f"{lines.path}, line {lines.number}: sample {sample_id} has two hypotheses; generate with "
                "--nbest 1, and one file per run"
            )
        if kind != "H" or name != previous:  # else: its next hypothesis, which has no S- of its own
            if has_sources not in (None, kind == "S"):
                lines.fail(f"some samples have an S- line, others have none: sample {sample_id}")
            has_sources = kind == "S"
        yield _read_sample(lines, start, known)
        previous = name
        seen.add(sample_id)
    if num_logged not in (None, len(seen)):
        lines.fail(f"{len(seen):,} samples are there, but fairseq's log says {num_logged:,}")


def _read_log(lines: _Lines, num_logged: int | None) -> int | None:
    """Pass over a line between samples; returns how many samples the log has told of so far."""
    line = lines.line
    record = _LOOKS_LIKE_RECORD.match(line)
    if record is not None:
        if record[1] in "SH":
            lines.fail("the number of a sample is damaged")
        lines.fail(f"a {record[1]}- line without its H- line")
    told = _NUM_SENTENCES.search(line)
    lines.next()
    return num_logged if told is None else (num_logged or 0) + int(told[1].replace(",", ""))


def _read_sample(lines: _Lines, start: re.Match[str], known: KnownTexts | None) -> PrintedSample:
    """Read S-, T-, H-, D-, P- of one sample; the current line is its first one."""
    kind, name = start.groups()
    sample_id = int(name)
    source = None
    if known is not None:
        try:
            source = known.source(sample_id)
        except KeyError:
            lines.fail(f"sample {sample_id} was not asked for according to the record beside the file")
    if kind == "S":
        lines.skip_text(start[0], source)
    if lines.line.startswith(f"T-{name}\t"):
        lines.next()
    fields = lines.line.split("\t")
    if len(fields) != 3 or fields[0] != f"H-{name}":
        lines.fail(f"sample {sample_id} has no H- line")
    place, score, symbols = lines.number, fields[1], fields[2].split()
    ids = _ids(fields[2], symbols)
    # Where a symbol is not an id we cannot know what was shown: it must be one line.
    text = None if known is None else ""
    if known is not None and ids is not None:
        try:
            text = known.decode(ids)
        except UserError as error:
            raise UserError(f"{lines.path}, line {lines.number}, sample {sample_id}: {error}") from error
    lines.next()
    mark = f"D-{name}\t{score}\t"
    if not lines.line.startswith(mark):
        lines.fail(f"sample {sample_id} has no D- line")
    lines.skip_text(mark, text)
    return PrintedSample(sample_id, place, symbols, ids, text or "", _read_scores(lines, name, len(symbols)))


def _read_scores(lines: _Lines, name: str, num_symbols: int) -> int:
    """Read P- and what may follow it; returns the number of scores."""
    fields = lines.line.split("\t")
    if len(fields) != 2 or fields[0] != f"P-{name}" or not lines.whole:
        lines.fail(f"sample {name} has no whole P- line")
    num_scores = fields[1].count(" ") + 1 if fields[1] else 0
    if num_scores not in (num_symbols, num_symbols + 1):
        raise UserError(
            f"{lines.path}, line {lines.number}, sample {name}: {num_scores} scores for {num_symbols} "
            f"symbols; expected as many, or one more for the end token: the file is damaged, {lines.mend}"
        )
    lines.next()
    while lines.line.startswith((f"A-{name}\t", f"I-{name}\t", f"E-{name}_")):
        lines.next()
    return num_scores


def _ids(field: str, symbols: list[str]) -> list[int] | None:
    """The token ids of the symbols that a field holds; None where one is not a decimal number."""
    # int() takes these too
    if not field.isascii() or "-" in field or "+" in field or "_" in field:
        return None
    try:
        return list(map(int, symbols))
    except ValueError:
        return None
