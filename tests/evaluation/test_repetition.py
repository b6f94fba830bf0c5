"""Repetition and variety equal their literal statements, on random and on hand-made texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.continuations import continuation_column, note_unequal_totals
from fairseq_plugin.evaluation.repetition import count_ngrams, measure_repetition, seq_rep, variety
from fairseq_plugin.reports.bootstrap import Bootstrap
from tests.reference import language_model_metrics as oracle

TEXTS = st.lists(st.lists(st.integers(0, 4), max_size=14), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_every_metric_is_its_literal_statement(texts):
    values = measure_repetition(texts, units=None, bootstrap=Bootstrap(resamples=0)).values
    found = variety(texts)
    for n in (1, 2, 3, 4):
        assert [seq_rep(text, n) for text in texts] == [oracle.seq_rep(text, n) for text in texts]
        assert values[f"seq-rep-{n}"] == pytest.approx(oracle.mean_seq_rep(texts, n), abs=1e-12)
        assert values[f"rep-{n}"] == pytest.approx(oracle.corpus_rep(texts, n), abs=1e-12)
        assert found.distinct[n] == oracle.distinct_n(texts, n)
        assert found.too_short[n] == sum(len(text) < n for text in texts)
    assert values["diversity"] == pytest.approx(oracle.diversity(texts), abs=1e-12)
    assert found.uniq == len({token for text in texts for token in text})
    assert found.num_tokens == sum(map(len, texts))


@pytest.mark.parametrize(
    ("text", "n", "expected"),
    [
        ([5] * 100, 1, 0.99),
        ([5] * 100, 4, 96 / 97),
        (list(range(100)), 1, 0.0),
        ([1, 2, 3, 4] * 25, 4, 93 / 97),  # four different 4-grams in a loop of four
        (["a", "b", "a", "b"], 2, 1 / 3),
        ([7], 1, 0.0),
        ([7], 2, None),
        ([], 1, None),
    ],
)
def test_hand_made_texts(text, n, expected):
    found = seq_rep(text, n)
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-15)


def test_the_two_averages_differ_where_lengths_do():
    texts = [[1] * 5, list(range(20))]  # a short loop, a long text without repetition
    values = measure_repetition(texts, units=None, bootstrap=Bootstrap(resamples=0)).values
    assert values["seq-rep-1"] == pytest.approx((4 / 5 + 0) / 2)
    assert values["rep-1"] == pytest.approx(1 - 21 / 25)


def test_no_ngram_crosses_from_one_text_to_the_next():
    assert count_ngrams([1, 2], 2) == (1, 1)
    assert variety([[1, 2], [3, 4]]).distinct[2] == 1.0
    assert (
        measure_repetition([[1, 2], [1, 2]], None, bootstrap=Bootstrap(resamples=0)).values["seq-rep-2"]
        == 0.0
    )


def test_texts_shorter_than_n_are_left_out_and_counted():
    column = continuation_column(
        "x", [[1, 1, 1, 1], [2, 2], [3]], None, units=None, bootstrap=Bootstrap(resamples=0)
    )
    assert column.values["seq-rep-2"] == pytest.approx((2 / 3 + 0) / 2)
    assert "seq-rep-4" not in column.values, "two of three have no 4-gram"
    assert column.values["continuations"] == 3
    assert "1 for n = 2, 2 for n = 3, 2 for n = 4" in column.notes[0]


def test_one_token_continuations_have_no_pairs_and_say_so():
    column = continuation_column("x", [[1], [2]], None, units=None)
    assert column.values["seq-rep-1"] == 0.0
    assert column.values.get("seq-rep-2") is None and column.values.get("diversity") is None
    assert "seq-rep-2" not in column.intervals
    assert "2 for n = 2" in column.notes[0]


@pytest.mark.parametrize("texts", [[], [[]], [[], []]])
def test_nothing_to_evaluate_is_an_error(texts):
    with pytest.raises(UserError, match="nothing to evaluate"):
        continuation_column("x", texts, None, units=None)


def test_white_space_alone_has_tokens_and_no_words():
    column = continuation_column("x", [[9, 9, 9, 9]], [[]], units=None, bootstrap=Bootstrap(resamples=0))
    assert column.values["seq-rep-1"] == 0.75 and column.values["words"] == 0
    assert "seq-rep-1 (words)" not in column.values and "no word" in column.notes[0]


def test_unequal_totals_are_told():
    short = continuation_column("short", [[1, 2]], [["a"]], None, bootstrap=Bootstrap(resamples=0))
    long = continuation_column("long", [[1, 2, 3]], [["a"]], None, bootstrap=Bootstrap(resamples=0))
    (note,) = note_unequal_totals([short, long])
    assert "uniq-seq" in note and "short 2, long 3" in note
    assert note_unequal_totals([short, short]) == []
