"""No drawn row has a category or the words of a text that few rows have, unless it was asked for."""

from collections import Counter

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.synthesis.row_job import RowJob
from fairseq_plugin.tables import drawing
from fairseq_plugin.tables.code.rare_texts import NAME, TextCounts
from fairseq_plugin.tables.code.rows import FIXED, RANDOM
from fairseq_plugin.tables.conditions import parse_condition
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.schema import TEXT, Column, Schema
from fairseq_plugin.tables.starts import sample_from
from fairseq_plugin.tables.summary import format_summary
from tests.tables.made_gpt2 import made_gpt2
from tests.tables.made_rare_texts import LETTERS, made_rows, num_rare_cells, prepared_in


def model_on(data):
    code = load_code(data, TableManifest.load(data))
    torch.manual_seed(0)
    gpt2 = GPT2(GPT2Config(code.num_symbols, code.longest, 16, 1, 2, 0.0)).eval()
    gpt2.banned = torch.tensor([0, 1, 3])
    return TableModel(code, gpt2)


@pytest.fixture(scope="module", params=[FIXED, RANDOM])
def order(request):
    return request.param


@pytest.fixture(scope="module")
def model(order, tmp_path_factory):
    return model_on(prepared_in(tmp_path_factory.mktemp("rare"), order)[0])


@pytest.fixture(scope="module")
def free_model(order, tmp_path_factory):
    """The same network, where every value may be emitted."""
    free = model_on(prepared_in(tmp_path_factory.mktemp("free"), order)[0])
    free.code.rare_texts = type(free.code.rare_texts)()
    return free


def test_no_rare_category_and_no_rare_text_is_drawn(model, free_model):
    drawn = model.sample(300, seed=3)
    assert len(drawn.rows) == 300 == drawn.num_drawn
    assert num_rare_cells(drawn.rows) == [0, 0, 0]
    freely = free_model.sample(300, seed=3)
    kinds, notes, replies = num_rare_cells(freely.rows)
    assert kinds == 0 and min(notes, replies) > 20  # texts are what the rule is needed for
    assert freely.num_redrawn == 0 < drawn.num_redrawn
    assert {"a"} < {row[1] for row in drawn.rows} and "b" not in {row[1] for row in drawn.rows}
    same = [new for new, old in zip(drawn.rows, freely.rows) if new == old]
    assert len(same) == sum(num_rare_cells([row]) == [0, 0, 0] for row in freely.rows)


def test_a_row_that_was_drawn_again_depends_on_seed_and_number_alone(model):
    many = model.sample(90, seed=5)
    assert model.sample(20, seed=5, first=40).rows == many.rows[40:60]


def test_units_give_the_rows_of_one_draw(model, tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "checkpoint.pt").write_bytes(b"weights")
    job = RowJob.of(tmp_path / "drawn", tmp_path, tmp_path / "checkpoint.pt", 4, model.prompt_for(None))
    rows = job.rows(60, None, model, ThisProcess(model=model), 100.0, unit_size=13)
    assert rows == model.sample(60, seed=4)


def test_given_cells_and_conditions_keep_it(model):
    where = parse_condition("count >= 20", model.code.schema)
    met = model.sample(60, seed=1, where=where)
    starts = sample_from(model, [["common", None, None, None]], 60, seed=2)
    holes = [[None, None, None, row[3]] for row in made_rows()[:4]]
    imputed = model.complete(holes, seed=3)
    assert [len(one.rows) for one in (met, starts, imputed)] == [60, 60, 4]
    for found in (met, starts, imputed):
        assert num_rare_cells(found.rows) == [0, 0, 0] and found.num_redrawn > 0


def test_a_rare_text_that_was_given_stays(model):
    given = [[None, "x", None, "7"], [None, "y", None, None]]
    rows = model.complete(given, seed=1).rows
    assert [row[1] for row in rows] == ["x", "y"]
    assert [num_rare_cells([row])[2] for row in rows] == [0, 0]


def test_what_is_asked_for_is_emitted(tmp_path, order):
    data, prepared = prepared_in(tmp_path, order, rare=1)
    assert prepared.num_rare_texts == 0 and not (data / NAME).exists()
    assert min(num_rare_cells(model_on(data).sample(300, seed=3).rows)[1:]) > 20


def test_the_summary_counts_rare_texts_and_the_folder_keeps_their_digests(tmp_path):
    data, prepared = prepared_in(tmp_path)
    counts = [Counter(cells) for cells in zip(*made_rows())]
    num_rare = sum(count < 5 for column in counts[1:3] for count in column.values())
    assert prepared.num_rare_texts == num_rare == 2 * len(LETTERS) - 2
    assert f"{num_rare} texts are in fewer than --rare 5 rows" in format_summary(prepared, "data")
    assert (data / NAME).stat().st_size == 8 * 2 * num_rare  # texts, and their words


def test_a_rare_text_is_known_again_in_other_capitals_blanks_and_marks():
    schema = Schema((Column("note", TEXT, max_bytes=40), Column("reply", TEXT, max_bytes=40)))
    counts = TextCounts(schema)
    counts.add([["Ann lives in Rome.", "fine"]] + [["All is well.", "fine"]] * 5 + [["ALL IS WELL", "Zoë"]])
    rare = counts.rarer_than(5)
    for text in ("Ann lives in Rome.", "ann  lives in ROME", "«Ann lives, in Rome»", "ALL IS WELL"):
        assert rare.holds("note", text) and not rare.holds("reply", text)
    assert rare.holds("reply", "zoe\u0308") and rare.holds("reply", "ZOË!")
    for text in ("All is well.", "all is well", "Ann lives in Rom.", "Ann lives", "", "..."):
        assert not rare.holds("note", text)
    assert counts.num_rarer_than(5) == 3


def test_a_model_that_knows_nothing_but_rare_texts_is_refused(model, monkeypatch):
    class Every:
        def __len__(self):
            return 1

        def holds(self, name, text):
            return True

    monkeypatch.setattr(model.code, "rare_texts", Every())
    monkeypatch.setattr(drawing, "MOST_DRAWS", 2)
    monkeypatch.setattr(drawing, "_FEWEST_DRAWS", 2)
    with pytest.raises(UserError, match="3 rows repeat texts of fewer.* after 6 further draws: .*--rare 1"):
        model.sample(3, seed=1)


def test_texts_in_tokens_are_known_however_they_are_cut(tmp_path):
    """A network draws a text in other tokens than the tokenizer's own."""
    made_gpt2(tmp_path / "gpt2")
    data, _ = prepared_in(tmp_path, pretrained=str(tmp_path / "gpt2"))
    model = model_on(data)
    drawn = model.sample(300, seed=3)
    assert drawn.num_redrawn > 0 and num_rare_cells(drawn.rows) == [0, 0, 0]
