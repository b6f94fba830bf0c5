"""What was prepared, for a terminal."""

from collections.abc import Iterator

from fairseq_plugin.reports.display import short, visible
from fairseq_plugin.tables.prepare import PreparedTable
from fairseq_plugin.tables.reading import left_out
from fairseq_plugin.tables.schema import CATEGORIES, CONSTANT, KEY, NUMBERS, TEXT, Column

_WIDEST = 40  # characters of a cell of the summary


def format_summary(prepared: PreparedTable, folder: str) -> str:
    """The schema as a table, the splits, and what to do next."""
    schema, manifest = prepared.schema, prepared.manifest
    reasons = prepared.reasons or ["from --schema"] * len(schema.columns)
    lines = [("column", "type", "values", "missing as", "why")]
    for column, why in zip(schema.columns, reasons):
        name = column.name + (" (target)" if column.name == schema.target else "")
        missing = "" if column.missing is None else repr(column.missing)
        lines.append((name, column.type, _values(column), missing, why))
    shown = [(*(short(visible(cell), _WIDEST) for cell in line[:-1]), visible(line[-1])) for line in lines]
    widths = [max(map(len, cells)) for cells in zip(*shown)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in shown]
    return "\n".join([*table, *_rest(prepared, folder), f"{manifest.vocabulary:,} symbols in {folder}"])


def _values(column: Column) -> str:
    if column.type in NUMBERS:
        return column.range_in_words
    if column.type in CATEGORIES:
        return ", ".join(column.values)
    if column.type == TEXT:
        return (
            f"at most {column.max_tokens} tokens"
            if column.max_tokens
            else f"at most {column.max_bytes} bytes"
        )
    if column.type == KEY:
        return f"new ones: {column.new_key(0)}, {column.new_key(1)}, ..."
    return repr(column.value) if column.type == CONSTANT else ""


def _rest(prepared: PreparedTable, folder: str) -> Iterator[str]:
    manifest = prepared.manifest
    if not prepared.reasons:
        yield "columns as --schema says"
    else:
        yield f"another type? --type NAME=TYPE, or edit {folder}/schema.json and give it as --schema"
    for split, counts in manifest.splits.items():
        mean = counts.tokens / max(counts.rows, 1)
        yield f"{split}: {counts.rows:,} rows, {mean:.1f} tokens a row"
    for split, reasons in manifest.rejected.items():
        for why, lines in reasons.items():
            yield left_out(split, why, lines)
    if prepared.num_rare_texts:
        yield (
            f"{prepared.num_rare_texts:,} texts are in fewer than --rare {manifest.rare} rows: a new row "
            "that repeats the words of one is drawn again"
        )
    if "valid" not in manifest.splits:
        yield "no valid split (one row): fairseq-train needs --disable-validation with this folder"
    if prepared.unchanged:
        yield "the same folder was there already"
