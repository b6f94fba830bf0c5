"""From a table to a folder that fairseq's commands read.

    profile -> schema -> code -> encode -> write -> rename

Two passes over the file, in chunks of rows: memory is that of the distinct cells. Every row of the table ends
up in train or valid; a row that cannot be read stops everything and is named; empty lines are counted.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, sha256
from fairseq_plugin.storage.dictionary import NUM_SPECIALS, write_dictionary
from fairseq_plugin.storage.folders import check_place, publish_prepared
from fairseq_plugin.storage.items import ItemWriter
from fairseq_plugin.storage.manifest import NAME
from fairseq_plugin.tables.code.fit import fit_column
from fairseq_plugin.tables.code.rare_texts import TextCounts
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.gpt2_vocabulary import Vocabulary, with_token_bounds
from fairseq_plugin.tables.infer import infer, with_safe_keys
from fairseq_plugin.tables.manifest import SourceTable, SplitCounts, TableManifest
from fairseq_plugin.tables.profile import Profile, check_memory
from fairseq_plugin.tables.reading import EMPTY_LINE, TableFile
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.schema import NAME as SCHEMA
from fairseq_plugin.tables.schema import Schema, listed


@dataclass(frozen=True)
class PreparedTable:
    """What :func:`prepare_table` did.

    Attributes:
        manifest: of the folder.
        schema: of the table.
        reasons: why each column was taken for what it is; empty where a schema was given.
        unchanged: the same folder was there already.
        num_rare_texts: different texts of fewer rows than ``--rare``.
    """

    manifest: TableManifest
    schema: Schema
    reasons: list[str]
    unchanged: bool
    num_rare_texts: int


def prepare_table(request: TableRequest) -> PreparedTable:
    """Prepare a folder; see the module.

    Raises:
        UserError: anything in the input that the user can mend. Nothing is written then.
    """
    request.check()
    place = check_place(request.to, NAME)
    vocabulary = None if request.pretrained is None else Vocabulary.of(request.pretrained)
    table = TableFile.open(request.table, request.format, request.header, request.columns)
    profiles = _profile(table)
    schema, reasons = _schema(request, table, profiles)
    if not schema.order:
        types = ", ".join(f"{column.name!r} is {column.type}" for column in schema.columns[:5])
        raise UserError(f"{table.path}: no column is left to learn: {types}; give --type NAME=TYPE")
    if vocabulary is not None:
        schema = with_token_bounds(schema, table, vocabulary)
    code = _code(schema, profiles, request, vocabulary)
    filled: list[tuple[TableManifest, int]] = []
    unchanged = publish_prepared(
        place,
        request.overwrite,
        lambda building: filled.append(_fill(building, request, table, code, profiles[0].rows)),
    )
    manifest, num_rare_texts = filled[0]
    return PreparedTable(manifest, schema, reasons, unchanged, num_rare_texts)


def _profile(table: TableFile) -> list[Profile]:
    profiles = [Profile() for _ in table.names]
    with tqdm(desc="looking at the columns", unit="rows", disable=None) as bar:
        for rows, _ in table.chunks():
            for profile, cells in zip(profiles, zip(*rows)):
                profile.add(cells)
            check_memory(profiles, table.names)
            bar.update(len(rows))
    if not profiles or profiles[0].rows == 0:
        raise UserError(f"{table.path} holds no row but its header; give a table with rows")
    return profiles


def _schema(request: TableRequest, table: TableFile, profiles: Sequence[Profile]) -> tuple[Schema, list[str]]:
    if request.schema is None:
        return infer(table.names, profiles, request.target, request.target_place, request.types)
    schema = Schema.load(request.schema)
    if schema.names != list(table.names):
        raise UserError(
            f"--schema {request.schema} has the columns {listed(schema.names)}, {request.table} has "
            f"{listed(table.names)}: they must be the same, in the same order"
        )
    return with_safe_keys(schema, profiles), []


def _code(
    schema: Schema, profiles: Sequence[Profile], request: TableRequest, vocabulary: Vocabulary | None
) -> RowCode:
    fitted = {
        column.name: fit_column(column, profile.counts, request.rare, profile.numbers)
        for column, profile in zip(schema.columns, profiles)
        if column.is_modelled
    }
    if vocabulary is None:
        return RowCode(schema, fitted, request.order)
    code = RowCode(schema, fitted, request.order, vocabulary.codec)
    vocabulary.check_fits(code)
    return code


def _fill(
    building: Path, request: TableRequest, table: TableFile, code: RowCode, num_rows: int
) -> tuple[TableManifest, int]:
    """Encode everything into a folder; the manifest that was written, and how many texts are rare."""
    counts = np.zeros(code.num_symbols, dtype=np.int64)
    splits: dict[str, SplitCounts] = {}
    sources = {"train": _source(table, num_rows)}
    rejected: dict[str, dict[str, list[int]]] = {}
    is_valid_N = np.zeros(num_rows, dtype=bool)
    if request.valid is None and num_rows > 1:
        num_valid = min(max(round(request.held_out * num_rows), 1), num_rows - 1)
        is_valid_N[np.random.default_rng(request.seed).permutation(num_rows)[:num_valid]] = True
    texts = TextCounts(code.schema)
    if empty_lines := _write_table(building, table, code, is_valid_N, counts, splits, texts):
        rejected["train"] = {EMPTY_LINE: empty_lines}
    code.rare_texts = texts.rarer_than(request.rare)
    for split, path in (("valid", request.valid), ("test", request.test)):
        if path is not None:
            other = TableFile.open(path, request.format, request.header, request.columns)
            if other.names != table.names:
                raise UserError(
                    f"--{split} {path} has the columns {listed(other.names)}, {request.table} has "
                    f"{listed(table.names)}: they must be the same, in the same order"
                )
            splits[split], rejected[split] = _write_other(building, split, other, code)
            num_refused = sum(len(lines) for why, lines in rejected[split].items() if why != EMPTY_LINE)
            sources[split] = _source(other, splits[split].rows + num_refused)
    write_dictionary(building, range(code.num_symbols - NUM_SPECIALS), counts)
    with atomic_write(building / SCHEMA) as stream:
        json.dump(code.schema.to_json(), stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    code.save(building)
    if len(code.rare_texts):
        code.rare_texts.save(building)
    if code.codec is not None:
        code.codec.save(building)
    manifest = TableManifest(
        vocabulary=code.num_symbols,
        longest=code.longest,
        order=request.order,
        rare=request.rare,
        tokenizer=None if code.codec is None else code.codec.digest().hex(),
        held_out=request.held_out if request.valid is None else None,
        seed=request.seed,
        splits=splits,
        source_files=sources,
        rejected=rejected,
        files={path.name: sha256(path) for path in sorted(building.iterdir())},
    )
    manifest.save(building)
    return manifest, texts.num_rarer_than(request.rare)


def _source(table: TableFile, num_rows: int) -> SourceTable:
    return SourceTable(table.path.name, sha256(table.path), num_rows, table.format, table.header)


class _Split:
    """Writes the items of one split."""

    def __init__(self, stack: ExitStack, building: Path, split: str, num_symbols: int) -> None:
        self.writer = stack.enter_context(ItemWriter(building / split, num_symbols))

    def add(self, items: Sequence[Sequence[int]]) -> NDArray[np.int64]:
        """Write items; their tokens end to end."""
        tokens = np.fromiter((symbol for item in items for symbol in item), dtype=np.int64)
        self.writer.add(tokens, map(len, items))
        return tokens

    def counts(self) -> SplitCounts:
        sizes = self.writer.sizes
        return SplitCounts(len(sizes), sum(sizes), max(sizes, default=0))


def _write_table(
    building: Path,
    table: TableFile,
    code: RowCode,
    is_valid_N: NDArray[np.bool_],
    counts: NDArray[np.int64],
    splits: dict[str, SplitCounts],
    texts: TextCounts,
) -> list[int]:
    """Write train, and valid where rows are held out; counts symbols of train, rows, and texts.

    Returns:
        The lines that are empty, and so no rows.
    """
    empty_lines: list[int] = []
    names = ["train", "valid"] if is_valid_N.any() else ["train"]
    with ExitStack() as stack, tqdm(total=len(is_valid_N), desc="encoding", unit="rows", disable=None) as bar:
        writers = {name: _Split(stack, building, name, code.num_symbols) for name in names}
        at = 0
        for rows, lines in table.chunks(empty_lines=empty_lines):
            items = list(_encode(rows, lines, code, table.path))
            texts.add(rows)
            in_valid = is_valid_N[at : at + len(rows)].tolist()
            tokens = writers["train"].add([item for item, held in zip(items, in_valid) if not held])
            counts += np.bincount(tokens, minlength=len(counts))
            if "valid" in writers:
                writers["valid"].add([item for item, held in zip(items, in_valid) if held])
            at += len(rows)
            bar.update(len(rows))
        splits |= {name: writer.counts() for name, writer in writers.items()}
    return empty_lines


def _encode(
    rows: Sequence[Sequence[str]], lines: Sequence[int], code: RowCode, path: Path
) -> Iterator[list[int]]:
    for row, line in zip(rows, lines):
        try:
            yield code.encode(row)
        except UserError as error:
            raise UserError(f"{path} line {line}: {error}") from error


def _write_other(
    building: Path, split: str, table: TableFile, code: RowCode
) -> tuple[SplitCounts, dict[str, list[int]]]:
    """Write a split of another file; rows that the code cannot hold, and empty lines, are counted under their
    reason."""
    rejected: dict[str, list[int]] = {}
    empty_lines: list[int] = []
    with ExitStack() as stack:
        writer = _Split(stack, building, split, code.num_symbols)
        for rows, lines in table.chunks(empty_lines=empty_lines):
            items = []
            for row, line in zip(rows, lines):
                try:
                    items.append(code.encode(row))
                except UserError as error:
                    rejected.setdefault(str(error), []).append(line)
            writer.add(items)
        counts = writer.counts()
    if not counts.rows:
        why = max(rejected, key=lambda reason: len(rejected[reason]), default="it has none")
        raise UserError(f"{table.path}: none of its rows can be used: {why}")
    return counts, rejected | ({EMPTY_LINE: empty_lines} if empty_lines else {})
