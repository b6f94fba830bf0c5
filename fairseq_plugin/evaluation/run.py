"""The whole evaluation: which systems, which text, which numbers; its results as JSON and Markdown."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.columns import Column, paired_differences
from fairseq_plugin.evaluation.completion import (
    Made,
    Protocol,
    choose_prefixes,
    complete,
    human_continuations,
    require_room,
)  # fmt: skip
from fairseq_plugin.evaluation.continuation_files import read_continuations
from fairseq_plugin.evaluation.continuations import continuation_column, note_unequal_totals
from fairseq_plugin.evaluation.decodings import parse_decodings
from fairseq_plugin.evaluation.file_columns import file_column, of_protocol
from fairseq_plugin.evaluation.mauve_score import Features, mauve
from fairseq_plugin.evaluation.single_token import Cutting, single_token_columns
from fairseq_plugin.evaluation.split_text import SplitText, load_split
from fairseq_plugin.evaluation.systems import System, load_system, name_systems
from fairseq_plugin.evaluation.table import difference_table, markdown
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.bootstrap import LEVEL, RESAMPLES, SEED, Bootstrap
from fairseq_plugin.text.codec import load_codec

MODES = ("single-token", "completion", "both")
DTYPES = {"fp32": None, "bf16": torch.bfloat16}

Closeness = Callable[[Sequence[Sequence[int]]], dict[str, float]]  # of continuations to the human ones


@dataclass
class Request:
    """What to evaluate; the attributes are the script's flags.

    Attributes:
        checkpoints: ``PATH`` or ``NAME=PATH`` of fairseq checkpoints and Hugging Face folders.
        continuations: ``PATH`` or ``NAME=PATH`` of files of continuations.
        data, split: the text; may be None where only files are measured.
        codec_path: tokenizer of the files where there is no data.
        mode: one of ``MODES``.
        window: tokens that the model reads at once; 0: as many as the shortest model has positions.
        context: tokens read again before each window.
        decoding: see :mod:`~fairseq_plugin.evaluation.decodings`.
        protocol: lengths of prefixes and continuations, and the seed.
        to: folder of results and saved continuations; None writes nothing.
        batch_size: windows or prefixes at once; 0: 8 windows, 32 prefixes.
        device, compute_dtype: where and in what to compute.
        resamples, bootstrap_seed: of the intervals.
        mauve: a Hugging Face GPT-2 folder whose hidden states are MAUVE's features, or None.
    """

    checkpoints: list[str] = field(default_factory=list)
    continuations: list[str] = field(default_factory=list)
    data: str | None = None
    split: str = "test"
    codec_path: str | None = None
    mode: str = "both"
    window: int = 0
    context: int = 0
    decoding: str = "greedy"
    protocol: Protocol = field(default_factory=Protocol)
    to: str | None = None
    batch_size: int = 0
    device: str = "cpu"
    compute_dtype: str = "fp32"
    resamples: int = RESAMPLES
    bootstrap_seed: int = SEED
    mauve: str | None = None

    @property
    def bootstrap(self) -> Bootstrap:
        """Of the intervals."""
        return Bootstrap(self.resamples, self.bootstrap_seed)


@dataclass(frozen=True)
class Part:
    """One table: its columns, what was compared, and what a reader must know.

    Attributes:
        title: heading.
        settings: what it was measured with, by the words for it.
        columns: of the table.
        notes: sentences.
    """

    title: str
    settings: dict[str, str | int]
    columns: list[Column]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """As ``results.json`` holds it."""
        return {
            "settings": self.settings,
            "systems": {column.name: column.to_json() for column in self.columns},
            "differences": [pair.to_json() for pair in paired_differences(self.columns)],
            "notes": self.notes,
        }

    def to_markdown(self) -> list[str]:
        """Lines of text: the table, the notes, the paired differences."""
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        lines = [f"## {self.title}", "", settings, "", *markdown(self.columns), ""]
        lines += [f"- {note}" for note in self.notes] + [""] * bool(self.notes)
        for pair in paired_differences(self.columns):
            lines += [*difference_table(pair), ""]
        return lines


@dataclass
class Evaluation:
    """The parts that were asked for; None for one that was not."""

    single_token: Part | None = None
    completion: Part | None = None

    def to_json(self) -> dict[str, Any]:
        """The parts as ``results.json`` holds them."""
        parts = {"single_token": self.single_token, "completion": self.completion}
        return {name: part.to_json() for name, part in parts.items() if part is not None}

    def to_markdown(self) -> list[str]:
        """Lines of text, part after part."""
        parts = (self.single_token, self.completion)
        return [line for part in parts if part is not None for line in part.to_markdown()]


def evaluate(request: Request) -> Evaluation:
    """Do what a request asks for.

    Raises:
        UserError: nothing to evaluate, or something that does not go together.
    """
    _check(request)
    text = None if request.data is None else load_split(request.data, request.split)
    systems = [] if text is None else _load_systems(request, text)
    found = Evaluation()
    if text is not None and systems and request.mode != "completion":
        found.single_token = _single_token(request, text, systems)
        if request.to is not None:
            write_results(request, found)
    if request.continuations or request.mode != "single-token":
        found.completion = _completion(request, text, systems)
    if request.to is not None:
        write_results(request, found)
    return found


def write_results(request: Request, found: Evaluation) -> None:
    """Write ``results.json`` and ``results.md`` into ``request.to``."""
    folder = Path(str(request.to))
    folder.mkdir(parents=True, exist_ok=True)
    asked = asdict(request) | {"data": request.data and Path(request.data).name}
    stated = {"format": "evaluation", "version": 1, "level": LEVEL, "request": asked}
    with atomic_write(folder / "results.json") as stream:
        json.dump(stated | found.to_json(), stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")
    with atomic_write(folder / "results.md") as stream:
        stream.write("\n".join(found.to_markdown()) + "\n")


def _load_systems(request: Request, text: SplitText) -> list[System]:
    dtype = DTYPES[request.compute_dtype]
    named = name_systems(request.checkpoints)
    systems = [load_system(name, path, text, request.device, dtype) for name, path in named]
    if systems and request.mode != "single-token":
        # What cannot be continued should show before the hours go by.
        choose_prefixes(len(text.stream), request.protocol)
        for system in systems:
            require_room(system, request.protocol)
    return systems


def _check(request: Request) -> None:
    if not request.checkpoints and not request.continuations:
        raise UserError("nothing to evaluate: name a checkpoint, or files with --continuations")
    if request.checkpoints and request.data is None:
        raise UserError("a checkpoint is evaluated on a text: give its prepared folder with --data")
    if request.mode == "single-token" and not request.checkpoints:
        raise UserError("--modes single-token needs a checkpoint; --continuations have --modes completion")
    if request.batch_size < 0:
        raise UserError(f"--batch-size {request.batch_size} must be at least 1")
    if request.resamples < 0 or request.bootstrap_seed < 0:
        raise UserError("--resamples and --bootstrap-seed must be at least 0")
    # Needed only after hours of single tokens: a slip should show now.
    decodings, systems = parse_decodings(request.decoding), name_systems(request.checkpoints)
    made = {f"{name} {decoding.name}" for decoding in decodings for name, _ in systems}
    for name, path in name_systems(request.continuations):
        if name in made:
            raise UserError(f"two columns would be called {name!r}; give the file another name: NAME={path}")
        read_continuations(path)


def _interval_words(request: Request, units: str) -> dict[str, str]:
    if not request.resamples:
        return {}
    return {"in brackets": f"{LEVEL:.0%} bootstrap intervals over {units} ({request.resamples:,} resamples)"}


def _single_token(request: Request, text: SplitText, systems: Sequence[System]) -> Part:
    longest = min(system.gpt2.config.n_positions for system in systems)
    cutting = Cutting(request.window or longest, request.context)
    columns = single_token_columns(systems, text, cutting, request.batch_size or 8, request.bootstrap)
    settings: dict[str, str | int] = {
        "split": text.split, "tokens": f"{len(text.stream):,}", "window": cutting.window,
        "context": cutting.context, "dtype": request.compute_dtype, **_interval_words(request, "windows"),
    }  # fmt: skip
    nothing = [metric for metric, value in columns[0].values.items() if value is None]
    notes = [
        f"no number for {', '.join(nothing)}: windows of {cutting.window} tokens hold no past of that "
        "length; give a larger --window"
    ] * bool(nothing)
    return Part("Single tokens, teacher-forced", settings, columns, notes)


def _completion(request: Request, text: SplitText | None, systems: Sequence[System]) -> Part:
    protocol = request.protocol
    settings: dict[str, str | int] = {}
    numbers: list[int] = []
    human: Made = {}
    if text is not None and (systems or len(text.stream) >= protocol.prefix_tokens + protocol.new_tokens):
        prefixes = choose_prefixes(len(text.stream), protocol)
        numbers = prefixes.numbers
        human = human_continuations(text.stream, numbers, protocol)
        settings = {
            "split": text.split, "prefix tokens": protocol.prefix_tokens, "new tokens": protocol.new_tokens,
            "prefixes": str(prefixes), "seed": protocol.seed, "dtype": request.compute_dtype,
        }  # fmt: skip
    settings |= _interval_words(request, "continuations")
    closeness = _closeness(request, text, list(human.values()))
    columns: list[Column] = []
    if text is not None:
        columns += _columns_of_systems(request, text, systems, numbers, closeness)
    columns += _columns_of_files(request, text, numbers, closeness)
    if text is not None and human:
        columns.append(_column(request, text, "human", human, None))
    notes = [note for column in columns for note in column.notes] + note_unequal_totals(columns)
    return Part("Continuations", settings, columns, notes)


def _columns_of_systems(
    request: Request,
    text: SplitText,
    systems: Sequence[System],
    numbers: Sequence[int],
    closeness: Closeness,
) -> list[Column]:
    folder = None if request.to is None else Path(request.to) / "completions"
    columns: list[Column] = []
    for decoding in parse_decodings(request.decoding):
        for system in systems:
            batch = request.batch_size or 32
            made = complete(system, text, decoding, request.protocol, numbers, folder, batch)
            name = f"{system.name} {decoding.name}"
            columns.append(_column(request, text, name, made, group=decoding.name))
            columns[-1].values |= closeness(list(made.values()))
    return columns


def _columns_of_files(
    request: Request, text: SplitText | None, numbers: Iterable[int], closeness: Closeness
) -> list[Column]:
    codec = None
    if text is not None:
        codec = text.codec
    elif request.codec_path:
        codec = load_codec(request.codec_path)
    columns: list[Column] = []
    for name, path in name_systems(request.continuations):
        found = read_continuations(path)
        chosen = of_protocol(found, text, request.protocol, numbers)
        column, ids = file_column(name, chosen, codec, request.bootstrap)
        left_out = found.num_texts - chosen.num_texts
        if left_out:
            column.notes.append(
                f"{name}: {left_out:,} continuations of other prefixes in {path} are left out"
            )
        if text is not None and ids is not None and request.mauve is not None:
            column.values |= closeness([text.indices(one) for one in ids if one])
        columns.append(column)
    return columns


def _column(request: Request, text: SplitText, name: str, made: Made, group: str | None) -> Column:
    """The column of continuations of a split's prefixes."""
    tokens = list(made.values())
    words = [text.words(indices) for indices in tokens]
    units = (text.sha256, request.protocol.prefix_tokens, *made)
    return continuation_column(name, tokens, words, units, group, request.bootstrap)


def _closeness(request: Request, text: SplitText | None, human: Sequence[Sequence[int]]) -> Closeness:
    """MAUVE of continuations under its name, or nothing where it was not asked for."""
    if request.mauve is None:
        return lambda texts: {}
    if text is None or not human:
        raise UserError("--mauve compares with human text: give a --data whose --split is long enough")
    features = Features(request.mauve, text, request.device, request.batch_size or 32)
    theirs = features(human)
    return lambda texts: {"mauve": mauve(features(texts), theirs)}
