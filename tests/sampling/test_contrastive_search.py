"""What contrastive search promises."""

import pytest
import torch

from fairseq_plugin.sampling.draw import Sampling
from tests.reference import search_oracle
from tests.reference.gpt2_reference import pair
from tests.sampling.doors import continue_prompts, contrastive_search

END = 210
PROMPTS = [[END, 5, 6], [END, 7], [END, 100, 101, 102, 103, 104, 105, 106, 107, 108], [END, 5, 6, 5], [END]]


@pytest.fixture(scope="module")
def model():
    ours, _ = pair(seed=3, n_positions=64)
    with torch.no_grad():
        ours.wte.weight[END] *= 2.5  # so that some texts end
        ours.wte.weight.mul_(3)  # and probabilities that can outweigh a cosine
    return ours


@pytest.mark.parametrize(
    ("top_k", "alpha", "min_new", "n"),
    [(4, 0.6, 0, 0), (8, 0.3, 20, 0), (1, 0.6, 5, 0), (5, 1.0, 0, 0), (4, 0.6, 9, 2)],
)
def test_contrastive_search_is_the_literal_one(model, top_k, alpha, min_new, n):
    limits = {"max_new": 20, "min_new": min_new, "no_repeat_ngram": n}
    found = contrastive_search(model, PROMPTS, end=END, top_k=top_k, alpha=alpha, **limits)
    for prompt, one in zip(PROMPTS, found, strict=True):
        literal = search_oracle.contrastive_search(model, prompt, END, 20, top_k, alpha, min_new, n)
        assert one.tokens.tolist() + [END] * one.ended == literal


def test_the_penalty_changes_texts_and_without_it_they_are_greedy(model):
    options = {"end": END, "max_new": 40, "min_new": 40}
    greedy = continue_prompts(model, PROMPTS, range(5), seed=0, sampling=Sampling(temperature=0.0), **options)
    plain, penalised = (
        [one.tokens.tolist() for one in contrastive_search(model, PROMPTS, top_k=6, alpha=alpha, **options)]
        for alpha in (0.0, 0.6)
    )
    assert plain == [one.tokens.tolist() for one in greedy]
    assert plain != penalised and all(len(text) == 40 for text in penalised)
    assert sum(len(set(text)) for text in penalised) > sum(len(set(text)) for text in plain)


@torch.no_grad()
def test_scores_are_log_probabilities_of_the_plain_model(model):
    for prompt, one in zip(
        PROMPTS, contrastive_search(model, PROMPTS, end=END, max_new=20, min_new=4, top_k=4, alpha=0.6)
    ):
        new = one.tokens.tolist() + [END] * one.ended
        logprobs_TV = model.logits(model(torch.tensor([prompt + new[:-1]])))[
            0, len(prompt) - 1 :
        ].log_softmax(-1)
        expected_T = logprobs_TV.gather(1, torch.tensor(new).unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(one.scores, expected_T, atol=5e-5, rtol=1e-5)


def test_a_text_does_not_depend_on_its_batch(model):
    prompts = [PROMPTS[i % 5][:1] + [i] + PROMPTS[i % 5][1:] for i in range(24)]
    options = {"end": END, "max_new": 24, "top_k": 5, "alpha": 0.5}
    whole = contrastive_search(model, prompts, **options)
    assert any(one.ended for one in whole)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1)).tolist()
    for size in (1, 2, 7):
        for start in range(0, 24, size):
            some = order[start : start + size]
            for i, one in zip(
                some, contrastive_search(model, [prompts[i] for i in some], **options), strict=True
            ):
                assert torch.equal(one.tokens, whole[i].tokens) and torch.equal(one.scores, whole[i].scores)


def test_what_cannot_be_searched_is_refused(model):
    assert contrastive_search(model, [], end=END, max_new=3, top_k=2, alpha=0.5) == []
    for options, named in (
        ({"top_k": 0, "alpha": 0.5, "max_new": 3}, "top_k must be at least 1"),
        ({"top_k": 212, "alpha": 0.5, "max_new": 3}, "top_k must be in"),
        ({"top_k": 2, "alpha": 1.5, "max_new": 3}, "alpha must be in"),
        ({"top_k": 2, "alpha": 0.5, "max_new": 64}, "exceed the model's 64 positions"),
    ):
        with pytest.raises(ValueError, match=named):
            contrastive_search(model, PROMPTS, end=END, **options)
    long = contrastive_search(model, [[END] * 60], end=END, max_new=4, min_new=4, top_k=50, alpha=0.5)
    assert len(long[0].tokens) == 4  # more candidates than positions are left
