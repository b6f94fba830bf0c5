"""The loss against its literal definition; see ``tests/reference/scale_grad_oracle.py``."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.seen_tokens import list_seen_tokens
from tests.core.losses import fused_scale_grad_loss, scale_grad_loss
from tests.reference.scale_grad_oracle import dense_loss, literal_loss

PAD = 1
GAMMAS = st.sampled_from([1.0, 0.8, 0.5, 0.2, 0.01])


@st.composite
def batches(draw):
    """Small batches with padding anywhere, many duplicates, and seen tokens that may differ from targets."""
    rows, steps = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    vocabulary = draw(st.integers(2, 9))
    tokens = st.lists(st.integers(0, vocabulary - 1), min_size=rows * steps, max_size=rows * steps)
    target_BT = torch.tensor(draw(tokens)).view(rows, steps)
    seen_BT = torch.tensor(draw(tokens)).view(rows, steps) if draw(st.booleans()) else target_BT
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.1, 1.0, 8.0]))
    logits_BTV = scale * torch.randn(rows, steps, vocabulary, dtype=torch.float64, generator=generator)
    return logits_BTV, target_BT, seen_BT


def gradient(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def example(rows=3, steps=11, vocabulary=13, width=5, dtype=torch.float64, seed=0):
    """A batch with padding at the end of the first row; hidden, weight, target."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, steps, width, dtype=torch.float64, generator=generator)
    weight = torch.randn(vocabulary, width, dtype=torch.float64, generator=generator)
    target = torch.randint(2, vocabulary, (rows, steps), generator=generator)
    target[0, steps - 3 :] = PAD
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), target


def fused(hidden, weight, target, seen=None, **options):
    options = {"gamma": 0.3, "ignore_index": PAD} | options
    return fused_scale_grad_loss(hidden, weight, target, seen, **options)


# -- the definition -----------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(batches(), GAMMAS, st.sampled_from([0.0, 1e-8, 1e-3]))
def test_loss_and_gradient_equal_the_literal_definition(batch, gamma, eps):
    logits, target, seen = batch
    truth = literal_loss(logits.tolist(), target.tolist(), seen.tolist(), gamma, PAD, eps)
    ours, dense = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    parts = scale_grad_loss(ours, target, seen, gamma=gamma, ignore_index=PAD, eps=eps)
    size = max(1.0, truth["loss"])
    assert abs(parts.loss.item() - truth["loss"]) <= 1e-12 * size
    assert abs(parts.nll.item() - truth["nll"]) <= 1e-12 * max(1.0, truth["nll"])
    assert (parts.num_scored.item(), parts.num_novel.item()) == (truth["num_scored"], truth["num_novel"])
    (ours_grad,) = gradient(parts.loss, ours)
    (true_grad,) = gradient(dense_loss(dense, target, seen, gamma, PAD, eps), dense)
    assert (ours_grad - true_grad).abs().max() <= 1e-12


