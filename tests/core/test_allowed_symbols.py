"""The loss over allowed symbols is that of a softmax over them alone, in both forms."""

import math

import pytest
import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.chunked_loss import OutputLayer, loss_from_hidden
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule

B, T, D, V, PAD = 3, 5, 8, 20, 1


def made(seed=0):
    generator = torch.Generator().manual_seed(seed)
    low_BT = torch.randint(0, V - 6, (B, T), generator=generator)
    count_BT = torch.randint(1, 6, (B, T), generator=generator)
    target_BT = low_BT + (torch.rand(B, T, generator=generator) * count_BT).long()
    target_BT[target_BT == PAD] = PAD + 1
    low_BT, count_BT = torch.minimum(low_BT, target_BT), count_BT + 1
    target_BT[0, 3:], count_BT[0, 3:] = PAD, 0
    hidden_BTD = torch.randn(B, T, D, generator=generator, dtype=torch.float64)
    weight_VD = torch.randn(V, D, generator=generator, dtype=torch.float64)
    return hidden_BTD, weight_VD, target_BT, low_BT, count_BT


def literal_nll(logits_BTV, target_BT, low_BT, count_BT):
    total = logits_BTV.new_zeros(())
    for b in range(B):
        for t in range(T):
            if target_BT[b, t] != PAD:
                low, count = int(low_BT[b, t]), int(count_BT[b, t])
                some = logits_BTV[b, t, low : low + count]
                total = total - some.log_softmax(0)[int(target_BT[b, t]) - low]
    return total


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("want_predictions", [True, False])
def test_the_likelihood_is_that_of_the_allowed_symbols(fused, want_predictions):
    hidden_BTD, weight_VD, target_BT, low_BT, count_BT = made()
    hidden_BTD.requires_grad_(), weight_VD.requires_grad_()
    settings = {"rule": ScaleGradRule(1.0), "ignore_index": PAD, "want_predictions": want_predictions,
                "allowed": AllowedSymbols(low_BT, count_BT)}  # fmt: skip
    if fused:
        parts, found = loss_from_hidden(hidden_BTD, OutputLayer(weight_VD), target_BT, **settings)
    else:
        parts, found = loss_from_logits(hidden_BTD @ weight_VD.T, target_BT, **settings)
    expected = literal_nll(hidden_BTD @ weight_VD.T, target_BT, low_BT, count_BT)
    torch.testing.assert_close(parts.loss, expected)
    got = torch.autograd.grad(parts.loss, (hidden_BTD, weight_VD))
    torch.testing.assert_close(got, torch.autograd.grad(expected, (hidden_BTD, weight_VD)))
    if found is not None:
        scored = target_BT != PAD
        inside = (found.predicted_BT >= low_BT) & (found.predicted_BT < low_BT + count_BT)
        assert inside[scored].all() and (found.rank_BT <= count_BT)[scored].all()


@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_scale_grad_over_allowed_symbols_is_that_of_a_smaller_vocabulary(eps):
    """One range for all positions: the same as a layer that has no other symbols."""
    hidden_BTD, weight_VD, _, _, _ = made()
    target_BT = torch.tensor([[5, 6, 5, 9, PAD], [7, 7, 7, 7, 7], [9, 8, 7, 6, 5]])
    allowed = AllowedSymbols(torch.full((B, T), 5), torch.full((B, T), 5))
    rule = ScaleGradRule(0.3, eps)
    parts, _ = loss_from_hidden(
        hidden_BTD, OutputLayer(weight_VD), target_BT, rule=rule, ignore_index=PAD, allowed=allowed
    )
    small_BT = torch.where(target_BT == PAD, -1, target_BT - 5)
    expected, _ = loss_from_hidden(
        hidden_BTD, OutputLayer(weight_VD[5:10]), small_BT, rule=rule, ignore_index=-1
    )
    torch.testing.assert_close(parts.loss, expected.loss)


def test_a_target_that_is_not_allowed_is_refused():
    logits_BTV = torch.zeros(1, 1, V)
    allowed = AllowedSymbols(torch.tensor([[3]]), torch.tensor([[2]]))
    with pytest.raises(ValueError, match="target token 7 has probability 0"):
        loss_from_logits(
            logits_BTV, torch.tensor([[7]]), rule=ScaleGradRule(1.0), ignore_index=PAD, allowed=allowed
        )


def test_one_allowed_symbol_costs_nothing():
    allowed = AllowedSymbols(torch.tensor([[3, 0]]), torch.tensor([[1, 0]]))
    parts, _ = loss_from_logits(
        torch.randn(1, 2, V), torch.tensor([[3, 4]]), rule=ScaleGradRule(1.0), ignore_index=PAD,
        allowed=allowed,
    )  # fmt: skip
    assert 0 < float(parts.loss) < 2 * math.log(V) + 5  # of the second alone, over all symbols
