"""What ``fairseq-generate`` wrote for ``--gen-subset augment``, read so that no text can forge a sample.

For each sample ``fairseq-generate`` prints, with tabs between the fields::

    S-7  <prompt, decoded>
    H-7  <score>  464 318 257          decimal ids: the sample itself
    D-7  <score>  <the same, decoded>  anything at all, line breaks included
    P-7  -2.1 -0.4 -1.0 -0.2           one score per token, the end token included

Only H- and P- carry data. S- and D- hold free text, so a generated line break followed by
``H-9\\t-1\\t12`` would look like another sample. But both texts are *known*: the prompt from the
label, the other one from the ids in H-. What is printed must be exactly that text, or one single line
(the task escapes line breaks); either way the reader knows where the text stops before it looks
at it, and a forged line is never taken for a record.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

from fairseq_plugin.augment.run_facts import RECORD
from fairseq_plugin.errors import UserError

GENERATED = "generate-augment.txt"

_START = re.compile(r"([SH])-([0-9]{1,12})\t")
_HYPOTHESIS = re.compile(r"H-([0-9]{1,12})\t([^\t]*)\t([^\t]*)")
_SCORES = re.compile(r"P-([0-9]{1,12})\t([^\t]*)")
_ID = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Sample:
    """One generated sample.

    Attributes:
        id: the sample's number.
        text: decoded from the ids; empty where ``special``.
        num_tokens: tokens drawn, the end token included.
        ended: whether the end token was reached.
        special: whether it holds a symbol that is not text (``<unk>``, a filler word).
    """

    id: int
    text: str
    num_tokens: int
    ended: bool
    special: bool


class _Lines:
    """The lines of a file with one line of look-ahead; only a line feed ends a line."""

    def __init__(self, stream: TextIO, path: Path) -> None:
        self.stream, self.path = stream, path
        self.number = 0
        self.line: str | None = None
        self.whole = True  # the line read last ended in a line feed: nothing cut it short
        self.next()

    def next(self) -> str | None:
        """Return the current line and move on; ``None`` at the end of the file."""
        line, raw = self.line, self.stream.readline()
        self.number += 1
        self.whole = not raw or raw.endswith("\n")
        self.line = raw.removesuffix("\n") if raw else None
        return line

    def skip_text(self, start: str, expected: str) -> None:
        """Pass over ``start`` + text: the expected text over as many lines as it has, or one line.

        ``start`` is the part of the current line before the text.
        """
        pieces = expected.split("\n")
        if self.next() != start + pieces[0] or len(pieces) == 1:
            return  # one line: nothing in it matters
        for piece in pieces[1:]:
            if self.line != piece:
                self.fail("a text with a line break was printed in part, or changed")
            self.next()

    def fail(self, what: str) -> NoReturn:
        shown = "the end of the file" if self.line is None else repr(self.line[:60])
        raise UserError(
            f"{self.path}, line {self.number}: {what} (found {shown}); the file is damaged or was cut: "
            "run fairseq-generate again"
        )


def read_samples(
    path: str | Path, decode: Callable[[list[int]], str], prompt_of: Callable[[int], str]
) -> Iterator[Sample]:
    """Read the samples of one ``generate-augment.txt``, in the order of the file.

    Args:
        path: the file.
        decode: ids -> text.
        prompt_of: sample id -> the prompt's text as S- shows it; ``KeyError`` for an unknown id.

    Yields:
        :class:`Sample`.

    Raises:
        UserError: a missing, damaged or cut file (with the line), an id that was not asked for.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; run fairseq-generate with --gen-subset augment and --results-path "
            f"{path.parent}"
        )
    # newline="\n": a carriage return or U+2028 in a text must not end a line.
    with open(path, encoding="utf-8", errors="replace", newline="\n") as stream:
        lines = _Lines(stream, path)
        while lines.line is not None:
            start = _START.match(lines.line)
            if start is not None:
                yield _read_sample(lines, start, decode, prompt_of)
            elif re.match(r"[DP]-[0-9]+\t", lines.line):
                lines.fail("a D- or P- line without its H- line")
            else:
                lines.next()  # a log line of fairseq, before the first sample or after the last


def _read_sample(
    lines: _Lines,
    start: re.Match[str],
    decode: Callable[[list[int]], str],
    prompt_of: Callable[[int], str],
) -> Sample:
    """Read S-, H-, D-, P- of one sample; the current line is its first one."""
    name = start.group(2)
    sample_id = int(name)
    try:
        prompt = prompt_of(sample_id)
    except KeyError:
        lines.fail(f"sample {sample_id} was not asked for according to {RECORD}")
    if start.group(1) == "S":
        lines.skip_text(start.group(), prompt)
    found = _HYPOTHESIS.fullmatch(lines.line or "")
    if found is None or found.group(1) != name:
        lines.fail(f"sample {sample_id} has no H- line")
    score, symbols = found.group(2), found.group(3).split()
    special = not all(_ID.fullmatch(symbol) for symbol in symbols)
    try:
        text = "" if special else decode([int(symbol) for symbol in symbols])
    except UserError as error:
        raise UserError(f"{lines.path}, line {lines.number}, sample {sample_id}: {error}") from error
    lines.next()
    if not (lines.line or "").startswith(f"D-{name}\t{score}\t"):
        lines.fail(f"sample {sample_id} has no D- line")
    # Where a symbol is not text we cannot know what was shown; it has no line break then or is refused.
    lines.skip_text(f"D-{name}\t{score}\t", text)
    found = _SCORES.fullmatch(lines.line or "")
    if found is None or found.group(1) != name or not lines.whole:
        lines.fail(f"sample {sample_id} has no whole P- line")
    num_scores = len(found.group(2).split())
    lines.next()
    if num_scores not in (len(symbols), len(symbols) + 1):
        raise UserError(
            f"{lines.path}, sample {sample_id}: {num_scores} scores for {len(symbols)} symbols; expected as "
            "many, or one more for the end token: the file is damaged, run fairseq-generate again"
        )
    return Sample(sample_id, text, num_scores, num_scores == len(symbols) + 1, special)
