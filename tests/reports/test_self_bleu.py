"""Self-BLEU is what its definition says and what nltk computes, in time that grows as the text does."""

import random
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.reports.self_bleu import self_bleu
from tests.reference import self_bleu_oracle

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=8), min_size=2, max_size=7)


@given(SENTENCES, st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_it_is_the_definition(sentences, order):
    assert self_bleu(sentences, order) == pytest.approx(
        self_bleu_oracle.self_bleu(sentences, order), rel=1e-12
    )


@given(SENTENCES, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_it_is_what_nltk_computes(sentences, order):
    bleu = pytest.importorskip("nltk.translate.bleu_score", reason="nltk is not installed")
    smooth = bleu.SmoothingFunction().method1
    expected = []
    for place, sentence in enumerate(sentences):
        others = sentences[:place] + sentences[place + 1 :]
        if not sentence:
            expected.append(0.0)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected.append(bleu.sentence_bleu(others, sentence, [1 / order] * order, smooth))
    assert self_bleu(sentences, order) == pytest.approx(sum(expected) / len(expected), rel=1e-9)


def test_equal_sentences_have_one_different_ones_nearly_none_and_one_alone_has_no_figure():
    assert self_bleu([list("abcde")] * 3) == pytest.approx(1.0)
    assert self_bleu([list("abcde"), list("fghij")]) == 0.0
    assert self_bleu([list("abc")]) is None and self_bleu([]) is None
    with pytest.raises(ValueError, match="at least 1"):
        self_bleu([["a"], ["b"]], 0)


def test_the_order_of_sentences_does_not_matter():
    sentences = made(200)
    assert self_bleu(sentences) == pytest.approx(self_bleu(sentences[::-1]), rel=1e-12)


def made(count):
    generator = random.Random(1)
    return [generator.choices(range(2000), k=generator.randint(5, 20)) for _ in range(count)]


@pytest.mark.slow
def test_the_time_grows_as_the_number_of_sentences_does():
    """Four times as many take about four times as long; pairs would take sixteen."""

    def seconds(sentences):
        began = time.process_time()
        self_bleu(sentences)
        return time.process_time() - began

    sentences = made(40_000)
    self_bleu(sentences[:100])
    assert seconds(sentences) < 9 * min(seconds(sentences[:10_000]) for _ in range(2))
