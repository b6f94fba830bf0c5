"""DITTO's penalty and its texts against their literal definitions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.chunked_loss import OutputLayer, loss_from_hidden
from fairseq_plugin.core.ditto_rule import DittoRule, check_ditto_lambda
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.pseudo_repetition import repeat_sentence, sentences
from tests.core.test_fused_scale_grad import LargestTensor
from tests.core.test_scale_grad import gradient
from tests.reference.ditto_oracle import dense_loss, literal_loss, literal_repetition

NONE = -1
DECAYS = st.sampled_from([0.0, 0.5, 0.9, 1.0])


@st.composite
def repeated_batches(draw):
    """Hidden states, targets and earlier positions as a sentence repeated from some place on gives them."""
    num_texts, steps = draw(st.integers(1, 3)), draw(st.integers(2, 9))
    vocabulary = draw(st.integers(2, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.1, 1.0, 5.0]))
    logits = scale * torch.randn(num_texts, steps, vocabulary, dtype=torch.float64, generator=generator)
    target = torch.full((num_texts, steps), NONE)
    earlier = torch.full((num_texts, steps), NONE)
    for b in range(num_texts):
        start, length = draw(st.integers(0, steps - 1)), draw(st.integers(1, steps))
        sentence = torch.randint(0, vocabulary, (length,), generator=generator)
        for t in range(start, draw(st.integers(start, steps))):
            target[b, t] = sentence[(t - start) % length]
            earlier[b, t] = t - length if t - length >= start else NONE
    return logits, target, earlier


def from_logits(logits, target, earlier, decay):
    rule, none = DittoRule(decay, earlier), torch.full_like(target, NONE)
    return loss_from_logits(logits, target, none, rule=rule, ignore_index=NONE)[0].loss


def fused(hidden, weight, target, earlier, decay, chunk_size=None, **layer):
    rule, none = DittoRule(decay, earlier), torch.full_like(target, NONE)
    layer = OutputLayer(weight, **layer)
    options = {"rule": rule, "ignore_index": NONE, "chunk_size": chunk_size}
    return loss_from_hidden(hidden, layer, target, none, **options)[0].loss


@settings(max_examples=150, deadline=None)
@given(repeated_batches(), DECAYS)
def test_loss_and_gradient_equal_the_literal_definition(batch, decay):
    logits, target, earlier = batch
    ours, dense = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = from_logits(ours, target, earlier, decay)
    truth = literal_loss(logits.tolist(), target.tolist(), earlier.tolist(), decay)
    assert abs(loss.item() - truth) <= 1e-12 * max(1.0, truth)
    (true_grad,) = gradient(dense_loss(dense, target, earlier, decay), dense)
    # log1p(-|p - b|), which autograd differentiates, loses digits where little is left of 1.
    lost = math.exp(truth)
    assert (gradient(loss, ours)[0] - true_grad).abs().max() <= 1e-12 * max(1.0, 1e-2 * lost)


@settings(max_examples=100, deadline=None)
@given(repeated_batches(), DECAYS, st.integers(1, 8))
def test_the_fused_path_equals_the_literal_definition_for_any_chunks(batch, decay, chunk_size):
    hidden, target, earlier = batch
    width = hidden.size(-1)
    weight = torch.randn(width + 3, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    plain = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    loss = fused(*ours, target, earlier, decay, chunk_size, num_symbols=width)
    logits = (plain[0] @ plain[1].t())[..., :width]
    truth = literal_loss(logits.tolist(), target.tolist(), earlier.tolist(), decay)
    assert abs(loss.item() - truth) <= 1e-12 * max(1.0, truth)
    for a, b in zip(gradient(loss, *ours), gradient(from_logits(logits, target, earlier, decay), *plain)):
        assert (a - b).abs().max() <= 1e-12 * max(1.0, b.abs().max().item())


def example():
    """Two texts: a sentence of 2 three times, and one of 3 twice."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, 7, 5, dtype=torch.float64, generator=generator).requires_grad_()
    weight = torch.randn(6, 5, dtype=torch.float64, generator=generator).requires_grad_()
    target = torch.tensor([[NONE, 3, 4, 3, 4, 3, 4], [0, 1, 2, 0, 1, 2, NONE]])
    earlier = torch.tensor([[NONE, NONE, NONE, 1, 2, 3, 4], [NONE, NONE, NONE, 0, 1, 2, NONE]])
    return hidden, weight, target, earlier


