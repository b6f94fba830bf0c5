"""MAUVE is the published area under the divergence curve."""

import itertools
import math

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.mauve_score import Features, frontier_area, mauve


def literal_area(p, q, c=5.0, points=25):
    """The curve point by point, the area by trapezia."""
    curve = [(0.0, 1.0)]
    for w in reversed(np.linspace(1e-6, 1 - 1e-6, points)):
        mixed = [w * a + (1 - w) * b for a, b in zip(p, q)]
        kl_q = sum(b * math.log(b / m) for b, m in zip(q, mixed) if b)
        kl_p = sum(a * math.log(a / m) for a, m in zip(p, mixed) if a)
        curve.append((math.exp(-c * kl_q), math.exp(-c * kl_p)))
    curve = sorted([*curve, (1.0, 0.0)])
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(curve))


@pytest.mark.parametrize("seed", range(20))
def test_the_area_is_its_literal_statement(seed):
    draw = np.random.default_rng(seed)
    p, q = (draw.dirichlet(np.full(12, 0.5)) for _ in "pq")
    p[:2] = 0
    p /= p.sum()
    assert frontier_area(p, q) == pytest.approx(literal_area(p, q), rel=1e-9)
    assert frontier_area(p, q) == pytest.approx(frontier_area(q, p), rel=1e-9)


def test_equal_histograms_give_one_and_disjoint_ones_almost_nothing():
    p = np.array([0.5, 0.5, 0, 0])
    assert frontier_area(p, p) == pytest.approx(1.0)
    assert frontier_area(p, p[::-1].copy()) < 0.05


def test_nearer_features_score_higher():
    draw = np.random.default_rng(0)
    people = draw.normal(size=(300, 16))
    scores = []
    for shift in (0.0, 1.0, 3.0):
        system = draw.normal(size=(300, 16))
        system[:, :3] += shift
        scores.append(mauve(system, people))
    assert scores[0] > 0.9 and scores[0] > scores[1] > scores[2] and scores[2] < 0.1


def test_too_few_texts_are_refused():
    with pytest.raises(UserError, match="--mauve needs at least 20 texts"):
        mauve(np.ones((19, 4)), np.ones((50, 4)))


def test_features_are_transformers_last_hidden_states_of_the_last_tokens(text, tmp_path):
    """Of texts of different lengths in one batch, and of one longer than the model, which is cut."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 2}
    end = text.codec.num_ids  # one after the last: the tokenizer has no end of its own
    config = GPT2Config(vocab_size=end + 1, bos_token_id=end, eos_token_id=end, **sizes)
    theirs = GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path)
    texts = [
        text.stream[start : start + length].tolist() for start, length in ((0, 5), (9, 16), (30, 1), (40, 30))
    ]
    found = Features(tmp_path, text, batch=3)(texts)
    for indices, vector in zip(texts, found):
        ids = [end if index == 2 else int(text.symbols[index]) for index in indices][:16]
        with torch.no_grad():
            hidden = theirs(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        assert vector == pytest.approx(hidden[0, -1].numpy(), abs=1e-5)
