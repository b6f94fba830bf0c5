"""Figures of the report against literal, slow statements of what they mean."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.reports import statistics

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=7), max_size=8)


def ngrams(sentence, n):
    return [tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1)]


def stands_in(run, train):
    """Whether the run of words stands in a row in one sentence of train."""
    return any(tuple(run) in ngrams(sentence, len(run)) for sentence in train)


def longest_from(sentence, start, train):
    length = 0
    while start + length < len(sentence) and stands_in(sentence[start : start + length + 1], train):
        length += 1
    return length


@given(SENTENCES, SENTENCES)
@settings(max_examples=300, deadline=None)
def test_copied_lengths_are_the_longest_runs_that_stand_in_train(train, queries):
    found = statistics.copied_lengths(train, queries)
    assert [list(map(int, runs)) for runs in found] == [
        [longest_from(sentence, start, train) for start in range(len(sentence))] for sentence in queries
    ]


@given(SENTENCES, SENTENCES)
@settings(max_examples=100, deadline=None)
def test_novelty_counts_ngrams_that_train_lacks(train, queries):
    found = statistics.novelty(statistics.copied_lengths(train, queries))
    for n, share in zip((1, 2, 3, 4), found.new):
        every = [gram for sentence in queries for gram in ngrams(sentence, n)]
        new = [gram for gram in every if not stands_in(gram, train)]
        assert share == (pytest.approx(len(new) / len(every)) if every else None)
    if queries:
        whole = [sentence for sentence in queries if sentence and stands_in(sentence, train)]
        assert found.whole == pytest.approx(len(whole) / len(queries))
        new = [s for s in queries if any(not stands_in([word], train) for word in s)]
        assert found.with_new_word == pytest.approx(len(new) / len(queries))
        longest = [max([longest_from(s, i, train) for i in range(len(s))], default=0) for s in queries]
        assert found.longest_max == max(longest)
        assert found.longest_mean == pytest.approx(sum(longest) / len(longest))


@given(SENTENCES, st.integers(1, 4))
def test_distinct_n_is_different_over_all(sentences, n):
    every = [gram for sentence in sentences for gram in ngrams(sentence, n)]
    assert statistics.distinct_n(sentences, n) == (len(set(every)) / len(every) if every else None)


@given(SENTENCES, SENTENCES, st.integers(0, 3))
def test_distinct_is_compared_at_equal_numbers_of_words(real, synthetic, seed):
    found = statistics.compare_distinct(real, synthetic, seed)
    smaller = min(sum(map(len, real)), sum(map(len, synthetic)))
    assert found.words == smaller
    for side, sentences in (("real", real), ("synthetic", synthetic)):
        taken = statistics.take_words(sentences, smaller, seed)
        assert sum(map(len, taken)) == smaller
        assert getattr(found, side) == [statistics.distinct_n(taken, n) for n in (1, 2, 3)]


@given(SENTENCES, st.integers(0, 30), st.integers(0, 3))
def test_words_are_taken_as_whole_sentences_but_for_the_last(sentences, num_words, seed):
    taken = statistics.take_words(sentences, num_words, seed)
    assert sum(map(len, taken)) == min(num_words, sum(map(len, sentences)))
    left = [list(sentence) for sentence in sentences]
    for sentence in taken[:-1]:
        left.remove(sentence)  # each one once, as it stands
    if taken:
        assert any(sentence[: len(taken[-1])] == taken[-1] for sentence in left)


@given(st.lists(st.integers(0, 200), min_size=1), st.lists(st.integers(0, 90), min_size=1))
def test_a_histogram_loses_no_sentence(left, right):
    edges, shares = statistics.histogram({"left": left, "right": right})
    assert len(edges) <= 42 and edges == sorted(set(edges))
    for lengths, own in ((left, shares["left"]), (right, shares["right"])):
        assert len(own) == len(edges) - 1
        assert sum(own) == pytest.approx(1)
        inner = [low <= length < high for low, high in itertools.pairwise(edges[:-1]) for length in lengths]
        assert sum(own[:-1]) == pytest.approx(sum(inner) / len(lengths))


def test_a_draw_of_rows_keeps_their_order_and_repeats_none():
    rows = list(range(100))
    drawn = statistics.draw(rows, 10, 3)
    assert len(set(drawn)) == 10 and drawn == sorted(drawn) == statistics.draw(rows, 10, 3)
    assert statistics.draw(rows, 100, 3) == rows


def test_the_nearest_sentence_of_a_copy_is_itself():
    train = ["a warm and funny film", "a dull mess", "the plot goes nowhere"]
    found = statistics.nearest(train, ["the plot goes nowhere", "a dull mess !", "zzz"])
    assert found[0][0] == 2 and found[0][1] == pytest.approx(1, abs=1e-5)
    assert found[1][0] == 1 and 0.5 < found[1][1] < 1
    assert found[2][1] == 0


@given(
    st.lists(st.text("abc ", min_size=1, max_size=12), min_size=1, max_size=6), st.text("abcd ", max_size=12)
)
@settings(max_examples=40, deadline=None)
def test_similarities_do_not_depend_on_the_chunk(train, query):
    queries = [query, *train, query]
    once = statistics.nearest(train, queries)
    assert [s for _, s in statistics.nearest(train, queries, chunk=1)] == pytest.approx(
        [s for _, s in once], abs=1e-6
    )
    assert all(0 <= similarity <= 1 for _, similarity in once)
