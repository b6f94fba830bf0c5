"""What slots that run ahead of the host promise: the same texts and scores, and nothing that would wait for a
device."""

import random

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.sampling.run_ahead import RunAhead, can_run_ahead
from fairseq_plugin.sampling.slots import Slots

END = 2
PROMPTS = [(END, 10, 7), (END, 11, 12, 7), (END, 50, 60, 70, 80, 90, 100, 110, 120, 130, 7)]
MODES = [
    Sampling(),
    Sampling(temperature=0.7),
    Sampling(temperature=1.3, top_k=20),
    Sampling(top_p=0.9),  # nuclei of more than 64 symbols among them
    Sampling(temperature=0.6, top_k=50, top_p=0.8),
    Sampling(gumbel=True),
    Sampling(gumbel=True, top_p=0.9),
    Sampling(temperature=0),
]


def small_model(banned=(0, 1, 3)):
    torch.manual_seed(0)
    network = GPT2(GPT2Config(200, n_positions=64, n_embd=32, n_layer=2, n_head=4)).eval()
    with torch.no_grad():
        network.wte.weight.mul_(6)  # a sharper distribution than fresh weights give
        network.ln_f.bias += 2 * network.wte.weight[END]  # and texts that end after some tokens
    network.banned = torch.tensor(banned)
    return network


@pytest.fixture(scope="module")
def model():
    return small_model()


def run(model, groups, sampling, steps_ahead, *, num_slots=16, prefix_bytes=1 << 30, max_new=18, **options):
    request = DecodingRequest(sampling, end=END, max_new=max_new, seed=5, **options)
    longest = max(len(prompt) for prompt, _ in groups)
    pool = SamplePool(model, request, longest, num_slots, prefix_bytes, steps_ahead)
    found = {(one.prompt, one.sample_id): one.continuation for one in pool.run(groups)}
    assert len(found) == sum(len(ids) for _, ids in groups)
    return found, pool.counts


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, one in found.items():
        assert torch.equal(one.tokens, expected[key].tokens) and one.ended == expected[key].ended
        torch.testing.assert_close(one.scores, expected[key].scores, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sampling", MODES)
def test_running_ahead_changes_no_text_and_no_score(model, sampling):
    groups = [(prompt, random.Random(place).sample(range(1000), 15)) for place, prompt in enumerate(PROMPTS)]
    expected, plain = run(model, groups, sampling, 0)
    for steps_ahead, num_slots in ((1, 16), (4, 8), (40, 40)):
        found, counts = run(model, groups, sampling, steps_ahead, num_slots=num_slots)
        assert_same(found, expected)
        if sampling.temperature:
            assert counts.read - counts.replayed == plain.read and counts.idle > 0


@pytest.mark.parametrize("options", [{"min_new": 6}, {"forbidden": (9, 10)}, {"min_new": 18}, {"max_new": 1}])
def test_constraints_of_a_length_hold_ahead(model, options):
    groups = [(prompt, range(12)) for prompt in PROMPTS]
    expected, _ = run(model, groups, Sampling(top_k=8), 0, **options)
    assert_same(run(model, groups, Sampling(top_k=8), 4, **options)[0], expected)
    assert_same(run(model, groups, Sampling(top_k=8), 4, prefix_bytes=0, **options)[0], expected)


def test_the_host_looks_but_seldom_where_samples_are_alone(model):
    groups = [(prompt, range(60)) for prompt in PROMPTS]
    _, plain = run(model, groups, Sampling(), 0, num_slots=64, min_new=14)
    _, ahead = run(model, groups, Sampling(), 5, num_slots=64, min_new=14)
    assert ahead.read == plain.read and ahead.looks < plain.looks / 2


def test_a_constraint_that_sees_each_token_keeps_the_plain_steps(model):
    request = DecodingRequest(Sampling(), end=END, max_new=20, no_repeat_ngram=2)
    assert not can_run_ahead(request, torch.device("cpu"))
    with pytest.raises(ValueError, match="NoRepeatNGrams has to see each token"):
        SamplePool(model, request, 4, 8, steps_ahead=4)


def test_damaged_logits_name_the_samples_that_ran_ahead():
    damaged = small_model()
    with torch.no_grad():
        damaged.wpe.weight[12] = torch.nan
    with pytest.raises(FloatingPointError, match=r"ids? \d+"):
        run(damaged, [(PROMPTS[0], range(40))], Sampling(), 4)


class OnDevice(TorchDispatchMode):
    """Refuses a result off the device: a copy to the host waits, a copy from it cannot be recorded."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else [found]:
            if isinstance(one, torch.Tensor):
                assert one.device.type == "meta", f"{func} leaves the device"
        return found


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("sampling", MODES)
def test_a_step_can_be_recorded(sampling, dtype):
    """On tensors without values: a question for a value, a shape that depends on one, a copy to or from the
    host raises."""
    request = DecodingRequest(sampling, end=END, max_new=30, min_new=6, forbidden=(9,), seed=(1 << 64) - 1)
    with torch.device("meta"), torch.no_grad():
        model = GPT2(GPT2Config(5000, 64, 32, 2, 4), dtype).eval()
        model.banned = torch.zeros(3, dtype=torch.int64)
        slots = Slots(model, request, 16, 40)
        ahead = RunAhead(model, request, slots, 4)
    slots.cache.resize(8)
    with torch.no_grad(), OnDevice():
        ahead._take_step(8, 32)


def test_a_question_for_a_value_would_be_seen():
    some = torch.zeros(4, device="meta")
    for question in (lambda: bool(some.any()), some.nonzero, lambda: some[some > 0], some.tolist, some.cpu):
        with pytest.raises((NotImplementedError, RuntimeError), match="(?i)meta"):
            question()
    with OnDevice(), pytest.raises(AssertionError, match="leaves the device"):
        some + torch.arange(4)