@settings(max_examples=100, deadline=None)
@given(batches(), GAMMAS, st.sampled_from([0.0, 1e-3]), st.integers(1, 8))
def test_the_fused_path_equals_the_literal_definition(batch, gamma, eps, chunk_size):
    hidden, target, seen = batch  # "hidden" of width V through an invertible output layer
    width = hidden.size(-1)
    weight = torch.randn(width + 3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    dense = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    parts = fused_scale_grad_loss(
        *ours, target, seen, gamma=gamma, ignore_index=PAD, num_symbols=width, eps=eps, chunk_size=chunk_size
    )
    logits = (dense[0] @ dense[1].t())[..., :width]
    truth = literal_loss(logits.tolist(), target.tolist(), seen.tolist(), gamma, PAD, eps)
    assert abs(parts.loss.item() - truth["loss"]) <= 1e-12 * max(1.0, truth["loss"])
    assert abs(parts.nll.item() - truth["nll"]) <= 1e-12 * max(1.0, truth["nll"])
    assert (parts.num_scored.item(), parts.num_novel.item()) == (truth["num_scored"], truth["num_novel"])
    ours_grads = gradient(parts.loss, *ours)
    true_grads = gradient(dense_loss(logits, target, seen, gamma, PAD, eps), *dense)
    for a, b in zip(ours_grads, true_grads):
        assert (a - b).abs().max() <= 1e-12 * max(1.0, b.abs().max().item())


def test_the_worked_example_of_the_docstring():
    parts = scale_grad_loss(torch.zeros(1, 3, 4), torch.tensor([[2, 2, 3]]), gamma=0.5, ignore_index=-100)
    assert math.isclose(parts.loss.item(), math.log(4) + math.log(2.5) + math.log(5), rel_tol=1e-6)


@pytest.mark.parametrize("eps", [0.0, 1e-3])
def test_gradients_pass_gradcheck(eps):
    hidden, weight, target = example(rows=2, steps=4, vocabulary=6)
    assert torch.autograd.gradcheck(
        lambda z: scale_grad_loss(z, target, gamma=0.3, ignore_index=PAD, eps=eps).loss,
        (hidden @ weight.t()).detach().requires_grad_(),
    )
    assert torch.autograd.gradcheck(
        lambda h, w: fused(h, w, target, eps=eps, chunk_size=3).loss * 1.7, (hidden, weight)
    )


def test_the_published_eps_costs_what_was_measured():
    """At gamma = 1 and V = 50,257 adding 1e-8 per entry costs 5.0e-4 nats and caps the loss near 18."""
    logits = torch.zeros(1, 1, 50257, dtype=torch.float64)
    target = torch.tensor([[7]])
    with_eps = scale_grad_loss(logits, target, gamma=1.0, ignore_index=PAD, eps=1e-8)
    likely = logits.clone()
    likely[0, 0, 7] = 20.0
    extra = scale_grad_loss(likely, target, gamma=1.0, ignore_index=PAD, eps=1e-8)
    assert math.isclose((extra.loss - extra.nll).item(), 5.0e-4, rel_tol=0.02)
    assert with_eps.loss < with_eps.nll + 1e-9  # at equal probabilities nothing changes
    hopeless = logits.clone()
    hopeless[0, 0, 7] = -200.0
    capped = scale_grad_loss(hopeless, target, gamma=1.0, ignore_index=PAD, eps=1e-8)
    assert capped.nll > 200 and 18.0 < capped.loss < 18.5


# -- gamma = 1 is maximum likelihood ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(1, 1, 5), (3, 11, 13), (4, 40, 1000), (2, 3, 50257)])
def test_gamma_one_is_bit_equal_to_cross_entropy(shape, dtype):
    generator = torch.Generator().manual_seed(3)
    logits = (5 * torch.randn(*shape, generator=generator)).to(dtype)
    target = torch.randint(0, shape[2], shape[:2], generator=generator)
    ours, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    parts = scale_grad_loss(ours, target, gamma=1.0, ignore_index=PAD)
    truth = F.cross_entropy(plain.view(-1, shape[2]), target.view(-1), reduction="sum", ignore_index=PAD)
    assert torch.equal(parts.loss, truth) and torch.equal(parts.nll, truth.detach())
    assert torch.equal(gradient(parts.loss, ours)[0], gradient(truth, plain)[0])


def test_the_fused_path_at_gamma_one_is_cross_entropy_of_a_linear_layer():
    hidden, weight, target = example()
    parts = fused(hidden, weight, target, gamma=1.0, chunk_size=4)
    logits = (hidden @ weight.t()).view(-1, 13)
    truth = F.cross_entropy(logits, target.view(-1), reduction="sum", ignore_index=PAD)
    assert torch.allclose(parts.loss, truth, rtol=1e-14)
    for a, b in zip(gradient(parts.loss, hidden, weight), gradient(truth, hidden, weight)):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-13)


# -- what is seen -------------------------------------------------------------------------------------------


def test_seen_tokens_of_the_docstring():
    seen = list_seen_tokens(torch.tensor([[7, 9, 7, PAD]]), PAD, 10)
    assert seen.tokens_BU.tolist() == [[7, 9]] and seen.first_BU.tolist() == [[0, 1]]
    assert seen.at(torch.arange(4))[1].tolist() == [[False, False], [True, False], [True, True], [True, True]]


def test_the_bound_used_on_a_device_lists_the_same_tokens():
    """Without reading counts back, U is min(T, V): unused places must stay invisible."""
    tokens = torch.tensor([[3, 3, PAD, 2, 3, 0], [PAD] * 6])
    short = list_seen_tokens(tokens, PAD, 4)
    assert short.tokens_BU.size(1) == 3
    meta = list_seen_tokens(tokens.to("meta"), PAD, 4)
    assert meta.tokens_BU.shape == (2, 4)


