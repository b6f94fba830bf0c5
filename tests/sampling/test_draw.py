"""What a drawn token promises."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.sampling.draw import Sampling, draw, draw_gumbel
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from tests.reference.drawing_oracle import allowed_probabilities, draw_one, gumbel_one

MODES = [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.0, 5, 1.0), (1.3, 0, 0.8), (1.0, 40, 0.5), (0.9, 700, 0.95)]


def random_logits(seed, num_rows=16, num_symbols=700, banned=True):
    generator = torch.Generator().manual_seed(seed)
    logits_BV = torch.randn(num_rows, num_symbols, generator=generator) * 3
    if banned:
        logits_BV[:, [0, 1, 3, -1]] = -math.inf
    return logits_BV


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), num_symbols=st.sampled_from([5, 64, 65, 300, 700]))
def test_a_draw_is_the_literal_inverse_cdf(mode, seed, num_symbols):
    logits_BV = random_logits(seed, 8, num_symbols)
    uniform_B = torch.rand(8, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    tokens_B = draw(logits_BV.clone(), uniform_B, Sampling(*mode))
    for row, token in enumerate(tokens_B.tolist()):
        u = uniform_B[row].item()
        # float32 weights move a boundary by about 1e-6: the literal draw there or just beside it
        near = {
            draw_one(logits_BV[row].tolist(), min(max(u + d, 0.0), 1 - 1e-12), *mode)
            for d in (-1e-5, 0, 1e-5)
        }
        assert token in near


@pytest.mark.parametrize("mode", MODES)
def test_frequencies_are_the_probabilities(mode):
    logits_V = random_logits(3, 1, 50)[0]
    num_draws = 40_000
    ids = torch.arange(num_draws)
    uniform_B = keyed_uniform(11, ids, torch.zeros_like(ids))
    counts_V = torch.bincount(draw(logits_V.expand(num_draws, -1), uniform_B, Sampling(*mode)), minlength=50)
    assert_frequencies(counts_V, logits_V, mode, num_draws)


@pytest.mark.parametrize("mode", MODES)
def test_gumbel_frequencies_are_the_probabilities(mode):
    logits_V = random_logits(4, 1, 50)[0]
    num_draws = 40_000
    ids = torch.arange(num_draws)
    sampling = Sampling(*mode, gumbel=True)
    drawn_B = draw_gumbel(logits_V.expand(num_draws, -1), 11, ids, torch.zeros_like(ids), sampling)
    assert_frequencies(torch.bincount(drawn_B, minlength=50), logits_V, mode, num_draws)


def assert_frequencies(counts_V, logits_V, mode, num_draws):
    """Chi-square: beyond 6 standard deviations once in 10^8 runs."""
    expected = allowed_probabilities(logits_V.tolist(), *mode)
    chi_square = sum(
        (counts_V[token].item() - num_draws * p) ** 2 / (num_draws * p)
        for token, p in expected.items()
        if p > 1e-4
    )
    degrees = sum(p > 1e-4 for p in expected.values())
    assert counts_V.sum() == num_draws
    assert all(counts_V[token] == 0 for token in range(50) if token not in expected)
    assert chi_square < degrees + 6 * math.sqrt(2 * degrees) + 6


@pytest.mark.parametrize("mode", MODES)
def test_the_ends_of_the_unit_interval_draw_allowed_tokens(mode):
    logits_BV = random_logits(5, 4)
    for u in (2.0**-53, 1 - 2.0**-53):
        tokens_B = draw(logits_BV.clone(), torch.full((4,), u, dtype=torch.float64), Sampling(*mode))
        for row, token in enumerate(tokens_B.tolist()):
            assert token in allowed_probabilities(logits_BV[row].tolist(), *mode)


def test_a_flat_distribution_needs_the_whole_nucleus():
    logits_BV = torch.zeros(2, 5000)  # top-p must look far beyond its first 256 columns
    uniform_B = torch.tensor([0.0, 1 - 1e-9], dtype=torch.float64)
    tokens_B = draw(logits_BV, uniform_B, Sampling(top_p=0.5))
    kept = {
        token
        for u in torch.linspace(0, 1 - 1e-9, 4001, dtype=torch.float64).split(2000)
        for token in draw(torch.zeros(len(u), 5000), u, Sampling(top_p=0.5)).tolist()
    }
    assert len(kept) <= 2501 and len(kept) > 2000
    assert set(tokens_B.tolist()) <= kept


def test_temperature_zero_is_the_arg_max():
    logits_BV = random_logits(9)
    tokens_B = draw(logits_BV, torch.full((16,), 0.999, dtype=torch.float64), Sampling(temperature=0.0))
    assert tokens_B.tolist() == logits_BV.argmax(-1).tolist()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_damaged_logits_are_refused(bad):
    logits_BV = random_logits(1)
    logits_BV[3, 20] = bad
    with pytest.raises(FloatingPointError, match="NaN or \\+inf"):
        draw(logits_BV, torch.full((16,), 0.5, dtype=torch.float64), Sampling())


def test_a_row_without_an_allowed_token_is_refused():
    with pytest.raises(FloatingPointError, match="no token at all"):
        draw(torch.full((1, 9), -math.inf), torch.tensor([0.5], dtype=torch.float64), Sampling())


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -1},
        {"temperature": math.inf},
        {"temperature": 1e-4},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
    ],
)
def test_settings_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        Sampling(**values)


@pytest.mark.parametrize("mode", MODES)
def test_a_gumbel_draw_is_the_literal_one_and_needs_no_batch(mode):
    logits_BV = random_logits(8, 12, 300)
    ids_B, steps_B = torch.arange(12) * 1000, torch.arange(12) % 5
    sampling = Sampling(*mode, gumbel=True)
    drawn_B = draw_gumbel(logits_BV, 7, ids_B, steps_B, sampling)
    for row, token in enumerate(drawn_B.tolist()):
        one = slice(row, row + 1)
        assert token == gumbel_one(logits_BV[row].tolist(), 7, ids_B[row].item(), steps_B[row].item(), *mode)
        assert token == draw_gumbel(logits_BV[one], 7, ids_B[one], steps_B[one], sampling).item()


def test_gumbel_noise_does_not_depend_on_what_else_is_allowed():
    """Forbidding a token that was not drawn changes nothing; a cold temperature draws the best one."""
    logits_BV = random_logits(8, 64, 100, banned=False)
    ids_B, steps_B = torch.arange(64), torch.zeros(64, dtype=torch.int64)
    drawn_B = draw_gumbel(logits_BV, 7, ids_B, steps_B, Sampling(gumbel=True))
    rows_B = torch.arange(64)
    logits_BV[rows_B, (drawn_B + 1) % 100] = -math.inf
    assert torch.equal(draw_gumbel(logits_BV, 7, ids_B, steps_B, Sampling(gumbel=True)), drawn_B)
    cold_B = draw_gumbel(logits_BV, 7, ids_B, steps_B, Sampling(temperature=1e-3, gumbel=True))
    assert torch.equal(cold_B, logits_BV.argmax(-1))
    with pytest.raises(ValueError, match="gumbel"):
        Sampling(temperature=0.0, gumbel=True)
    logits_BV[3, 3] = math.nan
    with pytest.raises(FloatingPointError, match="NaN"):
        draw_gumbel(logits_BV, 7, ids_B, steps_B, Sampling(gumbel=True))