def test_gradients_pass_gradcheck_where_nothing_flows_through_the_earlier_repetition():
    """With lambda 0 there is nothing earlier; with more the numeric derivative would see it move."""
    hidden, weight, target, earlier = example()
    assert torch.autograd.gradcheck(
        lambda h, w: fused(h, w, target, earlier, 0.0, chunk_size=3) * 1.7, (hidden, weight)
    )
    last = torch.where(torch.arange(7) < 3, NONE, earlier)  # the first sentence keeps still, the rest moves
    fixed = hidden[:, :3].detach()
    moving = hidden[:1, 3:5].detach().requires_grad_()

    def loss(rest):
        text = torch.cat([fixed[:1], rest], dim=1)
        return from_logits(text @ weight.detach().t(), target[:1, :5], last[:1, :5], 0.5)

    assert torch.autograd.gradcheck(loss, (moving,))


def test_the_next_repetition_is_pulled_to_a_share_of_the_one_before():
    """At p = lambda p_before the loss is 0; above it the token is pushed down, below it pulled up."""
    earlier, target = torch.tensor([[NONE, 0]]), torch.tensor([[2, 2]])
    found = []
    for p in (0.2, 0.3, 0.5):  # the token before has 0.6, lambda is 0.5
        logits = torch.tensor([[[0.2, 0.2, 0.6], [(1 - p) / 2, (1 - p) / 2, p]]], dtype=torch.float64).log()
        loss = from_logits(logits.requires_grad_(), target, earlier, 0.5)
        assert math.isclose(loss.item(), -math.log(1 - abs(p - 0.3)), abs_tol=1e-12)
        found.append(gradient(loss, logits)[0][0])
    assert found[0][1, 2] < 0 < found[2][1, 2] and (found[0][0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("margin", [17.5, 60.0, 200.0])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_at_probabilities_of_one_loss_and_gradient_are_finite(dtype, margin, decay):
    logits = torch.zeros(1, 2, 5, dtype=dtype)
    logits[0, 1, 3] = margin
    logits[0, 0, 3] = -margin
    earlier, target = torch.tensor([[NONE, 0]]), torch.tensor([[3, 3]])
    loss = from_logits(logits.requires_grad_(), target, earlier, decay)
    truth = margin - math.log(4) if decay == 0.0 else None
    if truth is not None and truth < 69:
        assert math.isclose(loss.item(), truth, rel_tol=1e-2 if dtype == torch.bfloat16 else 1e-6)
    (found,) = gradient(loss, logits)
    assert loss.isfinite() and found.isfinite().all() and found[0, 1, 3] > 0


def test_no_tensor_of_batch_by_time_by_vocabulary_is_ever_made():
    hidden, weight = torch.randn(4, 32, 8, requires_grad=True), torch.randn(640, 8, requires_grad=True)
    target = torch.randint(0, 640, (4, 16)).repeat(1, 2)
    earlier = torch.cat([torch.full((4, 16), NONE), torch.arange(16).expand(4, -1)], dim=1)
    with LargestTensor() as ours:
        fused(hidden, weight, target, earlier, 0.5, chunk_size=16).backward()
    assert ours.numel <= 16 * 640


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_lambda_outside_its_range_is_refused_by_flag(decay):
    with pytest.raises(ValueError, match="--ditto-lambda"):
        check_ditto_lambda(decay)


# -- the texts ----------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=14), st.floats(0.001, 0.999))
def test_a_text_is_its_beginning_and_one_whole_sentence_over_and_over(is_end, uniform):
    tokens = list(range(100, 100 + len(is_end)))
    found = repeat_sentence(tokens, is_end, uniform)
    assert (found is None) == (sentences(is_end) == [])
    if found is not None:
        assert found.tokens == literal_repetition(tokens, is_end, found.start, found.length)
        assert found.start + 2 * found.length <= len(tokens) + 1  # two whole ones at least


def test_the_worked_example_of_the_docstring():
    text = list(". a b . c d e . f g".split())
    is_end = [token == "." for token in text]
    assert sentences(is_end) == [(1, 3)]  # "c d e ." does not fit in twice
    assert "".join(repeat_sentence(text, is_end, 0.5).tokens) == ".ab.ab.ab.a"
