"""Small tables for tests: typed columns, and random ones for hypothesis."""

import random

import torch
from hypothesis import strategies as st

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.fit import fit_column
from fairseq_plugin.tables.code.rows import FIXED, RowCode
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.walk import only_rows

MIXED = ("id", "grade", "price", "count", "day", "note", "member", "same")


def mixed_rows(num_rows, seed=0):
    """Rows of ``MIXED``: a key, a category, prices (some missing), counts, days, free text, yes or no, one
    value. ``count`` depends on ``grade``."""
    draw = random.Random(seed)
    rows = []
    for number in range(num_rows):
        grade = draw.choice([*"aabbbbcccd", "a,b"])
        price = "" if draw.random() < 0.2 else f"{draw.randrange(100, 100000) / 100:.2f}"
        count = str(len(grade) * 10 + draw.randrange(5))
        day = f"2024-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}"
        note = " ".join(draw.choice(["good", "très bien", 'a "b"', "x\ny", "is, not"]) for _ in range(6))
        member = draw.choice(["yes", "no"])
        rows.append([f"u{number:04d}", grade, price, count, day, f"{note} {number}", member, "EU"])
    return rows


def code_of(names, rows, rare=1, order=FIXED, target=None, types=None, target_place="first"):
    """A code fitted to rows."""
    profiles = [Profile() for _ in names]
    for profile, cells in zip(profiles, zip(*rows)):
        profile.add(cells)
    schema, _ = infer(names, profiles, target, target_place, types or {})
    fitted = {
        column.name: fit_column(column, profile.counts, rare)
        for column, profile in zip(schema.columns, profiles)
        if column.is_modelled
    }
    return RowCode(schema, fitted, order)


TYPES = {"note": "drop"}


def model_of(order=FIXED, positions=64, **more):
    """A network over mixed rows that has learnt nothing."""
    code = code_of(MIXED, mixed_rows(120), rare=2, order=order, target="count", types=TYPES, **more)
    torch.manual_seed(0)
    gpt2 = GPT2(GPT2Config(code.num_symbols, positions, 16, 1, 2, 0.0)).eval()
    gpt2.banned = torch.tensor([0, 1, 3])
    return TableModel(code, gpt2)


_text = st.text(st.characters(codec="utf-8"), max_size=12)
_integers = st.integers(-(10**12), 10**12).map(str)
_decimals = st.tuples(st.integers(-(10**9), 10**9), st.integers(1, 5)).map(
    lambda pair: f"{pair[0] / 10 ** pair[1]:.{pair[1]}f}".replace("-0." + "0" * pair[1], "0." + "0" * pair[1])
)
_dates = st.dates().map(lambda day: f"{day:%m/%d}/{day.year:04d}")
_columns = st.sampled_from([_text, _integers, _decimals, _dates, st.sampled_from(["a", "b", "c", ""])])


@st.composite
def tables(draw):
    """``(names, rows)`` of 1 .. 4 columns and 1 .. 30 rows, of all kinds, some cells missing."""
    kinds = draw(st.lists(_columns, min_size=1, max_size=4))
    num_rows = draw(st.integers(1, 30))
    columns = [draw(st.lists(st.one_of(kind, kind, st.just("")), min_size=num_rows, max_size=num_rows))
               for kind in kinds]  # fmt: skip
    return [f"c{number}" for number in range(len(kinds))], [list(row) for row in zip(*columns)]


def random_walks(code, seed, count=8):
    """Symbols of rows that the constraint alone decides, as an untrained network could draw them."""
    constraint = only_rows(code)([[EOS]] * count, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    texts = [[] for _ in range(count)]
    for _ in range(code.longest):
        logits_SV = torch.rand(count, code.num_symbols, generator=generator)
        constraint.forbid(logits_SV)
        tokens_S = logits_SV.argmax(1)
        constraint.append(tokens_S)
        for text, token in zip(texts, tokens_S.tolist()):
            if EOS not in text:
                text.append(token)
    return texts
