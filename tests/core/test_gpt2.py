"""The network is GPT-2: transformers computes the same, whatever the sizes, the padding and the batch."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.bf16 import why_not_bf16
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.core.linear import linear
from tests.reference.gpt2_reference import pair

SIZES = st.fixed_dictionaries(
    {
        "vocab_size": st.integers(2, 300),
        "n_positions": st.integers(1, 40),
        "n_head": st.integers(1, 5),
        "n_layer": st.integers(1, 3),
        "layer_norm_epsilon": st.sampled_from([1e-5, 1e-3]),
    }
)


def small(**changes):
    torch.manual_seed(1)
    return GPT2(
        GPT2Config(
            **{**{"vocab_size": 100, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}, **changes}
        )
    ).eval()


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(1, 12), st.integers(0, 2**31), st.data())
def test_logits_equal_transformers(sizes, head_width, seed, data):
    ours, theirs = pair(seed, **sizes, n_embd=sizes["n_head"] * head_width)
    batch, time = data.draw(st.integers(1, 4)), data.draw(st.integers(1, sizes["n_positions"]))
    tokens_BT = torch.randint(sizes["vocab_size"], (batch, time))
    with torch.no_grad():
        logits_BTV, theirs_BTV = ours.logits(ours(tokens_BT)), theirs(tokens_BT).logits
    assert logits_BTV.shape == theirs_BTV.shape
    torch.testing.assert_close(logits_BTV, theirs_BTV, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_logits_equal_transformers_at_124_million_parameters():
    ours, theirs = pair(vocab_size=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12, spread=0.0)
    tokens_BT = torch.randint(50257, (2, 200))
    with torch.no_grad():
        logits_BTV, theirs_BTV = ours.logits(ours(tokens_BT)), theirs(tokens_BT).logits
    torch.testing.assert_close(logits_BTV, theirs_BTV, atol=1e-4, rtol=0)


def test_gradients_equal_transformers():
    ours, theirs = pair(seed=3)
    ours.train()
    tokens_BT = torch.randint(211, (3, 20))
    for logits_BTV in (ours.logits(ours(tokens_BT)), theirs(tokens_BT).logits):
        F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), tokens_BT[:, 1:].flatten()).backward()
    expected = {name.removeprefix("transformer."): p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        grad = expected[name].t() if parameter.shape == expected[name].t().shape else expected[name]
        if name.endswith("attn.c_proj.weight"):  # square: the shape does not tell
            grad = expected[name].t()
        torch.testing.assert_close(parameter.grad[: len(grad)], grad, atol=1e-5, rtol=1e-4, msg=name)
        assert not parameter.grad[len(grad) :].any()


def test_greedy_text_equals_transformers():
    ours, theirs = pair(seed=5, vocab_size=120)
    prompt_BT = torch.randint(119, (4, 3))
    expected_BT = theirs.generate(
        prompt_BT, max_new_tokens=40, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    tokens_BT = prompt_BT
    for _ in range(40):
        with torch.no_grad():
            next_B1 = ours.logits(ours(tokens_BT)[:, -1:]).argmax(-1)
        tokens_BT = torch.cat([tokens_BT, next_B1], dim=1)
    assert torch.equal(tokens_BT, expected_BT)


def test_parameter_names_and_shapes_are_gpt2s():
    ours, theirs = pair()
    shapes = {name.removeprefix("transformer."): set(p.shape) for name, p in theirs.named_parameters()}
    shapes["wte.weight"] = {256, 32}  # 211 rows, padded to a multiple of 64
    assert {name: set(p.shape) for name, p in ours.named_parameters()} == shapes
    assert set(ours.state_dict()) == set(shapes)


def test_the_future_changes_no_bit_of_the_past():
    model = small()
    tokens_BT = torch.randint(100, (3, 20))
    changed_BT = tokens_BT.clone()
    changed_BT[:, 12:] = torch.randint(100, (3, 8))
    with torch.no_grad():
        assert torch.equal(model(tokens_BT)[:, :12], model(changed_BT)[:, :12])
        assert not torch.equal(model(tokens_BT)[:, 12:], model(changed_BT)[:, 12:])


def test_padding_and_neighbours_do_not_change_a_text():
    model = small()
    lengths = [1, 5, 13, 20]
    tokens_BT = torch.randint(100, (4, 20))
    with torch.no_grad():
        together_BTD = model(tokens_BT)
        for row, length in enumerate(lengths):
            alone_TD = model(tokens_BT[row : row + 1, :length])[0]
            torch.testing.assert_close(together_BTD[row, :length], alone_TD, atol=1e-5, rtol=0)


def test_given_positions_are_used():
    model = small()
    tokens_BT = torch.randint(100, (2, 6))
    with torch.no_grad():
        assert torch.equal(model(tokens_BT), model(tokens_BT, positions_BT=torch.arange(6).expand(2, 6)))
        assert not torch.allclose(model(tokens_BT), model(tokens_BT, positions_BT=torch.arange(3, 9)))


def test_banned_columns_have_no_probability_in_training_either():
    model = small(dropout=0.1).train()
    model.banned = torch.tensor([0, 7])
    logits_BTV = model.logits(model(torch.randint(100, (2, 9))))
    assert logits_BTV.shape == (2, 9, 100)
    assert (logits_BTV[..., [0, 7]] == -torch.inf).all()
    assert (logits_BTV.softmax(-1)[..., [0, 7]] == 0).all()
    F.cross_entropy(logits_BTV.flatten(0, 1), torch.full((18,), 5)).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_padding_of_the_table_stays_zero_in_training():
    model = small(dropout=0.1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        tokens_BT = torch.randint(100, (2, 9))
        F.cross_entropy(model.logits(model(tokens_BT)).flatten(0, 1), tokens_BT.flatten()).backward()
        optimizer.step()
    assert not model.wte.weight[100:].any()


def test_dropout_works_in_training_only():
    model = small(dropout=0.5)
    tokens_BT = torch.randint(100, (2, 9))
    with torch.no_grad():
        assert torch.equal(model(tokens_BT), model(tokens_BT))
        assert not torch.equal(model.train()(tokens_BT), model(tokens_BT))


def test_attention_has_a_dropout_of_its_own():
    tokens_BT = torch.randint(100, (2, 9))
    with torch.no_grad():
        still = small(dropout=0.0, attention_dropout=0.5)
        assert not torch.equal(still.train()(tokens_BT), still.eval()(tokens_BT))
        assert all(block.attn.dropout == 0 for block in small(dropout=0.5, attention_dropout=0.0).h)
        assert all(block.attn.dropout == 0.5 for block in small(dropout=0.5).h)


@pytest.mark.parametrize("leading", [(5,), (2, 3), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_and_its_gradients_equal_pytorchs(leading, bias):
    torch.manual_seed(0)
    x, weight_OI = torch.randn(*leading, 48), torch.randn(80, 48)
    bias_O = torch.randn(80) if bias else None
    results = []
    for function in (linear, F.linear):
        leaves = [leaf.clone().requires_grad_() for leaf in (x, weight_OI, bias_O) if leaf is not None]
        y = function(*leaves)
        y.backward(torch.ones_like(y).cumsum(-1))
        results.append([y.detach(), *(leaf.grad for leaf in leaves)])
    for mine, torchs in zip(*results, strict=True):
        torch.testing.assert_close(mine, torchs, atol=1e-3, rtol=1e-5)


def test_float64_is_computed_in_float64():
    model = small().double()
    tokens_BT = torch.randint(100, (2, 9))
    logits_BTV = model.logits(model(tokens_BT))
    assert logits_BTV.dtype == torch.float64
    torch.testing.assert_close(logits_BTV.float(), small().logits(small()(tokens_BT)), atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(why_not_bf16("cpu") is not None, reason="no bfloat16 on this CPU")
def test_bf16_is_close_and_keeps_weights_and_logits_in_float32():
    full, tokens_BT = small(), torch.randint(100, (2, 20))
    half = GPT2(full.config, torch.bfloat16).eval()
    half.load_state_dict(full.state_dict())
    logits_BTV = half.logits(half(tokens_BT))
    assert logits_BTV.dtype == torch.float32
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    # bfloat16 has 8 bits of precision; 2 layers and the head round a few times each.
    expected_BTV = full.logits(full(tokens_BT))
    assert (logits_BTV - expected_BTV).abs().max() < 0.03 * expected_BTV.abs().max()
    logits_BTV.sum().backward()
    assert {p.grad.dtype for p in half.parameters()} == {torch.float32}


@pytest.mark.skipif(why_not_bf16("cpu") is not None, reason="no bfloat16 on this CPU")
def test_bf16_copies_follow_the_weights():
    model = GPT2(small().config, torch.bfloat16).eval()
    tokens_BT = torch.randint(100, (1, 5))
    with torch.no_grad():
        before_BTD = model(tokens_BT)
        model.h[0].mlp.c_fc.weight.mul_(3)  # in place, as an optimizer does
        assert not torch.equal(model(tokens_BT), before_BTD)
        model.load_state_dict(small().state_dict())
        after_BTD = model(tokens_BT)
    fresh = GPT2(model.config, torch.bfloat16).eval()
    fresh.load_state_dict(small().state_dict())
    with torch.no_grad():
        assert torch.equal(fresh(tokens_BT), after_BTD)


@pytest.mark.skipif(why_not_bf16("cpu") is not None, reason="no bfloat16 on this CPU")
def test_bf16_copies_follow_an_optimizer_that_leaves_no_trace():
    """fairseq's Adam writes through ``.data``; a fused loss reads the table without asking for logits."""
    model = GPT2(small(dropout=0.0).config, torch.bfloat16)
    tokens_BT = torch.randint(100, (2, 9))

    def logits():
        with torch.no_grad():
            return model.logits(model(tokens_BT))

    logits()
    model(tokens_BT).sum().backward()
    for parameter in model.parameters():
        parameter.data.mul_(1.5)
    fresh = GPT2(model.config, torch.bfloat16)
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(logits(), fresh.logits(fresh(tokens_BT)))


