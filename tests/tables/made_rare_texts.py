"""A table of rare texts that a network which has learnt nothing draws often."""

import random
import re
import unicodedata
from collections import Counter

from fairseq_plugin.tables.code.rows import FIXED
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.writing import write_table

NAMES = ["kind", "note", "reply", "count"]
TYPES = {"note": "text", "reply": "text", "kind": "category"}
LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]


def made_rows():
    """Texts of one letter, so that a network that has learnt nothing draws them often: of each letter at
    most 4 rows, but 5 of "a" in ``note`` and of "b" in ``reply``."""
    draw = random.Random(0)
    notes = [*LETTERS, *LETTERS, *"aaa"]
    replies = [*LETTERS, *"bbbb", *LETTERS[: len(notes) - len(LETTERS) - 4]]
    replies = [letter if at < len(LETTERS) + 4 or letter != "b" else "c" for at, letter in enumerate(replies)]
    kinds = ["common" if one % 3 else f"rare {one // 6}" for one in range(len(notes))]
    return [
        [*cells, str(draw.randrange(40))] for cells in zip(kinds, draw.sample(notes, len(notes)), replies)
    ]


def prepared_in(folder, order=FIXED, rare=5, **more):
    write_table(folder / "t.csv", NAMES, made_rows(), "csv")
    to = folder / f"data-{order}-{rare}"
    request = TableRequest(str(folder / "t.csv"), str(to), types=TYPES, order=order, rare=rare, **more)
    return to, prepare_table(request)


def num_rare_cells(rows, rare=5):
    """Cells of each column but the last whose words fewer rows of the table have."""
    counts = [Counter(map(words, cells)) for cells in zip(*made_rows())]
    return [
        sum(0 < counts[at][words(row[at])] < rare for row in rows if row[at]) for at in range(len(NAMES) - 1)
    ]


def words(cell):
    """A cell without capitals, blanks and marks; none of the table's own cells has any."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", cell).casefold()))
