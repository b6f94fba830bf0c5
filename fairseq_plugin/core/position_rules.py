"""From logits to loss and dloss/dlogits, position by position: what every objective and every path shares.

An objective is a *rule*: it looks at a few numbers of each position and answers with the loss and with a
gradient that is dense in one scalar only. With p the softmax of the position's logits z,

    dloss/dz_v = p_v * dense      wherever v is neither the target y nor seen (core/seen_tokens.py)
    dloss/dz_y = at_y,   dloss/dz_v = at_seen    at the target and at the seen tokens

so no B x T x V mask is needed and the gradient can take the logits' place in memory.

Legend: N positions of a batch (B x T, flattened), C positions of a block, V symbols of the vocabulary, U
candidates for "seen" per position. All losses in nats.
"""

import math
from typing import NamedTuple

import torch

from fairseq_plugin.core.allowed_symbols import AllowedSymbols
from fairseq_plugin.core.arg_max import arg_max
from fairseq_plugin.core.seen_tokens import SeenTokens


class LossParts(NamedTuple):
    """What one batch gives. Every entry is a 0-dimensional tensor on the batch's device; none was read back.

    Attributes:
        loss: the objective in nats, summed over scored positions, differentiable.
        nll: plain negative log-likelihood in nats, summed over the same positions, detached.
        num_scored: int64, positions with a target.
        num_correct: int64, scored positions whose largest plain logit is the target's.
        num_novel: int64, scored positions whose target had not been seen before in its sample.
    """

    loss: torch.Tensor
    nll: torch.Tensor
    num_scored: torch.Tensor
    num_correct: torch.Tensor
    num_novel: torch.Tensor


class Predictions(NamedTuple):
    """What the model says at every position; ``ignore_index`` and rank 0 where nothing is scored.

    Attributes:
        predicted_BT: int64, the symbol of the largest logit.
        rank_BT: int64 from 1 on: 1 + the number of symbols with a larger logit than the target's.
    """

    predicted_BT: torch.Tensor
    rank_BT: torch.Tensor


class Positions(NamedTuple):
    """What a rule may know of C positions.

    Attributes:
        index_C: int64, the flat positions ``b * T + t``.
        target_C: int64, y; 0 where a position is not scored. Symbols count from the block's first, here and
            below.
        tokens_CU, seen_CU: candidates and whether each is seen at the position.
        y_seen_C: whether the target is among the seen tokens.
        logp_y_C: log p_y; 0 where a position is not scored.
        p_seen_CU: p of the candidates, seen or not.
        argmax_C, p_max_C: the most probable symbol and its probability.
        rest_C: sum of all other symbols' probabilities, to full relative precision also where ``p_max_C``
            rounds to 1; None unless the rule ``needs_rest``.
        num_allowed: symbols that have a probability, one number or one per position ``(C,)``; None unless the
            rule ``needs_allowed``.
        margin_CU: z of the candidates minus z_y, exact where probabilities have rounded to 0; None unless the
            rule ``needs_margins``.
    """

    index_C: torch.Tensor
    target_C: torch.Tensor
    tokens_CU: torch.Tensor
    seen_CU: torch.Tensor
    y_seen_C: torch.Tensor
    logp_y_C: torch.Tensor
    p_seen_CU: torch.Tensor
    argmax_C: torch.Tensor
    p_max_C: torch.Tensor
    rest_C: torch.Tensor | None
    num_allowed: int | torch.Tensor | None
    margin_CU: torch.Tensor | None


class PositionLoss(NamedTuple):
    """A rule's answer; the formulas are in the module's docstring. Positions that are not scored are ignored.

    Attributes:
        loss_C: nats.
        dense_C, at_y_C: None where no gradient was asked for.
        at_seen_CU: likewise; entries that are not seen, or are the target, are not read.
    """

    loss_C: torch.Tensor
    dense_C: torch.Tensor | None = None
    at_y_C: torch.Tensor | None = None
    at_seen_CU: torch.Tensor | None = None


