"""What the nucleus of a wide distribution promises."""

import math

import pytest
import torch

from fairseq_plugin.sampling.draw import Sampling, draw, draw_gumbel
from fairseq_plugin.sampling.inverse_cdf import Members
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.nucleus import outside_nucleus


def literal_nucleus(logits_V, temperature, p):
    """Sort all tokens, most probable first, lower numbers first among equals; take until p is reached."""
    probs = torch.softmax(logits_V / temperature, -1).double().tolist()
    kept, mass = set(), 0.0
    for token in sorted(range(len(probs)), key=lambda token: (-probs[token], token)):
        if mass >= p or probs[token] == 0:
            break
        kept.add(token)
        mass += probs[token]
    return kept


def some_logits(spread, rounded=False, num_rows=5, num_symbols=3000):
    logits_OV = torch.randn(num_rows, num_symbols, generator=torch.Generator().manual_seed(7)) * spread
    logits_OV[:, [0, 5, -1]] = -math.inf
    return logits_OV.bfloat16().float() if rounded else logits_OV


def inside(logits_OV, temperature, p):
    allowed_OV = ~outside_nucleus(logits_OV, temperature, p) & logits_OV.isfinite()
    return [set(row_V.nonzero().squeeze(1).tolist()) for row_V in allowed_OV]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("p", [0.01, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("spread, rounded", [(0.0, False), (0.5, False), (3.0, False), (1.0, True)])
def test_it_is_what_sorting_all_tokens_finds(spread, rounded, p, temperature):
    """Also where bfloat16 makes hundreds of tokens equally probable."""
    logits_OV = some_logits(spread, rounded)
    for found, logits_V in zip(inside(logits_OV, temperature, p), logits_OV, strict=True):
        assert found == literal_nucleus(logits_V, temperature, p)


def test_a_row_needs_no_other_row():
    logits_OV = torch.cat([some_logits(0.5), some_logits(3.0), some_logits(1.0, rounded=True)])
    together = outside_nucleus(logits_OV, 1.0, 0.9)
    for row, logits_V in enumerate(logits_OV):
        assert torch.equal(outside_nucleus(logits_V[None], 1.0, 0.9)[0], together[row])


def test_of_no_rows_there_is_no_nucleus():
    assert outside_nucleus(torch.zeros(0, 128), 1.0, 0.9).shape == (0, 128)


@pytest.mark.parametrize("gumbel", [False, True])
def test_wide_and_narrow_rows_draw_together_as_alone(gumbel):
    logits_BV = torch.cat([some_logits(0.5), some_logits(6.0), some_logits(0.1)])
    counts = [1 + row % 3 for row in range(len(logits_BV))]
    row_M = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    ids_M, steps_M = torch.arange(len(row_M)), torch.full_like(row_M, 3)
    uniform_M = keyed_uniform(1, ids_M, steps_M)
    sampling = Sampling(top_p=0.8, gumbel=gumbel)

    def draw_some(logits_BV, some, members):
        if gumbel:
            return draw_gumbel(logits_BV, 1, ids_M[some], steps_M[some], sampling, members)
        return draw(logits_BV, uniform_M[some], sampling, members)

    together_M = draw_some(logits_BV, slice(None), Members(counts))
    for member, row in enumerate(row_M.tolist()):
        assert draw_some(logits_BV[row : row + 1], slice(member, member + 1), None) == together_M[member]
        assert together_M[member].item() in literal_nucleus(logits_BV[row], 1.0, 0.8)