def test_duplicates_count_once():
    logits = torch.randn(1, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = torch.cat([logits[:, :1], logits], dim=1)  # row with 5 5 4 | row with 5 4, same last step
    long = scale_grad_loss(logits[:, 1:], torch.tensor([[5, 5, 4]]), gamma=0.3, ignore_index=PAD)
    first_two = scale_grad_loss(logits[:, 1:3], torch.tensor([[5, 5]]), gamma=0.3, ignore_index=PAD)
    short = scale_grad_loss(logits[:, [1, 3]], torch.tensor([[5, 4]]), gamma=0.3, ignore_index=PAD)
    first_one = scale_grad_loss(logits[:, [1]], torch.tensor([[5]]), gamma=0.3, ignore_index=PAD)
    assert torch.allclose(long.loss - first_two.loss, short.loss - first_one.loss, rtol=1e-13)


@pytest.mark.parametrize("path", ["logits", "fused"])
def test_rows_never_leak_into_each_other(path):
    hidden, weight, target = example()

    def loss(rows):
        if path == "fused":
            return fused(hidden[rows], weight, target[rows], chunk_size=5)
        return scale_grad_loss((hidden @ weight.t())[rows], target[rows], gamma=0.3, ignore_index=PAD)

    together, alone = loss([0, 1, 2]), [loss([row]) for row in range(3)]
    for whole, parts in zip(together, zip(*alone)):
        assert torch.allclose(whole.double(), sum(parts).double(), rtol=1e-13)


@pytest.mark.parametrize("path", ["logits", "fused"])
def test_padding_changes_nothing_and_gets_no_gradient(path):
    hidden, weight, target = example(rows=2)

    def run(hidden, target):
        if path == "fused":
            return fused(hidden, weight, target, chunk_size=4)
        return scale_grad_loss(hidden @ weight.t(), target, gamma=0.3, ignore_index=PAD)

    padded_hidden = torch.cat([hidden.detach(), torch.full((2, 5, 5), 9.0)], dim=1).requires_grad_()
    padded_target = torch.cat([target, torch.full((2, 5), PAD)], dim=1)
    plain, padded = run(hidden, target), run(padded_hidden, padded_target)
    for a, b in zip(plain, padded):
        assert torch.allclose(a.double(), b.double(), rtol=1e-13)
    (d_padded,) = gradient(padded.loss, padded_hidden)
    assert torch.allclose(d_padded[:, :11], gradient(plain.loss, hidden)[0], rtol=1e-12)
    assert (d_padded[:, 11:] == 0).all() and (d_padded[0, 8:11] == 0).all()


@pytest.mark.parametrize("path", ["logits", "fused"])
@pytest.mark.parametrize("shape", [(2, 3), (2, 0), (0, 3)])
def test_nothing_but_padding_gives_zero_with_a_graph(path, shape):
    hidden = torch.randn(*shape, 5, requires_grad=True)
    weight = torch.randn(7, 5, requires_grad=True)
    target = torch.full(shape, PAD)
    if path == "fused":
        parts = fused(hidden, weight, target)
    else:
        parts = scale_grad_loss(hidden @ weight.t(), target, gamma=0.3, ignore_index=PAD)
    assert [part.item() for part in parts] == [0, 0, 0, 0, 0]
    for got in gradient(parts.loss, hidden, weight):
        assert (got == 0).all()


def test_prompts_may_count_as_seen_without_being_scored():
    logits = torch.zeros(1, 3, 4, dtype=torch.float64)
    target = torch.tensor([[PAD, 2, 2]])
    unseen = scale_grad_loss(logits, target, gamma=0.5, ignore_index=PAD)
    seen = scale_grad_loss(logits, target, torch.tensor([[2, 2, 2]]), gamma=0.5, ignore_index=PAD)
    assert unseen.num_novel == 1 and seen.num_novel == 0
    assert math.isclose(unseen.loss.item(), math.log(4) + math.log(2.5))
    assert math.isclose(seen.loss.item(), 2 * math.log(2.5))


def test_scored_positions_may_be_kept_out_of_the_seen_set():
    logits = torch.zeros(1, 2, 4, dtype=torch.float64)
    parts = scale_grad_loss(
        logits, torch.tensor([[2, 2]]), torch.tensor([[PAD, 2]]), gamma=0.5, ignore_index=PAD
    )
    assert parts.num_novel == 2 and math.isclose(parts.loss.item(), 2 * math.log(4))


def test_num_correct_counts_the_largest_plain_logit():
    logits = torch.tensor([[[0.0, 5.0, 1.0], [3.0, 2.9, 0.0], [0.0, 0.0, 1.0]]])
    target = torch.tensor([[1, 1, 2]])
    weight = torch.eye(3)
    for parts in (
        scale_grad_loss(logits, target, gamma=0.1, ignore_index=-1),
        fused_scale_grad_loss(logits, weight, target, gamma=0.1, ignore_index=-1),
    ):
        assert (parts.num_correct.item(), parts.num_scored.item()) == (2, 3)
