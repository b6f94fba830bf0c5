"""The loss over allowed symbols is that of a softmax over them alone, in both forms."""

import math

import pytest
import torch

from fairseq_plugin.core import symbol_spans
from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.chunked_loss import OutputLayer, loss_from_hidden
from fairseq_plugin.core.contrastive_token_rule import ContrastiveTokenRule
from fairseq_plugin.core.logits_loss import loss_from_logits
from fairseq_plugin.core.scale_grad_rule import ScaleGradRule
from fairseq_plugin.core.unlikelihood_rule import PenaltyRule, UnlikelihoodRule

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


RULES = {
    "likelihood": ScaleGradRule(1.0),
    "ScaleGrad": ScaleGradRule(0.3),
    "ScaleGrad, eps": ScaleGradRule(0.3, 1e-8),
    "unlikelihood": UnlikelihoodRule(0.7),
    "contrastive": ContrastiveTokenRule(0.8, 1.0, 3.0),
    "contrastive, each occurrence": ContrastiveTokenRule(0.8, 4.0, 1.0, each_occurrence=True),
    "penalty": PenaltyRule(),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("chunk_size", [1, 4, None])
@pytest.mark.parametrize("free_logits", [0, 12, 10**9])
def test_products_of_few_symbols_are_those_of_all(monkeypatch, rule, chunk_size, free_logits):
    """However positions are put together: loss, counts, predictions and gradients of the whole layer."""
    monkeypatch.setattr(symbol_spans, "_LOGITS_OF_A_CALL", free_logits)
    for seed in range(12):
        hidden_BTD, weight_VD, target_BT, low_BT, count_BT = made(seed)
        banned = torch.tensor(sorted({0, 18} - set(target_BT.flatten().tolist())), dtype=torch.int64)
        if seed % 3 == 0:
            count_BT[1, 2] = 0  # scored, and everything is allowed
        inputs = hidden_BTD.requires_grad_(), weight_VD.requires_grad_()
        settings = {"rule": rule, "ignore_index": PAD, "want_predictions": True,
                    "allowed": AllowedSymbols(low_BT, count_BT)}  # fmt: skip
        layer = OutputLayer(weight_VD, num_symbols=V - 1, banned=banned)
        target_BT[target_BT == V - 1] = low_BT[target_BT == V - 1]
        got, found = loss_from_hidden(hidden_BTD, layer, target_BT, chunk_size=chunk_size, **settings)
        without_BTV = torch.zeros(V, dtype=torch.float64).index_fill(
            0, torch.cat([banned, torch.tensor([V - 1])]), -math.inf
        )
        logits_BTV = hidden_BTD @ weight_VD.T + without_BTV
        if rule.needs_allowed:  # told apart: what a layer bans, and what a position forbids
            continue
        expected, predicted = loss_from_logits(logits_BTV, target_BT, **settings)
        torch.testing.assert_close(got, expected)
        assert torch.equal(found.predicted_BT, predicted.predicted_BT)
        assert torch.equal(found.rank_BT, predicted.rank_BT)
        torch.testing.assert_close(
            torch.autograd.grad(got.loss, inputs), torch.autograd.grad(expected.loss, inputs)
        )


def test_half_precision_sums_what_few_symbols_give(monkeypatch):
    monkeypatch.setattr(symbol_spans, "_LOGITS_OF_A_CALL", 0)
    hidden_BTD, weight_VD, target_BT, low_BT, count_BT = made()
    found = {}
    for dtype in (torch.float64, torch.bfloat16):
        weight = weight_VD.float().requires_grad_()
        layer = OutputLayer(weight, product_dtype=None if dtype == torch.float64 else dtype)
        parts, _ = loss_from_hidden(
            hidden_BTD.float(), layer, target_BT, rule=ScaleGradRule(0.5), ignore_index=PAD,
            allowed=AllowedSymbols(low_BT, count_BT), chunk_size=2,
        )  # fmt: skip
        found[dtype] = torch.autograd.grad(parts.loss, weight)[0]
    torch.testing.assert_close(found[torch.bfloat16], found[torch.float64], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("fused", [True, False])
def test_a_target_that_is_not_allowed_is_refused(fused):
    allowed, target_BT = AllowedSymbols(torch.tensor([[3]]), torch.tensor([[2]])), torch.tensor([[7]])
    settings = {"rule": ScaleGradRule(1.0), "ignore_index": PAD, "allowed": allowed}
    with pytest.raises(ValueError, match="target token 7 has probability 0"):
        if fused:
            loss_from_hidden(torch.zeros(1, 1, D), OutputLayer(torch.ones(V, D)), target_BT, **settings)
        else:
            loss_from_logits(torch.zeros(1, 1, V), target_BT, **settings)


def test_one_allowed_symbol_costs_nothing():
    allowed = AllowedSymbols(torch.tensor([[3, 0]]), torch.tensor([[1, 0]]))
    parts, _ = loss_from_logits(
        torch.randn(1, 2, V), torch.tensor([[3, 4]]), rule=ScaleGradRule(1.0), ignore_index=PAD,
        allowed=allowed,
    )  # fmt: skip
    assert 0 < float(parts.loss) < 2 * math.log(V) + 5  # of the second alone, over all symbols