@pytest.mark.slow
def test_the_compiled_network_computes_the_same():
    model, tokens_BT = small(), torch.randint(100, (3, 20))
    compiled = torch.compile(model, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(tokens_BT), model(tokens_BT), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "sizes, named",
    [
        ({"n_embd": 30, "n_head": 4}, "n_embd 30"),
        ({"n_layer": 0}, "n_layer"),
        ({"dropout": 1.0}, "dropout"),
        ({"attention_dropout": -0.1}, "attention_dropout must be in .0, 1., not -0.1"),
        ({"vocab_size": 0}, "vocab_size"),
    ],
)
def test_sizes_that_make_no_network_are_refused(sizes, named):
    with pytest.raises(ValueError, match=named):
        small(**sizes)


def test_a_text_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="33 tokens exceed the model's 32 positions"):
        small()(torch.zeros(1, 33, dtype=torch.int64))


def test_plain_autocast_works_in_training():
    """``torch.autocast`` around the network, as other training loops do it, dropout on."""
    torch.manual_seed(0)
    model = GPT2(
        GPT2Config(vocab_size=100, n_positions=32, n_embd=32, n_layer=2, n_head=2, dropout=0.1)
    ).train()
    tokens_BT = torch.randint(0, 100, (2, 20))
    with torch.autocast("cpu", torch.bfloat16):
        logits_BTV = model.logits(model(tokens_BT))
        loss = torch.nn.functional.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), tokens_BT[:, 1:].flatten())
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    assert loss.item() == pytest.approx(4.6, abs=0.3)
