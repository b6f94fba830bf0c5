"""The objectives as their papers write them, densely: what the benchmarks run against."""

import torch
import torch.nn.functional as F


def dense_scale_grad(logits_BTV, target_BT, gamma):
    """p~ = gamma p on novel tokens, p on seen ones, renormalised, with a B x T x V mask; the loss summed."""
    p_BTV = logits_BTV.float().softmax(-1)
    factor_BTV = torch.full_like(p_BTV, gamma)
    for t in range(1, target_BT.size(1)):
        factor_BTV[:, t] = factor_BTV[:, t - 1]
        factor_BTV[:, t].scatter_(1, target_BT[:, t - 1, None], 1.0)
    p_BTV = p_BTV * factor_BTV
    p_BTV = p_BTV / p_BTV.sum(-1, keepdim=True)
    return F.nll_loss(p_BTV.log().flatten(0, 1), target_BT.flatten(), reduction="sum")


def dense_unlikelihood(logits_BTV, target_BT, alpha):
    """Likelihood plus alpha times -log(1 - p) of earlier targets but y, with a B x T x V mask; summed."""
    logp_BTV = logits_BTV.float().log_softmax(-1)
    candidate_BTV = torch.zeros_like(logp_BTV)
    for t in range(1, target_BT.size(1)):
        candidate_BTV[:, t] = candidate_BTV[:, t - 1]
        candidate_BTV[:, t].scatter_(1, target_BT[:, t - 1, None], 1.0)
    candidate_BTV.scatter_(2, target_BT[..., None], 0.0)
    unlikelihood = -((1.0 - logp_BTV.exp()).clamp(min=1e-5).log() * candidate_BTV).sum()
    return F.nll_loss(logp_BTV.flatten(0, 1), target_BT.flatten(), reduction="sum") + alpha * unlikelihood


def dense_contrastive_token(logits_BTV, target_BT):
    """Mean cross-entropy plus the mean contrastive part of the first quarter, times T; B x T x T margins."""
    logits_BTV, time = logits_BTV.float(), target_BT.size(1)
    nll = F.cross_entropy(logits_BTV.flatten(0, 1), target_BT.flatten(), reduction="sum")
    length = round(0.25 * time)
    before_TT = torch.ones(length, length, dtype=torch.bool, device=target_BT.device).tril(-1)
    before_TT = before_TT.triu(-round(0.5 * length))
    first_BT = target_BT[:, :length]
    tokens_BTT = first_BT[:, None].expand(-1, length, -1)
    same_BTT = (tokens_BTT[..., None] == tokens_BTT[..., None, :]) & before_TT[:, None]
    once_BTT = ~same_BTT.tril(-1).any(-1)  # the first occurrence in the window counts
    is_negative_BTT = before_TT & once_BTT & (tokens_BTT != first_BT[..., None])
    z_y_BT1 = logits_BTV[:, :length].gather(2, first_BT[..., None])
    margin_BTT = logits_BTV[:, :length].gather(2, tokens_BTT) - z_y_BT1
    margin_BTT = margin_BTT.masked_fill(~is_negative_BTT, -torch.inf)
    ct = torch.cat([torch.zeros_like(z_y_BT1), margin_BTT], dim=2).logsumexp(2).sum()
    return nll + time / length * ct


def dense_ditto(logits_BTV, target_BT, length, decay):
    """-log(1 - |p - lambda p one repetition earlier|) from the second repetition on; summed."""
    p_BT = logits_BTV.float().softmax(-1).gather(2, target_BT[..., None]).squeeze(2)
    apart_BT = (p_BT[:, length:] - decay * p_BT[:, :-length].detach()).abs()
    return -(1.0 - apart_BT).clamp(min=1e-20).log().sum()
