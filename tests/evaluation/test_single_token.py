"""Single-token metrics equal a literal walk through the stream."""

import dataclasses

import numpy as np
import pytest

from fairseq_plugin.evaluation.columns import paired_differences
from fairseq_plugin.evaluation.perplexity import Scored
from fairseq_plugin.evaluation.single_token import Cutting, single_token_columns, window_counts
from fairseq_plugin.evaluation.windows import Window, cut
from fairseq_plugin.reports.bootstrap import Bootstrap, Difference
from tests.evaluation.made_text import system
from tests.reference import language_model_metrics as oracle


def shortened(text, num_tokens):
    counts = {"tokens": num_tokens, "words": 60, "characters": 400, "bytes": 420}
    return dataclasses.replace(text, stream=text.stream[:num_tokens], counts=counts, sha256=str(num_tokens))


@pytest.mark.parametrize(("window", "context"), [(64, 0), (48, 20), (33, 0), (40, 39)])
def test_every_metric_is_its_literal_statement(text, window, context):
    text = shortened(text, 150)
    one = system(text, seed=4)
    column, human = single_token_columns(
        [one], text, Cutting(window, context), batch=3, bootstrap=Bootstrap(resamples=0)
    )
    values, people = oracle.single_token(one.gpt2, text.stream.tolist(), window, context, end=2)
    for name, expected in values.items():
        if name.startswith(("rep/", "wrep/")) and int(name.partition("/")[2]) > window:
            assert column.values[name] is None
        else:
            assert column.values[name] == pytest.approx(expected, rel=1e-5, abs=1e-9), name
    for name, expected in people.items():
        if column.values[name] is not None:
            assert human.values[name] == pytest.approx(expected, abs=1e-9), name
    assert 0 < values["rep/32"] < 1 and values["wrep/32"] <= values["rep/32"]


def test_perplexities_per_unit_spread_one_total(text):
    text = shortened(text, 150)
    column, _ = single_token_columns([system(text)], text, Cutting(50), bootstrap=Bootstrap(resamples=0))
    total = 150 * np.log(column.values["ppl"])
    for unit, number in (("word", 60), ("character", 400), ("byte", 420)):
        assert number * np.log(column.values[f"ppl per {unit}"]) == pytest.approx(total)


def test_a_hand_made_window():
    """Targets a b a c; said a a b c: one right at each end, two from the past."""
    stream = np.array([10, 11, 10, 12])
    scored = Scored(Window(0, 0, 4), np.ones(4), np.array([10, 10, 11, 12]), np.array([1, 5, 11, 1]))
    counts = window_counts(stream, scored)
    assert counts["nll"] == 4 and counts["num_scored"] == 4
    assert counts["hits1"] == 2 and counts["hits10"] == 3 and counts["rank_sum"] == 18
    assert counts["rep_16"] == 2 and counts["wrep_16"] == 2 and counts["human_rep_16"] == 1


def test_context_is_seen_but_not_scored():
    stream = np.array([10, 11, 10, 12])
    scored = Scored(Window(0, 2, 4), np.ones(2), np.array([11, 10]), np.array([2, 3]))
    counts = window_counts(stream, scored)
    assert counts["num_scored"] == 2 and counts["hits1"] == 0
    assert counts["rep_16"] == 2 and counts["human_rep_16"] == 1
    assert counts["rank_sum"] == 5


def test_intervals_are_over_windows_and_systems_are_paired(text):
    systems = [system(text, "a", 1), system(text, "b", 1), system(text, "c", 2)]
    columns = single_token_columns(systems, text, Cutting(32), bootstrap=Bootstrap(resamples=200))
    low, high = columns[0].intervals["ppl"]
    assert low < columns[0].values["ppl"] < high
    assert "uniq" not in columns[0].intervals
    same, other = paired_differences(columns)
    assert same.second == "b" and same.metrics["ppl"] == Difference(0.0, (0.0, 0.0))
    found = other.metrics["ppl"]
    assert found.value == pytest.approx(columns[2].values["ppl"] - columns[0].values["ppl"])
    assert found.interval[0] < found.value < found.interval[1]
    assert len(cut(len(text.stream), 32)) > 30
