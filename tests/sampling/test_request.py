"""A request is checked where it is made; what a model cannot decode is refused before it decodes anything."""

import math

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.draw import GREEDY, Sampling
from fairseq_plugin.sampling.keyed_random import LARGEST_ID
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch, DecodingRequest

END = 2


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return GPT2(GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=1, n_head=2)).eval()


@pytest.mark.parametrize(("make", "words"), [
    (lambda: BeamSearch(0), "beam must be at least 1, not 0"),
    (lambda: BeamSearch(2, math.nan), "length penalty must be in .* not nan"),
    (lambda: BeamSearch(2, 1e300), "length penalty must be in .* not 1e[+]300"),
    (lambda: BeamSearch(2, -math.inf), "length penalty must be in .* not -inf"),
    (lambda: ContrastiveSearch(0, 0.5), "top_k must be at least 1"),
    (lambda: ContrastiveSearch(4, math.nan), "alpha must be in .* not nan"),
    (lambda: Sampling(temperature=1e-30), "temperature must be 0 .* not 1e-30"),
    (lambda: Sampling(temperature=1e30, gumbel=True), "temperature must be 0 .* not 1e[+]30"),
    (lambda: Sampling(temperature=math.nan), "temperature must be 0 .* not nan"),
    (lambda: Sampling(top_p=math.nan), "top-p must be in .* not nan"),
    (lambda: DecodingRequest(GREEDY, end=END, max_new=3, seed=-1), "seed must be in .* not -1"),
    (lambda: DecodingRequest(GREEDY, end=END, max_new=3, seed=1 << 64), "seed must be in"),
    (lambda: DecodingRequest(GREEDY, end=END, max_new=3, samples_per_prompt=0), "samples_per_prompt must be"),
    (lambda: DecodingRequest(BeamSearch(2), end=END, max_new=3, samples_per_prompt=2), "goes with sampling"),
    (lambda: DecodingRequest(GREEDY, end=END, max_new=3, no_repeat_ngram=-1), "no_repeat_ngram must be"),
    (lambda: DecodingRequest(GREEDY, end=END, max_new=0), "max_new must be at least 1"),
    (lambda: DecodingRequest(GREEDY, end=END, max_new=3, min_new=4), "min_new must be in"),
])  # fmt: skip
def test_values_without_a_meaning_are_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
@pytest.mark.parametrize("gumbel", [False, True])
def test_temperatures_at_both_ends_draw_what_they_should(temperature, gumbel, model):
    request = DecodingRequest(Sampling(temperature, gumbel=gumbel), end=END, max_new=1, min_new=1)
    tokens = [one.tokens.item() for (one,) in decode(model, [[END, 5]] * 400, range(400), request)]
    if temperature < 1:
        greedy = DecodingRequest(GREEDY, end=END, max_new=1, min_new=1)
        assert set(tokens) == {decode(model, [[END, 5]], [0], greedy)[0][0].tokens.item()}
    else:
        assert set(tokens) == set(range(40)) - {END}


def test_ids_that_cannot_key_random_numbers_are_refused(model):
    one, three = (DecodingRequest(Sampling(), end=END, max_new=3, samples_per_prompt=n) for n in (1, 3))
    for request, largest in ((one, LARGEST_ID), (three, (1 << 63) // 3 - 1)):
        assert len(decode(model, [[END]], [largest], request)[0]) == request.samples_per_prompt
        for sample_id in (largest + 1, 1 << 70, -1):
            with pytest.raises(ValueError, match=f"sample id {sample_id} must be in"):
                decode(model, [[END]], [sample_id], request)
    with pytest.raises(ValueError, match="as many sample ids"):
        decode(model, [[END]], [1, 2], one)


def test_samples_of_one_prompt_are_those_of_their_keys(model):
    options = {"end": END, "max_new": 8, "seed": 7}
    many = decode(
        model, [[END, 4], [END, 9]], [3, 5], DecodingRequest(Sampling(), samples_per_prompt=4, **options)
    )
    for prompt, sample_id, found in zip([[END, 4], [END, 9]], [3, 5], many, strict=True):
        keys = [4 * sample_id + j for j in range(4)]
        alone = decode(model, [prompt] * 4, keys, DecodingRequest(Sampling(), **options))
        assert [one.tokens.tolist() for one in found] == [one.tokens.tolist() for (one,) in alone]


@pytest.mark.parametrize(("method", "words"), [
    (BeamSearch(21), "beam must be in"), (ContrastiveSearch(41, 0.5), "top_k must be in"),
])  # fmt: skip
def test_more_than_the_vocabulary_has_is_refused(model, method, words):
    with pytest.raises(ValueError, match=words):
        DecodingRequest(method, end=END, max_new=3).check_model(model)


def test_a_symbol_outside_the_vocabulary_is_refused(model):
    for request in (
        DecodingRequest(GREEDY, end=40, max_new=3),
        DecodingRequest(GREEDY, end=END, max_new=3, forbidden=(7, 41)),
    ):
        with pytest.raises(ValueError, match="symbol 4[01] is outside the vocabulary"):
            decode(model, [[END]], [0], request)
