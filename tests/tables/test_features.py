"""What symbols of a table stand for, as features: read off the cells that they write."""

import math
from collections import Counter

import pytest
import torch

from fairseq_plugin.tables.code.features import log_frequencies, symbol_features
from tests.reference.feature_embedding_oracle import literal_bumps
from tests.tables.made_tables import code_of

NAMES = ["size", "kind", "count"]
ROWS = [[f"{size / 10:.1f}", "ab"[size % 2], str(size % 5 if size % 3 else "")] for size in range(200)]


def counted(code, rows):
    counts = Counter(symbol for row in rows for symbol in code.encode(row))
    return [counts[symbol] for symbol in range(code.num_symbols)]


def code_and_counts():
    code = code_of(NAMES, ROWS, rare=3)
    return code, counted(code, ROWS)


def test_the_first_symbol_of_a_number_reads_its_place_and_its_value():
    code, counts = code_and_counts()
    features = symbol_features(code, counts, 4, 3)
    size = code.codes[code.names.index("size")]
    values = {}  # of the first symbol: the cells that begin with it
    for tenth in range(200):
        values.setdefault(size.encode(f"{tenth / 10:.1f}")[0], []).append(tenth)
    middles = {symbol: (min(some) + max(some)) / 2 for symbol, some in values.items()}
    mean = sum(len(values[symbol]) * middles[symbol] for symbol in values) / 200
    logs = {symbol: math.log(middle + mean / 20) for symbol, middle in middles.items()}
    assert len(values) > 10
    for place, symbol in enumerate(sorted(values)):
        truth = literal_bumps((place + 0.5) / len(values), 4, 0, 1)
        for read in (middles, logs):
            mean = sum(len(values[one]) * read[one] for one in values) / 200
            deviation = math.sqrt(sum(len(values[one]) * (read[one] - mean) ** 2 for one in values) / 200)
            z = max(-3.0, min(3.0, (read[symbol] - mean) / deviation))
            truth += [z, z * z - 1, *literal_bumps(z, 3, -2.2, 2.2)]
        assert features.features_VK[symbol].tolist() == pytest.approx(truth, abs=1e-5)


def test_scales_are_those_of_numbers_and_each_is_one():
    code, counts = code_and_counts()
    features = symbol_features(code, counts, 8, 0)
    assert features.features_VK.shape == (code.num_symbols, 8)
    scale_V = features.scale_V.tolist()
    for name, number in (("size", 0), ("kind", 1), ("count", 2)):
        first = [code.encode_cell(number, row[code.order[number]])[0] for row in ROWS]
        scales = {scale_V[symbol] for symbol in first}
        missing = {scale_V[symbol] for symbol, row in zip(first, ROWS) if row[code.order[number]] == ""}
        assert missing <= {-1}, "a missing cell has no place"
        assert len(scales - {-1}) == (0 if name == "kind" else 1), name
    assert len(set(scale_V) - {-1}) == max(scale_V) + 1


def test_the_bias_says_how_often_a_symbol_occurs_among_those_that_may_stand_there():
    code, counts = code_and_counts()
    bias_V = log_frequencies(code, counts)
    for number, name in enumerate(code.names):
        first = Counter(code.encode_cell(number, row[code.order[number]])[0] for row in ROWS)
        state = code.start_C[number]
        low, count = int(code.automaton.low_S[state]), int(code.automaton.count_S[state])
        share = bias_V[low : low + count].softmax(0)
        truth = torch.tensor([first[symbol] + 0.5 for symbol in range(low, low + count)])
        assert torch.allclose(share, truth / truth.sum(), atol=1e-6), name
        assert bias_V[low : low + count].mean().abs() < 1e-5


def test_a_column_with_negative_numbers_has_no_logarithms():
    rows = [[f"{(size - 90) / 10:.1f}", "a", "3"] for size in range(200)]
    code = code_of(NAMES, rows, rare=3)
    features = symbol_features(code, counted(code, rows), 4, 3)
    first = {code.codes[code.names.index("size")].encode(row[0])[0] for row in rows}
    assert all(features.features_VK[symbol, 9:].eq(0).all() for symbol in first)
    assert any(features.features_VK[symbol, 4:9].ne(0).all() for symbol in first)


def test_a_column_of_one_value_and_symbols_that_never_occur_give_no_nan():
    rows = [["7.5", "a", "3"]] * 40
    code = code_of(NAMES, rows, rare=3)
    for counts in (counted(code, rows), [0] * code.num_symbols):
        assert torch.isfinite(symbol_features(code, counts, 4, 3).features_VK).all()
        assert torch.isfinite(log_frequencies(code, counts)).all()
