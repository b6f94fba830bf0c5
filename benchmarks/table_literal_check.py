"""Whether the rows of a file obey a schema, stated cell by cell; nothing of the plugin is asked.

The file is read by the csv module, the schema as JSON: the constraint that draws rows has no part in it.
"""

import csv
import json
from datetime import datetime
from decimal import Decimal, InvalidOperation


class Refused(Exception):
    """Why a row is none."""


def check_file(new, schema, train=None, rare=1):
    """Rows of a CSV file, and the first ten reasons why some do not obey.

    Args:
        new: the file, with a header.
        schema: path of a ``schema.json``.
        train: the file that was learnt from: categories of fewer than ``rare`` of its rows must not occur.
        rare: see ``train``.

    Returns:
        ``{"rows", "valid", "reasons"}``.
    """
    with open(schema, encoding="utf-8") as stream:
        columns = [one for one in json.load(stream)["columns"] if one["type"] != "drop"]
    too_rare = rare_values(train, columns, rare) if train else {}
    num_rows, num_valid, reasons, keys = 0, 0, [], {one["name"]: set() for one in columns}
    with open(new, encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream, strict=True)
        if next(lines) != [one["name"] for one in columns]:
            raise Refused(f"{new}: its header is not the columns of {schema}")
        for cells in lines:
            num_rows += 1
            try:
                check_row(cells, columns, too_rare, keys)
                num_valid += 1
            except Refused as reason:
                reasons.append(f"row {num_rows}: {reason}")
    return {"rows": num_rows, "valid": num_valid, "reasons": reasons[:10]}


def rare_values(train, columns, rare):
    """``{name: values of fewer rows}`` of categories."""
    with open(train, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = {}
    for column in columns:
        if column["type"] in ("category", "boolean"):
            cells = [row[column["name"]] for row in rows]
            found[column["name"]] = {value for value in column["values"] if cells.count(value) < rare}
    return found


def check_row(cells, columns, too_rare, keys):
    """Raises :class:`Refused`; takes note of keys."""
    if len(cells) != len(columns):
        raise Refused(f"{len(cells)} cells for {len(columns)} columns")
    for cell, column in zip(cells, columns):
        name, kind = column["name"], column["type"]
        if "missing" in column and cell in column["missing"]:
            continue
        if kind == "key":
            if cell in keys[name]:
                raise Refused(f"{name}: the key {cell!r} stands twice")
            keys[name].add(cell)
        elif cell in too_rare.get(name, ()):
            raise Refused(f"{name}: {cell!r} is rare")
        elif not CHECKS[kind](cell, column):
            raise Refused(f"{name}: {cell!r} is no {kind} of the schema")


def is_number(cell, column):
    """In range, on the grid of steps, and with no more decimals than the column has."""
    try:
        value, low, high, step = (Decimal(str(one)) for one in
                                  (cell, column["min"], column["max"], column["step"]))  # fmt: skip
    except InvalidOperation:
        return False
    decimals = len(cell.partition(".")[2])
    if column["style"] == "fixed" and decimals != column["decimals"]:
        return False
    return low <= value <= high and (value - low) % step == 0 and decimals <= max(column["decimals"], 1)


def is_date(cell, column):
    """In range, and written as the form says."""
    form = column["form"]
    try:
        value, low, high = (datetime.strptime(one, form) for one in (cell, column["min"], column["max"]))
    except ValueError:
        return False
    return low <= value <= high and value.strftime(form) == cell


def is_text(cell, column):
    """Of at most so many bytes."""
    return len(cell.encode("utf-8")) <= column.get("max_bytes", float("inf"))


CHECKS = {
    "integer": is_number,
    "decimal": is_number,
    "date": is_date,
    "category": lambda cell, column: cell in column["values"],
    "boolean": lambda cell, column: cell in column["values"],
    "text": is_text,
    "constant": lambda cell, column: cell == column["value"],
}
