"""Continuations made by any system, from files.

==================  ==========================================================================================
``generate-*.txt``  what ``fairseq-generate`` prints, the whole file; several ``--nbest`` are refused. Where
                    our task wrote ``completions.samples.jsonl`` beside it, that is read instead: it has
                    checksums
``.jsonl``          ``{"continuation": ..., "prefix": ..., "id": ...}``; text or a list of token ids; the last
                    two may be left out
``.tsv``            context TAB continuation, with the escapes ``\\t \\n \\r \\\\``
``.txt``            one continuation a line, with the same escapes
==================  ==========================================================================================

Only a line feed ends a line. An empty line is an empty continuation: it is counted, not skipped.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.journal import read_journal
from fairseq_plugin.storage.printed_samples import read_printed
from fairseq_plugin.storage.sample_file import newest_sample_file
from fairseq_plugin.text.not_utf8 import NotUtf8
from fairseq_plugin.text.one_line import unescape

KIND = "completions"  # what fairseq-generate with --task open_ended_generation calls its files
RECORD = "completions.json"  # fairseq-generate with --task open_ended_generation writes it


@dataclass(frozen=True)
class Origin:
    """What the numbers of a file's continuations count, as far as the file tells.

    Attributes:
        prefix_tokens: length of the consecutive prefixes.
        subset: the split's name.
        text: SHA-256 of the split's stream.
    """

    prefix_tokens: int | None = None
    subset: str | None = None
    text: str | None = None


UNKNOWN = Origin()


@dataclass(frozen=True)
class Continuations:
    """What a file holds; one of ``ids`` and ``texts`` is None.

    Attributes:
        path: the file.
        ids: tokenizer ids of each.
        texts: text of each.
        numbers: the prefix's number of each, or None where the file does not tell.
        origin: what the numbers count.
    """

    path: str
    ids: list[list[int]] | None
    texts: list[str] | None
    numbers: list[int] | None
    origin: Origin = UNKNOWN

    @property
    def num_texts(self) -> int:
        """How many there are."""
        return len(self.texts if self.texts is not None else self.ids or ())


def read_continuations(path: str | os.PathLike[str]) -> Continuations:
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
    if path.suffix == ".txt" and path.name.startswith("generate-"):
        found = _read_own_samples(path) or _read_generated(path)
    else:
        found = readers[path.suffix](path, _lines_of(path))
    if not found.num_texts:
        raise UserError(f"--continuations {path} holds no continuation: there is nothing to evaluate")
    return found


def _lines_of(path: Path) -> list[str]:
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(NotUtf8.of(error).refusal(path, "--continuations")) from error
    return content.removesuffix("\n").split("\n") if content else []


def _read_own_samples(path: Path) -> Continuations | None:
    """The samples of the run that printed a file, from our own verified file beside it; None: there is
    none."""
    own = newest_sample_file(path.parent, KIND)
    if own is None or path.name != f"generate-{own.facts.get('subset')}.txt":
        return None
    found: dict[int, list[int]] = {}
    for line in own.lines:
        symbols = line.symbols.split()
        if not all(symbol.isdecimal() for symbol in symbols):
            raise UserError(
                f"{own.path}: sample {line.id} holds a symbol that is not text: {line.symbols[:60]!r}"
            )
        if line.id in found:
            raise UserError(
                f"{own.path}: sample {line.id} has two texts; generate with --nbest 1, and one file per run"
            )
        found[line.id] = [int(symbol) for symbol in symbols]
    origin = Origin(subset=own.facts["subset"], prefix_tokens=own.facts.get("prefix_tokens"))
    numbers = sorted(found)
    return Continuations(str(path), [found[number] for number in numbers], None, numbers, origin)


def _read_generated(path: Path) -> Continuations:
    found: dict[int, list[int]] = {}
    for one in read_printed(path):
        if one.ids is None:
            shown = " ".join(one.symbols)[:60]
            raise UserError(f"{path}, line {one.line}: an H- line without token ids: {shown!r}")
        found[one.id] = one.ids
    origin = _read_record(path, len(found))
    numbers = sorted(found)
    return Continuations(str(path), [found[number] for number in numbers], None, numbers, origin)


def _read_record(path: Path, num_found: int) -> Origin:
    """The origin that a record beside the file tells, if there is one; refuses a generation that was cut."""
    record = path.with_name(RECORD)
    if not record.is_file():
        return UNKNOWN
    try:
        stated = json.loads(record.read_bytes())
        of_this_file = path.name == f"generate-{stated['subset']}.txt"
        complete, expected = stated["complete"], stated["expected"]
        origin = Origin(subset=stated["subset"], prefix_tokens=stated.get("prefix_tokens"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{record} is damaged ({error!r}); run fairseq-generate again") from error
    if not of_this_file:
        return UNKNOWN
    if complete is not True or expected != num_found:
        raise UserError(
            f"{path} holds {num_found} of {expected} samples according to {RECORD}: the generation was cut "
            "short; run fairseq-generate again"
        )
    return origin


def _read_json(path: Path, lines: Sequence[str]) -> Continuations:
    first = _json_line(path, 1, lines[0]) if lines else None
    if isinstance(first, dict) and "continuation" not in first and "format" in first:
        return _read_our_journal(path)
    texts: list[str] = []
    ids: list[list[int]] = []
    numbers: list[int] = []
    for place, line in enumerate(lines, start=1):
        stated = _json_line(path, place, line)
        found = stated.get("continuation") if isinstance(stated, dict) else None
        if _is_text(found):
            texts.append(found)
        elif _is_ids(found):
            ids.append(found)
        else:
            raise UserError(f'{path}, line {place}: "continuation" must be a text or a list of token ids')
        if type(stated.get("id")) is int:
            numbers.append(stated["id"])
    if texts and ids:
        raise UserError(f"{path}: some continuations are texts and some are lists of ids; give one kind")
    are_known = len(set(numbers)) == len(lines)
    return Continuations(
        str(path), ids if ids else None, None if ids else texts, numbers if are_known else None
    )


def _read_our_journal(path: Path) -> Continuations:
    """What :func:`~fairseq_plugin.evaluation.completion.complete` saved; every line has a checksum."""
    head, entries = read_journal(path)
    settings = head.get("settings")
    ids = [entry["continuation"] for entry in entries if _is_ids(entry.get("continuation"))]
    numbers = [entry["id"] for entry in entries if type(entry.get("id")) is int]
    if not isinstance(settings, dict) or not len(ids) == len(set(numbers)) == len(entries):
        raise UserError(f"{path} does not hold continuations; name another file")
    origin = Origin(prefix_tokens=settings.get("prefix_tokens"), text=settings.get("text"))
    return Continuations(str(path), ids, None, numbers, origin)


def _json_line(path: Path, place: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}, line {place} is not JSON: {error}") from error


def _read_tsv(path: Path, lines: Sequence[str]) -> Continuations:
    texts: list[str] = []
    for place, line in enumerate(lines, start=1):
        fields = line.split("\t")
        if len(fields) != 2:
            raise UserError(
                f"{path}, line {place}: expected context TAB continuation, found {len(fields)} fields"
            )
        texts.append(unescape(fields[1]))
    return Continuations(str(path), None, texts, None)


def _read_lines(path: Path, lines: Sequence[str]) -> Continuations:
    return Continuations(str(path), None, [unescape(line) for line in lines], None)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_ids(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)
