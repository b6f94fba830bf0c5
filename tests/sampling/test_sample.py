"""What sampled text promises."""

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config, KVCache
from fairseq_plugin.sampling.draw import Sampling, draw, draw_gumbel
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from tests.reference.gpt2_reference import pair
from tests.reference.search_oracle import repeating_tokens
from tests.sampling.doors import beam_search, continue_prompts, contrastive_search

END = 2
MODES = [
    Sampling(),
    Sampling(gumbel=True),
    Sampling(top_k=20),
    Sampling(top_p=0.9),
    Sampling(temperature=0.0),
]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = GPT2(GPT2Config(vocab_size=200, n_positions=64, n_embd=32, n_layer=2, n_head=4)).eval()
    with torch.no_grad():
        network.wte.weight.mul_(6)  # a sharper distribution than fresh weights give
        network.ln_f.bias += 2.0 * network.wte.weight[END]  # and texts that end after some tokens
    network.banned = torch.tensor([0, 1, 3])
    return network


def prompts_of(count):
    labels = [[END, 10, 7], [END, 11, 12, 7], [END, 50, 60, 70, 80, 90, 100, 110, 120, 130, 7]]
    return [labels[i % 3] for i in range(count)]


def literal_sample(model, prompt, sample, sampling, max_new, seed, min_new=0, no_repeat_ngram=0):
    """One sample, stated literally: the whole text through the network for every token, no cache."""
    tokens = list(prompt)
    for step in range(max_new):
        logits_BV = model.logits(model(torch.tensor([tokens]))[:, -1])
        if step < min_new:
            logits_BV[:, END] = float("-inf")
        if no_repeat_ngram:
            logits_BV[:, sorted(repeating_tokens(tokens, no_repeat_ngram))] = float("-inf")
        key = torch.tensor([sample]), torch.tensor([step])
        if sampling.gumbel:
            token = draw_gumbel(logits_BV, seed, *key, sampling).item()
        else:
            token = draw(logits_BV, keyed_uniform(seed, *key), sampling).item()
        if token == END:
            return tokens[len(prompt) :], True
        tokens.append(token)
    return tokens[len(prompt) :], False


@torch.no_grad()
@pytest.mark.parametrize("sampling", MODES)
def test_samples_are_the_literal_ones(model, sampling):
    prompts, ids = prompts_of(40), list(range(100, 140))
    found = continue_prompts(model, prompts, ids, seed=5, end=END, max_new=40, sampling=sampling)
    same = ended = 0
    for prompt, sample, one in zip(prompts, ids, found):
        tokens, end = literal_sample(model, prompt, sample, sampling, 40, seed=5)
        same += tokens == one.tokens.tolist() and end == one.ended
        ended += end
    # Without a cache the last bits of the logits differ; a draw within 1e-6 of a boundary may fall otherwise.
    assert same >= 39
    assert sampling.temperature == 0 or ended >= 5


@torch.no_grad()
def test_scores_are_log_probabilities_of_the_plain_model(model):
    found = continue_prompts(
        model, prompts_of(20), list(range(20)), seed=1, end=END, max_new=30, sampling=Sampling(0.7, 50, 0.9)
    )
    for prompt, one in zip(prompts_of(20), found):
        new = one.tokens.tolist() + [END] * one.ended
        text = torch.tensor([prompt + new])
        logprobs_TV = model.logits(model(text[:, :-1]))[0, len(prompt) - 1 :].log_softmax(-1)
        expected_T = logprobs_TV.gather(1, torch.tensor(new).unsqueeze(1)).squeeze(1)
        assert len(one.scores) == len(new)
        torch.testing.assert_close(one.scores, expected_T, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "sampling", [*MODES[:1], *(pytest.param(mode, marks=pytest.mark.slow) for mode in MODES[1:])]
)
def test_a_text_does_not_depend_on_its_batch(model, sampling):
    prompts, ids = prompts_of(96), list(range(96))
    options = {"seed": 9, "end": END, "max_new": 30, "sampling": sampling}
    whole = continue_prompts(model, prompts, ids, **options)
    order = torch.randperm(96, generator=torch.Generator().manual_seed(1)).tolist()
    for size in (1, 2, 7, 32):
        for start in range(0, 96, size):
            some = order[start : start + size]
            parts = continue_prompts(model, [prompts[i] for i in some], some, **options)
            for i, part in zip(some, parts):
                assert torch.equal(part.tokens, whole[i].tokens)
                assert torch.equal(part.scores, whole[i].scores)
                assert part.ended == whole[i].ended


@torch.no_grad()
@pytest.mark.parametrize("sampling", [MODES[0], MODES[-1]])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_no_ngram_stands_twice_in_a_text(model, sampling, n):
    prompts, ids = prompts_of(24), list(range(24))
    options = {"end": END, "max_new": 40, "min_new": 40 if n > 1 else 0, "sampling": sampling}
    found = continue_prompts(model, prompts, ids, seed=4, no_repeat_ngram=n, **options)
    same = 0
    for prompt, sample, one in zip(prompts, ids, found, strict=True):
        text = prompt + one.tokens.tolist()
        ngrams = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        assert len(set(ngrams)) == len(ngrams)
        literal = literal_sample(model, prompt, sample, sampling, 40, 4, options["min_new"], n)
        same += literal == (one.tokens.tolist(), one.ended)
    assert same >= 23
    free = continue_prompts(model, prompts, ids, seed=4, **options)
    assert any(not torch.equal(a.tokens, b.tokens) for a, b in zip(found, free, strict=True))