class Scored(NamedTuple):
    """The positions of a batch, flattened to N = B * T.

    Attributes:
        target_N: int64.
        scored_N: bool.
        seen: the seen tokens of the batch's samples.
        allowed: the symbols over which each position's softmax is taken; None: all.
    """

    target_N: torch.Tensor
    scored_N: torch.Tensor
    seen: SeenTokens
    allowed: AllowedSymbols | None = None

    def positions(self) -> torch.Tensor:
        """Those to visit. Leaving out what is not scored needs the count on the host: on CUDA, a wait."""
        if self.target_N.device.type == "cpu":
            return self.scored_N.nonzero().squeeze(1)
        return torch.arange(self.target_N.numel(), device=self.target_N.device)

    def within(self, low: int, high: int) -> "Scored":
        """The same for logits of the symbols ``low <= symbol < high`` alone, where ``low`` is called 0.

        It is for positions that allow no symbol besides those; they are scored.
        """
        allowed = None if self.allowed is None else self.allowed.counted_from(low)
        return Scored(self.target_N - low, self.scored_N, self.seen.within(low, high), allowed)


class Rule:
    """An objective, applied to each position on its own.

    Attributes:
        is_likelihood: it is maximum likelihood under its settings; loss and gradient are then to be bit-equal
            to cross-entropy where logits are given.
        needs_rest: it reads ``Positions.rest_C``, one more pass over the block.
        needs_allowed: it reads ``Positions.num_allowed``.
        needs_margins: it reads ``Positions.margin_CU``.
        needs_order: blocks must come in the order of the positions.
    """

    @property
    def is_likelihood(self) -> bool:
        return False

    @property
    def needs_rest(self) -> bool:
        return False

    @property
    def needs_allowed(self) -> bool:
        return False

    @property
    def needs_margins(self) -> bool:
        return False

    @property
    def needs_order(self) -> bool:
        return False

    def for_batch(self, scored: Scored) -> "Rule":
        """The rule that is applied to the blocks of one batch; called once a batch."""
        return self

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        """The loss and its gradient at some positions of the batch."""
        raise NotImplementedError


def likelihood(positions: Positions, want_gradient: bool) -> PositionLoss:
    """Maximum likelihood: what every objective is under its neutral setting."""
    if not want_gradient:
        return PositionLoss(-positions.logp_y_C)
    one_C = torch.ones_like(positions.logp_y_C)
    return PositionLoss(-positions.logp_y_C, one_C, positions.logp_y_C.exp() - 1.0, positions.p_seen_CU)


class LikelihoodRule(Rule):
    """Maximum likelihood and nothing else."""

    @property
    def is_likelihood(self) -> bool:
        return True

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        return likelihood(positions, want_gradient)


class BlockResult(NamedTuple):
    """Of one block, each ``(C,)``: 0 or False where a position is not scored."""

    loss_C: torch.Tensor
    nll_C: torch.Tensor
    correct_C: torch.Tensor
    novel_C: torch.Tensor
    predicted_C: torch.Tensor | None
    rank_C: torch.Tensor | None


def block_to_gradient(
    z_CV: torch.Tensor,
    positions_C: torch.Tensor,
    scored: Scored,
    rule: Rule,
    num_allowed: int | torch.Tensor | None,
    want_gradient: bool,
    want_predictions: bool,
) -> BlockResult:
    """Apply a rule to a block of logits and put dloss/dlogits in their place.

    Args:
        z_CV: float32 or float64, -inf at symbols without probability; overwritten, by the gradient or by
            something without meaning.
        positions_C: int64, the flat positions of the block.
        scored: what the positions belong to.
        rule: the objective.
        num_allowed: for the rule.
        want_gradient, want_predictions: what is to be computed besides the loss.

    Raises:
        ValueError: on the CPU, a target with probability 0.
    """
    if scored.allowed is not None:
        scored.allowed.forbid(z_CV, positions_C)
        if rule.needs_allowed and num_allowed is not None:
            num_allowed = scored.allowed.counts(positions_C, num_allowed)
    scored_C = scored.scored_N[positions_C]
    target_C = scored.target_N[positions_C].masked_fill_(~scored_C, 0)
    tokens_CU, seen_CU = scored.seen.at(positions_C)
    is_y_CU = tokens_CU == target_C[:, None]
    y_seen_C = (is_y_CU & seen_CU).any(dim=1)

    z_y_C1 = z_CV.gather(1, target_C[:, None])
    margin_CU = z_CV.gather(1, tokens_CU) - z_y_C1 if rule.needs_margins else None
    rank_C = (z_CV > z_y_C1).sum(dim=1) + 1 if want_predictions else None
    argmax_C1 = arg_max(z_CV)[:, None]
    top_C1 = z_CV.gather(1, argmax_C1)
    torch.softmax(z_CV, dim=1, out=z_CV)
    p_max_C1 = z_CV.gather(1, argmax_C1)
    logp_y_C = torch.where(scored_C, (z_y_C1 + (p_max_C1.log() - top_C1))[:, 0], 0.0)
    if z_CV.device.type == "cpu":
        refuse_impossible_targets(logp_y_C, target_C)
    positions = Positions(
        positions_C,
        target_C,
        tokens_CU,
        seen_CU,
        y_seen_C,
        logp_y_C,
        z_CV.gather(1, tokens_CU),
        argmax_C1[:, 0],
        p_max_C1[:, 0],
        _rest(z_CV, argmax_C1, p_max_C1) if rule.needs_rest else None,
        num_allowed,
        margin_CU,
    )
    answer = rule(positions, want_gradient)
    if want_gradient:
        symbols = torch.cat([target_C[:, None], tokens_CU], dim=1)
        _write_gradient(z_CV, symbols, is_y_CU | ~seen_CU, scored_C, logp_y_C, answer)
    argmax_C = argmax_C1[:, 0]
    return BlockResult(
        torch.where(scored_C, answer.loss_C, 0.0),
        -logp_y_C,
        (argmax_C == target_C) & scored_C,
        scored_C & ~y_seen_C,
        argmax_C if want_predictions else None,
        rank_C,
    )


