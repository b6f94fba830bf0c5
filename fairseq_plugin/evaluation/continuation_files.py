"""Continuations made by any system, from files.

==================  ==========================================================================================
``generate-*.txt``  what ``fairseq-generate`` prints: H-, or the ids in it; several ``--nbest`` are refused
``.jsonl``          ``{"continuation": ..., "prefix": ..., "id": ...}``; text or a list of token ids; the last
                    two may be left out
``.tsv``            context TAB continuation, with the escapes ``\\t \\n \\r \\\\``
``.txt``            one continuation a line, with the same escapes
==================  ==========================================================================================

Only a line feed ends a line. An empty line is an empty continuation: it is counted, not skipped.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.one_line import unescape

RECORD = "completions.json"  # fairseq-generate with --task open_ended_generation writes it

_HYPOTHESIS = re.compile(r"H-([0-9]{1,12})\t[^\t]*\t([0-9 ]*)")


@dataclass(frozen=True)
class Continuations:
    """What a file holds; one of ``ids`` and ``texts`` is None.

    Attributes:
        path: the file.
        ids: list of lists of tokenizer ids.
        texts: list of str.
        numbers: the prefix's number of each, or None where the file does not tell.
        origin: what the numbers count, as far as it is known: ``"prefix_tokens"``, with ``"subset"`` (a split's
            name) or ``"text"`` (a stream's SHA-256).
    """

    path: str
    ids: list | None
    texts: list | None
    numbers: list | None
    origin: dict = field(default_factory=dict)

    @property
    def count(self):
        return len(self.ids if self.texts is None else self.texts)


def read_continuations(path):
    """Read a file of continuations.

    Raises:
        UserError: no such file, an unknown kind, a damaged line (named), or no continuation at all.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"--continuations: there is no file {path}")
    readers = {".jsonl": _read_json, ".tsv": _read_tsv, ".txt": _read_lines}
    if path.suffix not in readers:
        raise UserError(f"--continuations {path}: expected generate-*.txt, .txt, .jsonl or .tsv")
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"--continuations {path} is not UTF-8: {error}") from error
    lines = content.removesuffix("\n").split("\n") if content else []
    generated = path.suffix == ".txt" and path.name.startswith("generate-")
    found = (_read_generated if generated else readers[path.suffix])(path, lines)
    if not found.count:
        raise UserError(f"--continuations {path} holds no continuation: there is nothing to evaluate")
    return found


def _read_generated(path, lines):
    found = {}
    for place, line in enumerate(lines, start=1):
        if not line.startswith("H-"):
            continue
        match = _HYPOTHESIS.fullmatch(line)
        if match is None:
            raise UserError(f"{path}, line {place}: an H- line without token ids: {line[:60]!r}")
        number = int(match[1])
        if number in found:
            raise UserError(
                f"{path}, line {place}: sample {number} has two hypotheses; generate with --nbest 1, and one file "
                "per run"
            )
        found[number] = [int(symbol) for symbol in match[2].split()]
    origin = _read_record(path, len(found))
    numbers = sorted(found)
    return Continuations(str(path), [found[number] for number in numbers], None, numbers, origin)


def _read_record(path, num_found):
    """The origin that a record beside the file tells, if there is one; refuses a generation that was cut short."""
    record = path.with_name(RECORD)
    if not record.is_file():
        return {}
    try:
        stated = json.loads(record.read_bytes())
        of_this_file = path.name == f"generate-{stated['subset']}.txt"
        complete, expected = stated["complete"], stated["expected"]
        origin = {"subset": stated["subset"], "prefix_tokens": stated.get("prefix_tokens")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{record} is damaged ({error!r}); run fairseq-generate again") from error
    if not of_this_file:
        return {}
    if complete is not True or expected != num_found:
        raise UserError(
            f"{path} holds {num_found} of {expected} samples according to {RECORD}: the generation was cut short; run "
            "fairseq-generate again"
        )
    return origin


def _read_json(path, lines):
    rows, numbers, origin = [], [], {}
    for place, line in enumerate(lines, start=1):
        try:
            stated = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {place} is not JSON: {error}") from error
        if place == 1 and isinstance(stated, dict) and "continuation" not in stated and "format" in stated:
            settings = stated.get("settings")  # the head of a file of our own
            origin = settings if isinstance(settings, dict) else {}
            continue
        row = stated.get("continuation") if isinstance(stated, dict) else None
        if not _is_text(row) and not _is_ids(row):
            raise UserError(f'{path}, line {place}: "continuation" must be a text or a list of token ids')
        rows.append(row)
        numbers.append(stated.get("id"))
    known = all(type(number) is int for number in numbers) and len(set(numbers)) == len(numbers)
    if all(map(_is_text, rows)):
        return Continuations(str(path), None, rows, numbers if known else None)
    if all(map(_is_ids, rows)):
        return Continuations(str(path), rows, None, numbers if known else None, origin)
    raise UserError(f"{path}: some continuations are texts and some are lists of ids; give one kind")


def _read_tsv(path, lines):
    texts = []
    for place, line in enumerate(lines, start=1):
        fields = line.split("\t")
        if len(fields) != 2:
            raise UserError(
                f"{path}, line {place}: expected context TAB continuation, found {len(fields)} fields"
            )
        texts.append(unescape(fields[1]))
    return Continuations(str(path), None, texts, None)


def _read_lines(path, lines):
    return Continuations(str(path), None, [unescape(line) for line in lines], None)


def _is_text(value):
    return isinstance(value, str)


def _is_ids(value):
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)
