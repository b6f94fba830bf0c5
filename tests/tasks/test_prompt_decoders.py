"""Decoding in the shape of a fairseq generator: the same texts as the door to decoding gives."""

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.draw import GREEDY, Sampling
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch, DecodingRequest
from fairseq_plugin.tasks.prompt_decoders import PromptDecoder

END = 2
PROMPTS = [[2, 7, 9], [11], [5] * 14]


@pytest.fixture(scope="module")
def gpt2():
    torch.manual_seed(3)
    return GPT2(GPT2Config(vocab_size=40, n_positions=20, n_embd=16, n_layer=2, n_head=2)).eval()


def requests(max_new, min_new=0):
    common = {"end": END, "max_new": max_new, "min_new": min_new, "seed": 4}
    return {
        "greedy": DecodingRequest(GREEDY, **common),
        "sampled": DecodingRequest(Sampling(), samples_per_prompt=3, **common),
        "beam": DecodingRequest(BeamSearch(3, 0.5), **common),
        "contrastive": DecodingRequest(ContrastiveSearch(4, 0.5), **common),
    }


def decoders(gpt2, max_new, min_new=0):
    return {name: PromptDecoder(gpt2, one) for name, one in requests(max_new, min_new).items()}


def test_texts_are_those_of_the_door(gpt2):
    found = {name: one.generate(PROMPTS, [8, 3, 5]) for name, one in decoders(gpt2, 6).items()}
    expected = {name: decode(gpt2, PROMPTS, [8, 3, 5], one) for name, one in requests(6).items()}
    for name, many in expected.items():
        for texts, hypotheses in zip(many, found[name], strict=True):
            assert [one["tokens"].tolist() for one in hypotheses] == [text.tokens.tolist() for text in texts]
            for one, text in zip(hypotheses, texts):
                assert torch.equal(one["positional_scores"], text.scores)
                assert len(one["positional_scores"]) - len(one["tokens"]) == text.ended
    scores = [one["score"].item() for one in found["beam"][0]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", ["greedy", "sampled", "beam", "contrastive"])
def test_a_long_prompt_shortens_its_own_text_only(gpt2, name):
    lengths = [len(many[0]["tokens"]) for many in decoders(gpt2, 12, 12)[name].generate(PROMPTS, [0, 1, 2])]
    assert lengths == [12, 12, 6]


@pytest.mark.parametrize("name", ["greedy", "sampled", "beam", "contrastive"])
def test_weights_in_bfloat16_are_decoded_too(gpt2, name):
    """As --bf16 makes them."""
    import copy

    half = copy.deepcopy(gpt2).to(torch.bfloat16)
    found = decoders(half, 5, 5)[name].generate(PROMPTS, [0, 1, 2])
    assert [len(many[0]["tokens"]) for many in found] == [5, 5, 5]


@pytest.mark.parametrize("name", ["greedy", "sampled", "beam", "contrastive"])
def test_a_damaged_model_gives_no_text(gpt2, name):
    import copy

    damaged = copy.deepcopy(gpt2)
    damaged.ln_f.weight.data[0] = float("nan")
    with pytest.raises(FloatingPointError):
        decoders(damaged, 5)[name].generate(PROMPTS, [0, 1, 2])
