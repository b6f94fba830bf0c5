"""A small network, prompts and ways to draw for tests of the pool, and how two of its runs are compared."""

import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest

END = 2
BANNED = (0, 1, 3)
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


def small_model(vocab_size=200, sharpness=6.0, pull_of_end=2.0, banned=()):
    torch.manual_seed(0)
    network = GPT2(GPT2Config(vocab_size, n_positions=64, n_embd=32, n_layer=2, n_head=4)).eval()
    with torch.no_grad():
        network.wte.weight.mul_(sharpness)  # a sharper distribution than fresh weights give
        network.ln_f.bias += pull_of_end * network.wte.weight[END]  # and texts that end after some tokens
    network.banned = torch.tensor(banned, dtype=torch.int64)
    return network


def run(
    model,
    groups,
    sampling,
    *,
    max_new=30,
    seed=5,
    num_slots=None,
    prefix_bytes=1 << 30,
    steps_ahead=None,
    **more,
):
    """``({(prompt, id): continuation}, counts)``."""
    request = DecodingRequest(sampling, end=END, max_new=max_new, seed=seed, **more)
    longest = max(len(prompt) for prompt, _ in groups)
    pool = SamplePool(model, request, longest, num_slots, prefix_bytes, steps_ahead)
    found = {}
    for one in pool.run(groups):
        assert (one.prompt, one.sample_id) not in found
        found[one.prompt, one.sample_id] = one.continuation
    assert len(found) == sum(len(ids) for _, ids in groups)
    return found, pool.counts


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, one in found.items():
        assert torch.equal(one.tokens, expected[key].tokens) and one.ended == expected[key].ended
        torch.testing.assert_close(one.scores, expected[key].scores, atol=1e-5, rtol=0)
