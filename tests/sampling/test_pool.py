"""What the pool of slots promises: the texts of a literal sampler, whatever is shared, kept or refilled."""

import math
import random

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.int8 import why_not_int8
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from tests.reference.literal_sampler import literal_sample, next_log_probs
from tests.sampling.pools import BANNED, END, MODES, PROMPTS, assert_same, run, small_model

PROMPT = (END, 4)


@pytest.fixture(scope="module")
def model():
    return small_model(banned=BANNED)


@pytest.mark.parametrize("sampling", MODES)
def test_texts_and_scores_are_those_of_the_literal_sampler(model, sampling):
    groups = [(PROMPTS[0], range(20)), (PROMPTS[1], range(100, 110)), (PROMPTS[2], range(200, 210))]
    found, _ = run(model, groups, sampling, num_slots=16)
    literal = {
        (prompt, sample_id): literal_sample(model, prompt, sample_id, sampling, 30, seed=5, end=END)
        for prompt, ids in groups
        for sample_id in ids
    }
    assert_same(found, literal)


@pytest.mark.parametrize("sampling", MODES)
def test_sharing_refilling_slots_and_order_change_nothing(model, sampling):
    ids = [random.Random(place).sample(range(1000), 60) for place in range(3)]
    groups = list(zip(PROMPTS, ids, strict=True))
    expected, _ = run(model, groups, sampling, num_slots=128)
    for num_slots in (8, 16, 40):
        shuffled = [(prompt, random.Random(num_slots).sample(some, 60)) for prompt, some in groups[::-1]]
        assert_same(run(model, shuffled, sampling, num_slots=num_slots)[0], expected)
    # Nothing kept: every branch that waits reads its text again.
    replayed, counts = run(model, groups, sampling, num_slots=16, prefix_bytes=0)
    assert_same(replayed, expected)
    assert counts.replayed > 0 or sampling.temperature == 0
    # Nothing shared: one sample at a time.
    alone = {}
    for prompt, some in groups:
        for sample_id in some[:4]:
            alone.update(run(model, [(prompt, [sample_id])], sampling)[0])
    assert_same(alone, {key: expected[key] for key in alone})


@pytest.mark.skipif(why_not_int8("cpu") is not None, reason="no int8 products here")
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.3, top_k=20), Sampling(top_p=0.9)])
def test_in_8_bits_too_a_text_depends_on_nothing_else(model, sampling):
    eight = GPT2(model.config, torch.int8).eval()
    eight.load_state_dict(model.state_dict())
    eight.banned = model.banned
    groups = [(prompt, range(place, 90, 3)) for place, prompt in enumerate(PROMPTS)]
    expected, _ = run(eight, groups, sampling, num_slots=8)
    assert_same(run(eight, groups[::-1], sampling, num_slots=64, prefix_bytes=0)[0], expected)
    literal = {
        (prompt, ids[0]): literal_sample(eight, prompt, ids[0], sampling, 30, seed=5, end=END)
        for prompt, ids in groups
    }
    assert_same({key: expected[key] for key in literal}, literal)


def test_a_prompt_may_come_again_and_its_ids_in_parts(model):
    whole, _ = run(model, [(PROMPTS[0], range(50)), (PROMPTS[1], range(9))], Sampling())
    parts = [(PROMPTS[0], [7, 3]), (PROMPTS[1], range(9)), (PROMPTS[0], []), (PROMPTS[0], range(8, 50))]
    parts += [(PROMPTS[0], [0, 1, 2, 4, 5, 6])]
    assert_same(run(model, parts, Sampling(), num_slots=8)[0], whole)


@pytest.mark.parametrize(
    "options", [{"min_new": 6}, {"no_repeat_ngram": 2, "min_new": 12}, {"forbidden": (9,)}]
)
def test_constraints_hold_where_samples_share_slots(model, options):
    groups = [(prompt, range(12)) for prompt in PROMPTS]
    expected = {}
    for prompt, ids in groups:
        for sample_id in ids:
            expected.update(run(model, [(prompt, [sample_id])], Sampling(top_k=4), **options)[0])
    found, counts = run(model, groups, Sampling(top_k=4), num_slots=8, **options)
    assert_same(found, expected)
    assert counts.replayed == 0
    assert_same(run(model, groups, Sampling(top_k=4), num_slots=8, prefix_bytes=0, **options)[0], expected)


