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
