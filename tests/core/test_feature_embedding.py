"""Embeddings made of features, and a bias of the output: literal definitions, gradients, plain tables."""

import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.feature_embedding import (
    SymbolFeatures,
    add_output_bias,
    bumps,
    fold,
    folded,
    is_made,
    read_features,
    set_rows,
)
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from tests.reference.feature_embedding_oracle import literal_bumps, literal_table


def made(num_rows=7, num_scales=2, num_features=3, width=4, seed=0, own_rows=True):
    """A table in float64, and the features of its first rows."""
    generator = torch.Generator().manual_seed(seed)
    table = nn.Embedding(num_rows + 2, width).double()
    scale = torch.randint(-1, num_scales, (num_rows,), generator=generator)
    features = SymbolFeatures(scale, torch.randn(num_rows, num_features, generator=generator))
    read_features(table, features, own_rows)
    table.double()
    return table, features


def network(has_features=True, has_bias=True, own_rows=False):
    """A small network of 70 symbols whose table is made of parts."""
    gpt2 = GPT2(GPT2Config(vocab_size=70, n_positions=8, n_embd=8, n_layer=1, n_head=2))
    if has_features:
        read_features(gpt2.wte, SymbolFeatures(torch.arange(70) // 10 - 1, torch.rand(70, 5)), own_rows)
    if has_bias:
        add_output_bias(gpt2, torch.linspace(-2, 2, 70))
    return gpt2.eval()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 5), st.integers(0, 2**31), st.booleans())
def test_the_table_equals_the_literal_definition(num_rows, num_scales, num_features, seed, own_rows):
    table, features = made(num_rows, num_scales, num_features, seed=seed, own_rows=own_rows)
    parts = table.parametrizations.weight
    read = [*features.features_VK.tolist(), [], []]
    truth = literal_table(
        parts.original.tolist(),
        [*features.scale_V.tolist(), -1, -1],
        read,
        parts[0].weights_GKD.tolist(),
        own_rows,
    )
    assert (table.weight - torch.tensor(truth, dtype=torch.float64)).abs().max() <= 1e-12


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=6),
    st.integers(2, 9),
    st.floats(-3, 0),
    st.floats(0.5, 3),
)
def test_bumps_equal_the_literal_definition(at, num_bumps, low, high):
    found = bumps(torch.tensor(at, dtype=torch.float64), num_bumps, low, high)
    truth = torch.tensor([literal_bumps(one, num_bumps, low, high) for one in at], dtype=torch.float64)
    assert (found - truth).abs().max() <= 1e-12


@pytest.mark.parametrize("own_rows", [True, False])
def test_gradients_of_rows_and_weights_pass_gradcheck(own_rows):
    table, _ = made(own_rows=own_rows)
    parts = table.parametrizations.weight

    def of(own, weights):
        return torch.func.functional_call(parts[0], {"weights_GKD": weights}, (own,))

    assert torch.autograd.gradcheck(of, (parts.original, parts[0].weights_GKD))


def test_neighbours_learn_from_each_other_and_rows_of_other_scales_do_not():
    table = nn.Embedding(6, 4)
    places = bumps(torch.tensor([0.1, 0.5, 0.9, 0.1, 0.9, 0.5]), 8, 0.0, 1.0)
    read_features(table, SymbolFeatures(torch.tensor([0, 0, 0, 1, 1, -1]), places))
    before = table.weight.detach().clone()
    table.weight[1].sum().backward()
    with torch.no_grad():
        for parameter in table.parameters():
            parameter -= 0.1 * parameter.grad
    moved = (table.weight - before).abs().amax(1)
    assert moved[1] > moved[0] > 0 and moved[2] > 0
    assert moved[3:].tolist() == [0, 0, 0]


def test_without_rows_of_their_own_symbols_with_the_same_features_are_the_same():
    table = nn.Embedding(4, 3)
    same = SymbolFeatures(torch.tensor([0, 0, -1]), torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]))
    read_features(table, same, own_rows=False)
    assert torch.equal(table.weight[0], table.weight[1])
    assert not torch.equal(table.weight[0], table.weight[2])
    table.weight.sum().backward()
    assert table.parametrizations.weight.original.grad[:2].eq(0).all()