def distinct_prefixes(found):
    """Different beginnings that a network has to read: all but the last token of each text with its end."""
    read = set()
    for (prompt, _), one in found.items():
        last = len(one.scores) - 1
        read.update((prompt, tuple(one.tokens[:length].tolist())) for length in range(1, last + 1))
    return len(read)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=3), Sampling(temperature=0)])
def test_every_beginning_is_read_once(model, sampling):
    groups = [(prompt, range(100)) for prompt in PROMPTS]
    found, counts = run(model, groups, sampling, num_slots=24)
    assert counts.replayed == 0
    assert counts.read == distinct_prefixes(found)
    assert counts.samples == len(found) == 300
    assert counts.prompt_tokens == sum(map(len, PROMPTS))
    again, without_store = run(model, groups, sampling, num_slots=24, prefix_bytes=0)
    assert without_store.read - without_store.replayed == counts.read
    assert_same(again, found)


def test_frequencies_are_those_of_the_enumerated_model():
    """Chi-square over all texts: beyond 6 standard deviations once in 10^8 runs."""
    model = small_model(vocab_size=6, sharpness=2.0, pull_of_end=0.5)
    num_samples, max_new = 20_000, 3
    probabilities, open_texts = {}, {(): 0.0}
    for length in range(max_new):
        grown = {}
        for text, log_prob in open_texts.items():
            for token, more in enumerate(next_log_probs(model, [*PROMPT, *text]).tolist()):
                target = probabilities if token == END or length + 1 == max_new else grown
                target[*text, token] = log_prob + more
        open_texts = grown
    found, counts = run(model, [(PROMPT, range(num_samples))], Sampling(), max_new=max_new)
    seen = dict.fromkeys(probabilities, 0)
    for one in found.values():
        seen[*one.tokens.tolist(), *([END] * one.ended)] += 1
    assert math.isclose(sum(map(math.exp, probabilities.values())), 1, rel_tol=1e-5)
    expected = {text: num_samples * math.exp(value) for text, value in probabilities.items()}
    chi_square = sum((seen[text] - value) ** 2 / value for text, value in expected.items())
    assert len(expected) > 100 and min(expected.values()) > 5
    assert abs(chi_square - len(expected)) < 6 * math.sqrt(2 * len(expected))
    assert counts.read <= 1 + 6 + 36


def test_few_branches_wait_however_many_samples_there_are():
    model = small_model(vocab_size=60, sharpness=3.0)
    num_slots, k, longest = 16, 5, 6
    num_seen = 0
    request = DecodingRequest(Sampling(top_k=k), end=END, max_new=longest)
    pool = SamplePool(model, request, 2, num_slots)
    for _ in pool.run([(PROMPT, range(50_000)), ((END, 5), range(50_000))]):
        num_seen += 1
    assert num_seen == 100_000
    # Depth first: at each place of its text a slot leaves at most k - 1 branches behind.
    assert pool.counts.most_waiting <= num_slots * longest * (k - 1) + 2 * k
    assert pool.counts.replayed == 0
    assert pool.counts.read < 20_000  # some 400,000 without sharing


def test_groups_are_taken_as_they_are_needed(model):
    taken = []

    def groups():
        for place in range(300):
            taken.append(place)
            yield (END, 4 + place % 150), [place]

    pool = SamplePool(model, DecodingRequest(Sampling(), end=END, max_new=20), 2, num_slots=8)
    stream = pool.run(groups())
    for _ in range(5):
        next(stream)
    assert len(taken) < 60
    assert sum(1 for _ in stream) == 295


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_damaged_logits_name_the_samples(bad):
    model = small_model()
    with torch.no_grad():
        model.ln_f.bias[3] = bad
    with pytest.raises(FloatingPointError, match=r"12 samples, ids 30, 31, 32, 33, 34, \.\.\.\)"):
        run(model, [(PROMPTS[0], range(30, 42))], Sampling())
    with pytest.raises(FloatingPointError, match=r"1 sample, id 7\)"):
        run(model, [(PROMPTS[0], [7])], Sampling())


def test_what_cannot_be_sampled_is_refused(model):
    with pytest.raises(ValueError, match="exceed the model's 64 positions"):
        run(model, [(PROMPTS[0], [1])], Sampling(), max_new=62)
    with pytest.raises(ValueError, match="sample id -1 must be"):
        run(model, [(PROMPTS[0], [-1])], Sampling())
    request = DecodingRequest(Sampling(), end=END, max_new=5)
    with pytest.raises(ValueError, match="a prompt has 4 tokens; at most 3"):
        list(SamplePool(model, request, 3).run([(PROMPTS[1], [1])]))
    assert list(SamplePool(model, request, 3).run([])) == []
