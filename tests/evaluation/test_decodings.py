"""Decodings are read from the command line and give continuations of exactly the length asked for."""

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.decodings import continue_exactly, parse_decodings
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch
from tests.evaluation.made_text import tiny_gpt2
from tests.reference import language_model_metrics as oracle

ALL = (
    "greedy,greedy:block=2,beam=3,beam=3:block=3,top-k=5,top-p=0.9,temperature=0.8,gumbel,"
    "contrastive=4:0.6,contrastive=4:0.6:block=2,greedy:penalty=1.2,beam=3:penalty=1.5:block=3,top-k=5:penalty=2,"
    "contrastive=4:0.6:penalty=1.2"
)


def one(text):
    (decoding,) = parse_decodings(text)
    return decoding


def test_what_is_typed_is_what_is_done():
    assert one("greedy").method == Sampling(temperature=0)
    assert one("top-k=40").method == Sampling(top_k=40)
    assert one("top-p=0.9:temperature=0.7").method == Sampling(top_p=0.9, temperature=0.7)
    assert one("gumbel").method == Sampling(gumbel=True)
    assert (one("beam=5").method, one("beam=5").block) == (BeamSearch(5), 0)
    assert one("beam=5:block=3").block == 3
    contrastive = one("contrastive=4:0.7:block=2")
    assert (contrastive.method, contrastive.block) == (ContrastiveSearch(4, 0.7), 2)
    assert (one("greedy:penalty=1.3").penalty, one("greedy").penalty) == (1.3, 1.0)
    assert one("contrastive=4").method == ContrastiveSearch(4, 0.6)
    assert [decoding.name for decoding in parse_decodings("greedy, beam=2")] == ["greedy", "beam=2"]
    assert [one(name).random for name in ("greedy", "beam=2", "contrastive=4:0.6", "top-k=3")] == [0, 0, 0, 1]


def test_words_that_name_saved_continuations_stay_as_they_are():
    """Their hash is the name of a file: with other words, saved texts would be made again."""
    off = {"sampling": "None", "beam": "0", "top_k": "0", "alpha": "0.0", "block": "0"}
    sampling = "Sampling(temperature={}, top_k={}, top_p={}, gumbel={})"
    for typed, words in {
        "greedy": {"method": "sampling", "sampling": sampling.format(0, 0, 1.0, False)},
        "greedy:block=2": {"method": "sampling", "sampling": sampling.format(0, 0, 1.0, False), "block": "2"},
        "top-k=40": {"method": "sampling", "sampling": sampling.format(1.0, 40, 1.0, False)},
        "top-p=0.9:temperature=0.7": {"method": "sampling", "sampling": sampling.format(0.7, 0, 0.9, False)},
        "gumbel": {"method": "sampling", "sampling": sampling.format(1.0, 0, 1.0, True)},
        "beam=5:block=3": {"method": "beam", "beam": "5", "block": "3"},
        "contrastive=4:0.6": {"method": "contrastive", "top_k": "4", "alpha": "0.6"},
    }.items():
        assert one(typed).settings() == off | words
    assert one("greedy:penalty=1.2").settings() == one("greedy").settings() | {"penalty": "1.2"}


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("", "is not known"), ("greedi", "'greedi' is not known"), ("beam=x", "whole number"),
        ("beam=0", "at least 1"), ("top-p=1.5", "(0, 1]"), ("top-k=-1", "top-k must be"),
        ("greedy,greedy", "named twice"), ("block=3", "one method"),
        ("greedy:beam=3", "one method"), ("contrastive=4:2", "alpha must be in [0, 1]"),
        ("contrastive=0:0.5", "top_k must be at least 1"),
        ("contrastive=4:nan", "alpha must be"), ("top-p=nan", "top-p must be"),
        ("temperature=1e-30", "temperature must"), ("temperature=nan", "temperature must be"),
        ("greedy=1", "is not known"), ("beam=2:beam=3", "given twice"), ("gumbel:temperature=0", "gumbel"),
        ("top-k", "is not known"), ("greedy:penalty=0.5", "penalty must be in [1, 100]"),
        ("greedy:penalty=nan", "penalty must be"), ("penalty=1.2", "one method"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(typed, word):
    with pytest.raises(UserError) as error:
        parse_decodings(typed)
    assert word in str(error.value) and "--decoding" in str(error.value)


@pytest.mark.parametrize("decoding", parse_decodings(ALL), ids=lambda decoding: decoding.name)
def test_every_decoding_gives_exactly_the_tokens_asked_for(text, decoding):
    gpt2 = tiny_gpt2(text)
    with torch.no_grad():
        gpt2.ln_f.bias.copy_(10 * gpt2.wte.weight[2])  # a model that wants to end
    prompts = [text.stream[start : start + 8].tolist() for start in (0, 8, 16)]
    found = continue_exactly(gpt2, decoding, prompts, [0, 1, 2], seed=5, end=2, max_new=20)
    assert [len(tokens) for tokens in found] == [20, 20, 20]
    refused = {2, *gpt2.banned.tolist()}
    assert not refused & {token for tokens in found for token in tokens}
    if decoding.block:
        for prompt, tokens in zip(prompts, found):
            whole, n = prompt + tokens, decoding.block
            ngrams = [tuple(whole[i : i + n]) for i in range(len(whole) - n + 1)]
            old = {tuple(prompt[i : i + n]) for i in range(len(prompt) - n + 1)}
            new = ngrams[len(prompt) - n + 1 :]
            assert len(set(new)) == len(new) and not old & set(new)


def test_greedy_is_the_arg_max_at_each_step(text):
    gpt2 = tiny_gpt2(text, seed=3)
    prompts = [text.stream[start : start + 10].tolist() for start in (0, 10, 20)]
    found = continue_exactly(gpt2, one("greedy"), prompts, [0, 1, 2], seed=1, end=2, max_new=15)
    assert found == [oracle.greedy(gpt2, prompt, 15, [2]) for prompt in prompts]


def test_damaged_logits_stop(text):
    gpt2 = tiny_gpt2(text)
    with torch.no_grad():
        gpt2.wpe.weight[12] = float("nan")
    with pytest.raises(UserError, match="NaN"):
        continue_exactly(gpt2, one("greedy"), [text.stream[:10].tolist()], [0], seed=1, end=2, max_new=10)


def test_more_beams_than_the_vocabulary_allows_are_refused(text):
    with pytest.raises(UserError, match="beam must be in"):
        continue_exactly(tiny_gpt2(text), one("beam=9999"), [[5, 6]], [0], seed=1, end=2, max_new=3)