def test_a_bias_is_what_the_network_says_before_it_has_read_anything_and_one_dimension_learns_it():
    plain, biased = network(False, False), network(False, True)
    tokens = torch.randint(0, 70, (2, 5))
    with torch.no_grad():
        for block in biased.h:  # what the blocks say apart, the logits are the bias but for the random table
            block.attn.c_proj.weight.zero_()
            block.mlp.c_proj.weight.zero_()
        hidden = biased(tokens)
        logits = biased.logits(hidden)
        rest = hidden[..., :-1] @ biased.wte.weight[:70, :-1].T
    assert (hidden[..., -1] - 32.0).abs().max() == 0
    assert (logits - rest - torch.linspace(-2, 2, 70)).abs().max() < 1e-4
    biased.logits(biased(tokens)).logsumexp(-1).sum().backward()
    (bias,) = biased.wte.parametrizations.weight
    expected = biased.logits(biased(tokens)).softmax(-1).sum((0, 1))
    read = torch.zeros(70).index_add(0, tokens.flatten(), torch.ones(10)) > 0  # tied: these are read, too
    assert (bias.bias_V.grad[:70] - expected)[~read].abs().max() < 1e-4
    assert plain.state_dict().keys() == {
        name.replace("parametrizations.weight.original", "weight")
        for name in biased.state_dict()
        if "bias_V" not in name
    }


@pytest.mark.parametrize("own_rows", [True, False])
def test_a_folded_table_is_plain_and_has_the_same_rows(own_rows):
    table, _ = made(own_rows=own_rows)
    rows = table.weight.detach().clone()
    assert is_made(table)
    fold(table)
    assert not is_made(table) and set(table.state_dict()) == {"weight"}
    assert torch.equal(table.weight, rows)


@pytest.mark.parametrize(
    ("has_features", "has_bias", "own_rows"),
    [
        (True, True, False),
        (True, True, True),
        (True, False, False),
        (False, True, False),
        (True, False, True),
    ],
)
def test_weights_are_folded_without_the_network_they_came_from(has_features, has_bias, own_rows):
    gpt2 = network(has_features, has_bias, own_rows)
    plain = folded({f"a.{name}": value for name, value in gpt2.state_dict().items()}, "a.")
    other = GPT2(gpt2.config)
    other.load_state_dict({name.removeprefix("a."): value for name, value in plain.items()})
    tokens = torch.randint(0, 70, (2, 8))
    assert torch.equal(other.eval()(tokens), gpt2(tokens))
    assert torch.equal(other.logits(other(tokens)), gpt2.logits(gpt2(tokens)))
    assert folded(plain, "a.").keys() == plain.keys()


@pytest.mark.parametrize(
    "part",
    ["original", "0.weights_GKD", "0.scale_R", "0.features_RK", "0.symbol_R", "0.own_rows", "1.bias_V"],
)
def test_damaged_parts_are_refused(part):
    weights = {f"{name}": value for name, value in network().state_dict().items() if name.startswith("wte.")}
    name = f"wte.parametrizations.weight.{part}"
    for damaged in (None, torch.zeros(3, 3, 3, 3)):
        left = {key: value for key, value in weights.items() if key != name}
        if damaged is None and part == "1.bias_V":
            continue  # a table without a bias is whole
        with pytest.raises(ValueError, match="do not fit"):
            folded(left if damaged is None else {**left, name: damaged})


def test_given_rows_are_those_of_the_table_whether_it_reads_features_or_not():
    rows = torch.randn(*made()[0].weight.shape)
    for table in (made()[0], nn.Embedding(*rows.shape)):
        set_rows(table, rows)
        assert torch.equal(table.weight, rows)
        table.weight.sum().backward()
        assert all((one.grad != 0).any() for one in table.parameters())  # what is zero can still learn


def test_a_table_without_rows_of_its_own_does_not_begin_with_given_ones():
    for table in (made(own_rows=False)[0], network(False, True).wte):
        with pytest.raises(ValueError, match="rows of its own"):
            set_rows(table, torch.zeros_like(table.weight))


def test_without_scales_the_table_stays_as_it_is():
    table = nn.Embedding(3, 2)
    rows = table.weight.detach().clone()
    read_features(table, SymbolFeatures(torch.full((3,), -1), torch.zeros(3, 4)))
    assert torch.equal(table.weight, rows)