def test_ngrams_longer_than_a_whole_text_block_nothing(model):
    options = {"seed": 4, "end": END, "max_new": 3, "min_new": 3, "sampling": Sampling(temperature=0.0)}
    free, blocked = (continue_prompts(model, [[5, 6]], [0], no_repeat_ngram=n, **options)[0] for n in (0, 9))
    assert torch.equal(free.tokens, blocked.tokens)


def test_texts_of_an_exact_length_never_end(model):
    for sampling in MODES:
        found = continue_prompts(
            model, prompts_of(9), list(range(9)), seed=3, end=END, max_new=25, min_new=25, sampling=sampling
        )
        assert all(len(one.tokens) == 25 and len(one.scores) == 25 and not one.ended for one in found)
        assert all(END not in one.tokens for one in found)


def test_greedy_continuations_are_those_of_transformers():
    ours, theirs = pair(seed=5, n_positions=160, n_embd=64)
    prompts = torch.randint(200, (6, 50), generator=torch.Generator().manual_seed(1))
    expected = theirs.generate(
        prompts, attention_mask=torch.ones_like(prompts), do_sample=False, pad_token_id=210,
        max_new_tokens=100, min_new_tokens=100,
    )[:, 50:]  # fmt: skip
    found = continue_prompts(
        ours,
        prompts.tolist(),
        range(6),
        seed=0,
        end=210,
        max_new=100,
        min_new=100,
        sampling=Sampling(temperature=0.0),
    )
    assert [one.tokens.tolist() for one in found] == expected.tolist()


def test_another_seed_or_id_gives_another_text(model):
    options = {"end": END, "max_new": 30, "sampling": Sampling()}
    first, second = (
        continue_prompts(model, prompts_of(30), list(range(30)), seed=seed, **options) for seed in (1, 2)
    )
    assert sum(torch.equal(a.tokens, b.tokens) for a, b in zip(first, second)) < 5
    one_prompt = continue_prompts(model, prompts_of(1) * 30, list(range(30)), seed=1, **options)
    assert len({tuple(one.tokens.tolist()) for one in one_prompt}) > 20


def test_lengths_stay_within_their_limits(model):
    found = continue_prompts(
        model, prompts_of(64), list(range(64)), seed=3, end=END, max_new=12, min_new=4, sampling=Sampling()
    )
    assert all(4 <= len(one.tokens) <= 12 for one in found)
    assert all(len(one.tokens) == 12 for one in found if not one.ended)
    assert any(one.ended for one in found) and any(not one.ended for one in found)
    assert all(END not in one.tokens and not set(one.tokens.tolist()) & {0, 1, 3} for one in found)


def test_nothing_and_too_much_are_told_apart(model):
    options = {"seed": 1, "end": END, "sampling": Sampling()}
    assert continue_prompts(model, [], [], max_new=5, **options) == []
    with pytest.raises(ValueError, match="prompt is empty"):
        continue_prompts(model, [[]], [0], max_new=5, **options)
    with pytest.raises(ValueError, match="exceed the model's 64 positions"):
        continue_prompts(model, [[END] * 40], [0], max_new=25, **options)
    with pytest.raises(ValueError, match="at least 1"):
        continue_prompts(model, [[END]], [0], max_new=0, **options)
    with pytest.raises(ValueError, match="min_new must be in"):
        continue_prompts(model, [[END]], [0], max_new=3, min_new=4, **options)
    assert len(continue_prompts(model, [[END] * 60], [0], max_new=4, **options)) == 1


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """A cache that reads no lengths back: it knows only a bound of its longest sample, and has all slots."""
    monkeypatch.setattr(KVCache, "_on_cpu", False)


def test_the_last_position_can_be_used_where_lengths_are_not_read_back(model, as_on_a_gpu):
    for length, max_new in ((3, 61), (25, 39), (25, 7), (57, 7)):
        options = {"seed": 1, "end": END, "max_new": max_new, "sampling": Sampling()}
        found = continue_prompts(model, [[END] + [9] * (length - 1), [END, 5]], [0, 1], **options)
        assert all(len(one.tokens) <= max_new for one in found)


def test_texts_are_the_same_where_lengths_are_not_read_back(model, request):
    prompts, ids, options = prompts_of(40), list(range(40)), {"end": END, "max_new": 40}

    def decode():
        sampled = continue_prompts(model, prompts, ids, seed=5, sampling=Sampling(), **options)
        searched = [one for row in beam_search(model, prompts[:9], beam=3, **options) for one in row]
        return [*sampled, *searched, *contrastive_search(model, prompts[:9], top_k=4, alpha=0.6, **options)]

    plain = [one.tokens.tolist() for one in decode()]
    request.getfixturevalue("as_on_a_gpu")
    same = sum(a == b.tokens.tolist() for a, b in zip(plain, decode(), strict=True))
    assert same >= len(plain) - 2  # other products: the last bits differ


def test_damaged_weights_stop_the_sampler(model):
    broken = GPT2(model.config).eval()
    with torch.no_grad():
        broken.ln_f.weight[3] = float("nan")
    with pytest.raises(FloatingPointError, match="damaged"):
        continue_prompts(broken, prompts_of(2), [0, 1], seed=1, end=END, max_new=5, sampling=Sampling())
