"""Texts in GPT-2's tokens: every text has its code, every code that may be drawn is a text."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.pieces import Pieces
from fairseq_plugin.tables.code.rows import FIXED, RANDOM, RowCode
from fairseq_plugin.tables.code.symbol_texts import ids_of_symbols, texts_of_symbols
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.schema import TEXT, Schema
from fairseq_plugin.tables.writing import write_table
from fairseq_plugin.text.codec import load_codec
from tests.storage.damage import flipped_bits
from tests.tables.made_gpt2 import made_gpt2
from tests.tables.made_tables import MIXED, code_of, mixed_rows, random_walks, tables
from tests.tables.test_random_tables import untrained

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
TEXTS = st.one_of(ANY_TEXT, st.lists(st.sampled_from(["good", " ", "é", "好", "<|endoftext|>"])).map("".join))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    made_gpt2(folder)
    return folder


@pytest.fixture(scope="module")
def codec(folder):
    return load_codec(folder)


def in_tokens(names, rows, codec, order=FIXED, types=None, rare=1):
    """A code as ``prepare_table --from`` makes it."""
    code = code_of(names, rows, rare=rare, order=order, types=types)
    pieces, columns = Pieces(codec), []
    for place, column in enumerate(code.schema.columns):
        if column.type == TEXT:
            cells = [row[place] for row in rows if not column.is_missing(row[place])]
            most = max([1, *(len(pieces.split(cell)) for cell in cells)])
            column = dataclasses.replace(column, max_bytes=0, max_tokens=most)
        columns.append(column)
    schema = dataclasses.replace(code.schema, columns=tuple(columns))
    return RowCode(schema, code.fitted, order, codec)


def test_some_tokens_of_this_tokenizer_are_no_text(codec):
    """Else the tests here would not see them split."""
    pieces = Pieces(codec)
    longer = [token for token in range(codec.num_ids) if len(codec.join([token])) > 1]
    assert len(set(longer) - set(pieces.ids)) > 3
    assert [codec.join([token]) for token in pieces.ids] == pieces.content
    assert all(one.decode("utf-8") for one in pieces.content[: pieces.num_whole])


@QUICK
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6), st.sampled_from([FIXED, RANDOM]))
def test_every_text_comes_back(codec, rows, order):
    rows = [list(row) for row in rows]
    code = in_tokens(["a", "b"], rows, codec, order, {"a": "text", "b": "text"})
    for row in rows:
        assert code.decode(code.encode(row)) == row


def test_texts_of_another_alphabet_come_back_by_the_real_tokenizer(shared_data):
    codec = load_codec(shared_data / "gpt2-bpe")
    rows = [
        ["héllo wörld"],
        ["好电影"],
        ["👍🏽 ok"],
        ["<|endoftext|>"],
        ["  two  spaces\n\n"],
        ["\x00\x7f\u0080"],
    ]
    code = in_tokens(["t"], rows, codec, types={"t": "text"})
    assert [code.decode(code.encode(row)) for row in rows] == rows
    assert code.num_symbols > 50_000
    # One edge for all tokens: states cost what their columns' bytes would.
    assert len(code.automaton.next_E) < 100 * len(code.automaton.low_S)


@QUICK
@given(tables(), st.integers(0, 2**32 - 1), st.sampled_from([FIXED, RANDOM]))
def test_random_walks_are_rows(codec, table, seed, order):
    names, rows = table
    code = in_tokens(names, rows, codec, order, dict.fromkeys(names[::2], "text"))
    for text in random_walks(code, seed):
        cells = code.decode(text)
        assert text[-1] == EOS and code.decode(code.encode([cell or "" for cell in cells])) == cells


@settings(QUICK, max_examples=10)
@given(tables(), st.integers(0, 2**63), st.sampled_from([FIXED, RANDOM]), st.integers(1, 11))
def test_an_untrained_model_writes_rows_and_the_same_for_the_same_seed(codec, table, seed, order, some):
    names, rows = table
    code = in_tokens(names, rows, codec, order, dict.fromkeys(names[1::2], "text"))
    if not code.order:
        return
    model = untrained(code)
    drawn = model.sample(12, seed=seed)
    assert model.sample(some, seed=seed).rows == drawn.rows[:some]
    assert all(one > -torch.inf for one in model.log_prob(drawn.rows))
    holes = [[None if place % 2 else cell for place, cell in enumerate(row)] for row in rows[:3]]
    for hole, row in zip(holes, model.complete(holes, seed=seed).rows):
        assert all(new == old for old, new in zip(hole, row) if old is not None)


def test_a_text_that_the_tokenizer_cuts_into_more_tokens_than_it_may_have_keeps_a_shorter_code(codec):
    """A tokenizer joins by rank, not as few as it can: what was drawn must be readable."""
    pieces, rows = Pieces(codec), [["good a"], ["b"]]
    code = in_tokens(["t"], rows, codec, types={"t": "text"})
    most = code.schema.columns[0].max_tokens
    by_length = sorted(pieces.content[: pieces.num_whole], key=len)
    longest = b"".join([by_length[-1]] * most).decode()
    assert code.decode(code.encode([longest])) == [longest]
    assert code.codes[0].longest == most + 1 and len(code.encode([longest])) <= most + 2
    with pytest.raises(UserError, match=f"more than {most} tokens: raise max_tokens in the schema"):
        code.encode([longest + "x"])


@pytest.mark.parametrize("order", [FIXED, RANDOM])
def test_symbols_stand_for_texts(codec, order):
    rows = [["good", "1", ""], ["bad", "", "x y"], ["NA", "9", "z"]] * 3 + [["rare", "5", "y"]]
    code = in_tokens(
        ["kind", "size", "note"], rows, codec, order, {"note": "text", "kind": "category"}, rare=3
    )
    texts = texts_of_symbols(code)
    marked = order == RANDOM
    kind, size = code.first_symbol[0] + marked, code.first_symbol[1] + marked
    assert [texts[one] for one in range(kind, kind + 4)] == [[" other"], [" NA"], [" bad"], [" good"]]
    assert texts[size] == [" missing"]
    for cell in ("1", "9"):
        symbol = code.encode_cell(1, cell)[marked]
        (text,) = texts[symbol]
        assert text.startswith(" ") and int(text) in range(1, 10)
    if marked:
        assert [texts[first] for first in code.first_symbol] == [["kind"], ["size"], ["note"]]
    ids = ids_of_symbols(code, codec.end_id)
    assert [ids[one] for one in (0, 1, 3)] == [[], [], []] and ids[EOS] == [[codec.end_id]]
    assert ids[kind + 3] == [codec.encode(" good")]
    *tokens, end = code.encode_cell(2, "x y")[marked:]
    assert [ids[token] for token in tokens] == [[[one]] for one in codec.encode("x y")]
    assert ids[end] == [[codec.end_id]]
    assert all(ids[symbol] for symbol in range(4, code.num_symbols))


def test_a_tree_and_digits_stand_for_all_that_they_lead_to(codec):
    rows = [[str(value), f"v{value:04d}"] for value in range(1000, 1600)]
    code = in_tokens(["n", "c"], rows, codec, types={"n": "integer", "c": "category"})
    texts = texts_of_symbols(code)
    found = {}
    for value in range(1000, 1600):
        for symbol in code.encode_cell(1, f"v{value:04d}"):
            found.setdefault(symbol, []).append(f" v{value:04d}")
    assert {symbol: texts[symbol] for symbol in found} == found
    path = code.encode_cell(0, "1234")
    first = [value for value in range(1000, 1600) if code.encode_cell(0, str(value))[0] == path[0]]
    assert texts[path[0]] == [f" {(first[0] + first[-1]) // 2}"]
    by_digits = code_of(
        ["n"], [[str(value)] for value in [*range(995, 1042), 5, 7] for _ in range(2)], rare=3
    )
    digits = RowCode(by_digits.schema, by_digits.fitted, FIXED, codec)
    assert texts_of_symbols(digits)[digits.encode_cell(0, "437")[-1]] == ["7"]


def prepared(folder, tmp_path, rows=None, **more):
    write_table(tmp_path / "t.csv", MIXED, rows or mixed_rows(80), "csv")
    options = {"pretrained": str(folder), "rare": 1, **more}
    return prepare_table(TableRequest(str(tmp_path / "t.csv"), str(tmp_path / "data"), **options))


def test_a_prepared_folder_says_whose_vocabulary_it_is_of(folder, codec, tmp_path):
    done = prepared(folder, tmp_path)
    manifest = TableManifest.load(tmp_path / "data")
    assert manifest.tokenizer == codec.digest().hex()
    code = load_code(tmp_path / "data", manifest)
    assert code.codec.digest() == codec.digest() and code.num_symbols == manifest.vocabulary
    rows = [code.decode(code.encode(row))[1:] for row in mixed_rows(80)]
    assert rows == [row[1:] for row in mixed_rows(80)]
    (note,) = [one for one in done.schema.columns if one.name == "note"]
    assert note.to_json() == {"name": "note", "type": "text", "max_tokens": note.max_tokens}
    assert note.max_tokens == max(len(Pieces(codec).split(row[5])) for row in mixed_rows(80))
    # Its schema is followed, too: the bound that it states is kept.
    again = prepared(folder, tmp_path, schema=str(tmp_path / "data" / "schema.json"))
    assert again.unchanged and again.schema == done.schema
    for name in ("codec.json", "encoder.json", "vocab.bpe", "code.json"):
        for _ in flipped_bits(tmp_path / "data" / name, 15):
            with pytest.raises(UserError, match=r"prepare (the data|it|the table) again|damaged"):
                load_code(tmp_path / "data", manifest)
    assert load_code(tmp_path / "data", manifest).num_symbols == code.num_symbols


def test_a_folder_that_does_not_fit_is_refused_before_training(folder, codec, tmp_path):
    made_gpt2(tmp_path / "short", positions=24)
    words = r"--from .*short.* 24 positions, .* can have \d+ symbols, \d+ of them in column 'note'"
    with pytest.raises(UserError, match=words + r".*--type note=drop"):
        prepared(tmp_path / "short", tmp_path)
    with pytest.raises(UserError, match="--from: there is no folder"):
        prepared(tmp_path / "no" / "such", tmp_path)
    (tmp_path / "short" / "vocab.json").unlink()
    with pytest.raises(UserError, match="holds no tokenizer"):
        prepared(tmp_path / "short", tmp_path)
    config = tmp_path / "short" / "config.json"
    made_gpt2(tmp_path / "short", positions=24)
    config.write_text(
        config.read_text().replace(f'"vocab_size": {codec.num_ids}', f'"vocab_size": {codec.num_ids + 1}')
    )
    with pytest.raises(UserError, match=r"config\.json tells of .* fetch or export"):
        prepared(tmp_path / "short", tmp_path)
    assert not (tmp_path / "data").exists()


def test_bounds_in_tokens_and_in_bytes_are_told_apart(folder, tmp_path):
    prepared(folder, tmp_path)
    schema = str(tmp_path / "data" / "schema.json")
    with pytest.raises(UserError, match="'note': max_tokens counts GPT-2's tokens.*--from GPT2_FOLDER"):
        prepared(None, tmp_path, schema=schema, pretrained=None)
    prepared(folder, tmp_path, pretrained=None, overwrite=True)
    stated = Schema.load(schema).to_json()
    (note,) = [one for one in stated["columns"] if one["name"] == "note"]
    with pytest.raises(UserError, match='"max_bytes" and "max_tokens" are both there'):
        Schema.from_json({**stated, "columns": [{**note, "max_tokens": 5}]}, "mine.json")
    (tmp_path / "mine.json").write_text((tmp_path / "data" / "schema.json").read_text().replace(
        f'"max_bytes": {note["max_bytes"]}', '"max_bytes": 20'))  # fmt: skip
    with pytest.raises(UserError, match="line 2: column 'note': .* more than 20 bytes: raise max_bytes"):
        prepared(folder, tmp_path, schema=str(tmp_path / "mine.json"), overwrite=True)


def test_tokens_are_counted_once_for_two_columns_of_texts(codec):
    rows = [["good a", "b c"], ["x", ""]]
    one = in_tokens(["a"], [row[:1] for row in rows], codec, types={"a": "text"})
    two = in_tokens(["a", "b"], rows, codec, types={"a": "text", "b": "text"})
    assert two.num_symbols == one.num_symbols
    marked = in_tokens(["a", "b"], rows, codec, RANDOM, {"a": "text", "b": "text"})
    assert np.flatnonzero(marked.column_of_marker() >= 0).tolist() == marked.first_symbol == [4, 5]


def test_a_table_without_texts_has_no_tokens(codec):
    code = in_tokens(["n"], [["1"], ["2"]], codec)
    assert code.num_symbols < 10 and code.first_shared == code.num_symbols
