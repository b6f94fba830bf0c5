"""What a keyed random number promises."""

import torch

from fairseq_plugin.sampling.keyed_random import keyed_uniform

MASK = (1 << 64) - 1


def literal_uniform(seed, sample, step):
    """The docstring's formula in Python integers."""

    def mix(x):
        x = (x + 0x9E3779B97F4A7C15) & MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        return x ^ (x >> 31)

    return ((mix((mix((mix(seed & MASK) + sample) & MASK) + step) & MASK) >> 12) + 0.5) / 2**52


def test_the_number_is_the_published_hash_of_its_key():
    keys = [(0, 0, 0), (42, 7, 3), (-1, 2**40, 1000), (2**64 - 1, 123456789, 0), (2**63, 5, 5)]
    for seed, sample, step in keys:
        drawn = keyed_uniform(seed, torch.tensor([sample]), torch.tensor([step])).item()
        assert drawn == literal_uniform(seed, sample, step)


def test_a_number_does_not_depend_on_its_batch():
    ids_B = torch.arange(1000)
    steps_B = ids_B % 17
    whole_B = keyed_uniform(3, ids_B, steps_B)
    order_B = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(keyed_uniform(3, ids_B[order_B], steps_B[order_B]), whole_B[order_B])
    assert torch.equal(
        torch.stack([keyed_uniform(3, ids_B[i : i + 1], steps_B[i : i + 1])[0] for i in range(50)]),
        whole_B[:50],
    )


def test_numbers_are_uniform_and_neighbouring_keys_independent():
    ids_B = torch.arange(200_000)
    by_sample_B = keyed_uniform(1, ids_B, torch.zeros_like(ids_B))
    by_step_B = keyed_uniform(1, torch.zeros_like(ids_B), ids_B)
    by_seed_B = keyed_uniform(2, ids_B, torch.zeros_like(ids_B))
    for u_B in (by_sample_B, by_step_B, by_seed_B):
        assert u_B.min() > 0 and u_B.max() < 1
        bins = torch.histc(u_B, 100, 0, 1)
        assert ((bins - 2000) ** 2 / 2000).sum() < 99 + 6 * (2 * 99) ** 0.5
        assert torch.corrcoef(torch.stack([u_B[:-1], u_B[1:]]))[0, 1].abs() < 0.012
    assert torch.corrcoef(torch.stack([by_sample_B, by_step_B, by_seed_B])).triu(1).abs().max() < 0.012
    assert by_sample_B.unique().numel() == 200_000