def _rest(p_CV: torch.Tensor, argmax_C1: torch.Tensor, p_max_C1: torch.Tensor) -> torch.Tensor:
    """1 - p_max as the sum of the others: 1 minus a float32 near 1 would keep no digit of it."""
    p_CV.scatter_(1, argmax_C1, 0.0)
    rest_C = p_CV.sum(dim=1)
    p_CV.scatter_(1, argmax_C1, p_max_C1)
    return rest_C


def _write_gradient(
    p_CV: torch.Tensor,
    symbols: torch.Tensor,
    elsewhere_CU: torch.Tensor,
    scored_C: torch.Tensor,
    logp_y_C: torch.Tensor,
    answer: PositionLoss,
) -> None:
    """p * dense, then the exact values at target and seen tokens.

    Set and not added: near p = 1 the dense part and a correction would be large and cancel. Unused places of
    the list of seen tokens point to the target and repeat its value.
    """
    assert answer.dense_C is not None and answer.at_y_C is not None and answer.at_seen_CU is not None
    scored_C1 = scored_C[:, None]
    # A target without probability must never train silently: 0 * -inf is NaN, and the trainer's check of the
    # gradients stops the update (on the CPU the target was refused by name). Elsewhere this adds 0.
    alarm_C = 0.0 * logp_y_C
    p_CV *= torch.where(scored_C1, (answer.dense_C + alarm_C)[:, None], 0.0)
    at_y_C1 = (answer.at_y_C + alarm_C)[:, None]
    at_seen_CU = torch.where(elsewhere_CU, at_y_C1, answer.at_seen_CU)
    values = torch.where(scored_C1, torch.cat([at_y_C1, at_seen_CU], dim=1), 0.0)
    symbols[:, 1:] = torch.where(elsewhere_CU, symbols[:, :1], symbols[:, 1:])
    p_CV.scatter_(1, symbols, values)


def refuse_impossible_targets(logp_y_N: torch.Tensor, target_N: torch.Tensor) -> None:
    """Name a target that the model gives no probability. Reads the values: meant for tensors on the CPU.

    Raises:
        ValueError: naming the first such token.
    """
    _refuse_targets(target_N[logp_y_N == -math.inf])


def refuse_targets_outside(target_N: torch.Tensor, low: int, high: int) -> None:
    """Name a target that is none of the symbols ``low <= symbol < high``, which alone have a probability.

    Raises:
        ValueError: naming the first such token.
    """
    _refuse_targets(target_N[(target_N < low) | (target_N >= high)])


def _refuse_targets(impossible_K: torch.Tensor) -> None:
    if impossible_K.numel():
        raise ValueError(
            f"target token {int(impossible_K[0])} has probability 0: the output layer bans it or its logit "
            "is -inf. Prepare the data again with this model's dictionary, or do not score the position"
        )
