"""What beam search promises."""

import math

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.draw import Sampling
from tests.reference import search_oracle
from tests.reference.gpt2_reference import pair
from tests.sampling.doors import beam_search, continue_prompts

END = 210


@pytest.fixture(scope="module")
def networks():
    ours, theirs = pair(seed=3, n_positions=64)
    with torch.no_grad():
        for weight in (ours.wte.weight, theirs.transformer.wte.weight):
            weight[END] *= 2.5  # so that some texts end
    return ours, theirs


@pytest.fixture(scope="module")
def model(networks):
    return networks[0]


PROMPTS = [[END, 5, 6], [END, 7], [END, 100, 101, 102, 103, 104, 105, 106, 107, 108], [END, 5, 6, 5], [END]]


@pytest.mark.parametrize(("ends", "options"), [
    (True, {"beam": 1, "max_new": 9}), (True, {"beam": 3, "max_new": 12}),
    (True, {"beam": 4, "max_new": 12, "min_new": 5}),
    (True, {"beam": 3, "max_new": 12, "length_penalty": 0.0}),
    (False, {"beam": 3, "max_new": 12, "length_penalty": 2.0}),
    (False, {"beam": 3, "max_new": 10, "min_new": 10, "no_repeat_ngram": 2}),
    (False, {"beam": 2, "max_new": 12, "no_repeat_ngram": 1}),  # the prompts hold the end token
])  # fmt: skip
def test_beam_search_is_the_literal_one(model, ends, options):
    found = beam_search(model, PROMPTS, end=END, **options)
    num_ended = 0
    for prompt, ours in zip(PROMPTS, found, strict=True):
        literal = search_oracle.beam_search(model, prompt, END, **options)
        texts = [one.tokens.tolist() + [END] * one.ended for one in ours]
        assert texts == [new for new, _, _ in literal]
        penalty = options.get("length_penalty", 1.0)
        scores = [one.scores.sum().item() / len(one.scores) ** penalty for one in ours]
        assert scores == pytest.approx([score for _, score, _ in literal], abs=1e-4)
        num_ended += sum(one.ended for one in ours)
    assert (num_ended > 0) == ends


@pytest.mark.parametrize("options", [
    {"num_beams": 1}, {"num_beams": 4}, {"num_beams": 3, "no_repeat_ngram_size": 2},
    {"num_beams": 5, "no_repeat_ngram_size": 3},
])  # fmt: skip
def test_tokens_are_those_of_transformers(networks, options):
    ours, theirs = networks
    prompts = torch.randint(200, (4, 7), generator=torch.Generator().manual_seed(1))
    beam = options["num_beams"]
    expected = theirs.generate(
        prompts, attention_mask=torch.ones_like(prompts), do_sample=False, pad_token_id=END,
        num_return_sequences=beam, max_new_tokens=24, min_new_tokens=24, **options,
    )[:, 7:].view(4, beam, 24)  # fmt: skip
    found = beam_search(
        ours, prompts.tolist(), end=END, beam=beam, max_new=24, min_new=24,
        no_repeat_ngram=options.get("no_repeat_ngram_size", 0),
    )  # fmt: skip
    assert [[one.tokens.tolist() for one in row] for row in found] == expected.tolist()


@pytest.mark.parametrize("penalty", [0.5, 1.0])
def test_texts_that_end_are_those_of_transformers(networks, penalty):
    ours, theirs = networks
    for prompt in PROMPTS:
        tokens = torch.tensor([prompt])
        expected = theirs.generate(
            tokens, attention_mask=torch.ones_like(tokens), do_sample=False, pad_token_id=END, num_beams=3,
            num_return_sequences=1, max_new_tokens=20, length_penalty=penalty, early_stopping=False,
        )[0, len(prompt) :]  # fmt: skip
        best = beam_search(ours, [prompt], end=END, beam=3, max_new=20, length_penalty=penalty)[0][0]
        assert best.tokens.tolist() + [END] * best.ended == expected.tolist()


def test_a_result_does_not_depend_on_the_batch(model):
    prompts = [PROMPTS[i % 5][:1] + [i] + PROMPTS[i % 5][1:] for i in range(24)]
    options = {"end": END, "beam": 3, "max_new": 16, "no_repeat_ngram": 3}
    whole = beam_search(model, prompts, **options)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1)).tolist()
    for size in (1, 2, 7):
        for start in range(0, 24, size):
            some = order[start : start + size]
            for i, row in zip(some, beam_search(model, [prompts[i] for i in some], **options), strict=True):
                for one, other in zip(row, whole[i], strict=True):
                    assert torch.equal(one.tokens, other.tokens) and torch.equal(one.scores, other.scores)
                    assert one.ended == other.ended


def test_a_beam_of_one_is_greedy_where_no_text_ends(model):
    options = {"end": END, "max_new": 20, "min_new": 20, "no_repeat_ngram": 2}
    found = beam_search(model, PROMPTS, beam=1, **options)
    greedy = continue_prompts(model, PROMPTS, range(5), seed=0, sampling=Sampling(temperature=0.0), **options)
    assert [row[0].tokens.tolist() for row in found] == [one.tokens.tolist() for one in greedy]
    assert all(len(one.tokens) == 20 and not one.ended for one in greedy)


def test_a_wider_beam_finds_no_worse_sum_here(model):
    options = {"end": END, "max_new": 12, "min_new": 12}
    best = [
        [row[0].scores.sum().item() for row in beam_search(model, PROMPTS, beam=k, **options)] for k in (1, 6)
    ]
    assert sum(best[1]) > sum(best[0])


def test_what_cannot_be_searched_is_refused(model):
    assert beam_search(model, [], end=END, beam=2, max_new=3) == []
    for options, named in (
        ({"beam": 0, "max_new": 3}, "beam must be at least 1"),
        ({"beam": 200, "max_new": 3}, "beam must be in"),
        ({"beam": 2, "max_new": 3, "min_new": 4}, "min_new must be in"),
        ({"beam": 2, "max_new": 3, "length_penalty": math.nan}, "length penalty must be in"),
        ({"beam": 2, "max_new": 64}, "exceed the model's 64 positions"),
    ):
        with pytest.raises(ValueError, match=named):
            beam_search(model, PROMPTS, end=END, **options)


def test_damaged_weights_stop_the_search(model):
    broken = GPT2(model.config).eval()
    with torch.no_grad():
        broken.ln_f.weight[3] = math.nan
    with pytest.raises(FloatingPointError, match="damaged"):
        beam_search(broken, PROMPTS, end=END, beam=2, max_new=4)
