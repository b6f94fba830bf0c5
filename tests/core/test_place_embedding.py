"""Embeddings that read places against their literal definition, and as plain tables."""

import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.core.place_embedding import fold, folded, read_places, reads_places, set_rows
from tests.reference.place_embedding_oracle import literal_table


def made(num_rows=7, num_scales=2, num_bumps=3, width=4, seed=0):
    """A table in float64, and the scale and place of its first rows."""
    generator = torch.Generator().manual_seed(seed)
    table = nn.Embedding(num_rows + 2, width).double()
    scale = torch.randint(-1, num_scales, (num_rows,), generator=generator)
    place = torch.rand(num_rows, generator=generator)
    read_places(table, scale, place, num_bumps)
    table.double()
    return table, scale, place


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(2, 5), st.integers(0, 2**31))
def test_the_table_equals_the_literal_definition(num_rows, num_scales, num_bumps, seed):
    table, scale, place = made(num_rows, num_scales, num_bumps, seed=seed)
    parts = table.parametrizations.weight
    own, bumps = parts.original.tolist(), parts[0].bumps_GKD.tolist()
    truth = literal_table(own, [*scale.tolist(), -1, -1], [*place.tolist(), 0, 0], bumps)
    assert (table.weight - torch.tensor(truth, dtype=torch.float64)).abs().max() <= 1e-12


def test_gradients_of_rows_and_bumps_pass_gradcheck():
    table, _, _ = made()
    parts = table.parametrizations.weight

    def of(own, bumps):
        return torch.func.functional_call(parts[0], {"bumps_GKD": bumps}, (own,))

    assert torch.autograd.gradcheck(of, (parts.original, parts[0].bumps_GKD))


def test_neighbours_learn_from_each_other_and_rows_of_other_scales_do_not():
    table = nn.Embedding(6, 4)
    read_places(table, torch.tensor([0, 0, 0, 1, 1, -1]), torch.tensor([0.1, 0.5, 0.9, 0.1, 0.9, 0.5]), 8)
    before = table.weight.detach().clone()
    table.weight[1].sum().backward()
    with torch.no_grad():
        for parameter in table.parameters():
            parameter -= 0.1 * parameter.grad
    moved = (table.weight - before).abs().amax(1)
    assert moved[1] > moved[0] > 0 and moved[2] > 0
    assert moved[3:].tolist() == [0, 0, 0]


def test_a_folded_table_is_plain_and_has_the_same_rows():
    table, _, _ = made()
    rows = table.weight.detach().clone()
    assert reads_places(table)
    fold(table)
    assert not reads_places(table) and set(table.state_dict()) == {"weight"}
    assert torch.equal(table.weight, rows)


def test_weights_are_folded_without_the_network_they_came_from():
    gpt2 = GPT2(GPT2Config(vocab_size=70, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    read_places(gpt2.wte, torch.arange(70) // 10 - 1, torch.arange(70) % 10 / 10, 4)
    plain = folded({f"a.{name}": value for name, value in gpt2.state_dict().items()}, "a.")
    other = GPT2(gpt2.config)
    other.load_state_dict({name.removeprefix("a."): value for name, value in plain.items()})
    tokens = torch.randint(0, 70, (2, 8))
    assert torch.equal(other.eval()(tokens), gpt2.eval()(tokens))
    assert folded(plain, "a.").keys() == plain.keys()


@pytest.mark.parametrize("part", ["original", "0.bumps_GKD", "0.scale_R", "0.place_R", "0.symbol_R"])
def test_damaged_parts_are_refused(part):
    table, _, _ = made()
    weights = {f"wte.{name}": value for name, value in table.state_dict().items()}
    name = f"wte.parametrizations.weight.{part}"
    for damaged in (None, weights[name][:-1] if part != "original" else weights[name][:, :-1]):
        left = {key: value for key, value in weights.items() if key != name}
        with pytest.raises(ValueError, match="do not fit"):
            folded(left if damaged is None else {**left, name: damaged})


def test_a_single_bump_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        read_places(nn.Embedding(3, 2), torch.zeros(3, dtype=torch.int64), torch.zeros(3), 1)


def test_given_rows_are_those_of_the_table_whether_it_reads_places_or_not():
    rows = torch.randn(*made()[0].weight.shape)
    for table in (made()[0], nn.Embedding(*rows.shape)):
        set_rows(table, rows)
        assert torch.equal(table.weight, rows)
        table.weight.sum().backward()
        assert all((one.grad != 0).any() for one in table.parameters())  # what is zero can still learn


def test_without_scales_the_table_stays_as_it_is():
    table = nn.Embedding(3, 2)
    rows = table.weight.detach().clone()
    read_places(table, torch.full((3,), -1), torch.zeros(3), 4)
    assert torch.equal(table.weight, rows)
