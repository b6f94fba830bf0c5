"""DITTO's penalty on repeated sentences, as a rule of :mod:`fairseq_plugin.core.position_rules`.

Xu et al., "Learning to Break the Loop: Analyzing and Mitigating Repetitions for Neural Text Generation"
(NeurIPS 2022, arXiv 2206.02369): a sentence of a text is repeated until the window is full; with p_n the
probability of one of its tokens in the n-th repetition and p_(n-1) that of the same token one repetition
earlier, from which no gradient flows,

    loss = -log(1 - |p_n - lambda p_(n-1)|)        for n >= 1; the sentence itself (n = 0) is only read

With b = lambda p_(n-1), s = sign(p - b) and rest = 1 - p,

    1 - |p - b| = rest + b   (p >= b)   or   (1 - b) + p   (p < b)
    dloss/dz_v = s p ([v = y] - p_v) / (1 - |p - b|)

rest is the sum of all other probabilities where y is the most probable token, so that no digit is lost near
p = 1; it is not let below 2^-100, as in :mod:`fairseq_plugin.core.unlikelihood_rule`. Positions are visited
in order, and an earlier repetition stands before: one pass is enough, nothing of B x T x V is held.

Legend: N = B * T positions, C positions of a block.
"""

import torch

from fairseq_plugin.core.position_rules import PositionLoss, Positions, Rule, Scored
from fairseq_plugin.core.unlikelihood_rule import SMALLEST_REST

NOT_REPEATED = -1


def check_ditto_lambda(decay: float) -> None:
    """Refuse a factor that has no meaning.

    Raises:
        ValueError: outside [0, 1].
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"--ditto-lambda {decay}: must be in [0, 1], what is left of a token's probability at the next "
            "repetition; 0.5 is published"
        )


class DittoRule(Rule):
    """The module's formulas.

    Args:
        decay: lambda, in [0, 1].
        earlier_BT: int64 ``(B, T)``: where in its text the target stood one repetition earlier, a smaller
            position that is scored too; ``NOT_REPEATED`` = no loss here.

    Raises:
        ValueError: lambda out of range.
    """

    def __init__(self, decay: float, earlier_BT: torch.Tensor) -> None:
        check_ditto_lambda(decay)
        self.decay, self.earlier_BT = decay, earlier_BT

    @property
    def needs_rest(self) -> bool:
        return True

    def for_batch(self, scored: Scored) -> Rule:
        return _OfBatch(self.decay, self.earlier_BT)

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        raise AssertionError("for_batch makes the rule that is applied")


class _OfBatch(Rule):
    """The rule of one batch, which keeps the probabilities that later repetitions are held against."""

    def __init__(self, decay: float, earlier_BT: torch.Tensor) -> None:
        num_texts, num_positions = earlier_BT.shape
        first_B1 = torch.arange(num_texts, device=earlier_BT.device)[:, None] * num_positions
        self.earlier_N = torch.where(earlier_BT < 0, NOT_REPEATED, earlier_BT + first_B1).flatten()
        self.decay = decay
        self._p_N: torch.Tensor | None = None
        self._rest_N: torch.Tensor | None = None

    @property
    def needs_rest(self) -> bool:
        return True

    @property
    def needs_order(self) -> bool:
        return True  # an earlier repetition is visited before

    def __call__(self, positions: Positions, want_gradient: bool) -> PositionLoss:
        """The loss and its gradient; 0 where nothing is repeated."""
        p_C = positions.logp_y_C.exp()
        assert positions.rest_C is not None  # the rule asks for it
        is_top_C = positions.target_C == positions.argmax_C
        rest_C = torch.where(is_top_C, positions.rest_C, 1.0 - p_C).clamp(min=SMALLEST_REST)
        earlier_C = self.earlier_N[positions.index_C]
        p_before_C, rest_before_C = self._remember(positions.index_C, p_C, rest_C, earlier_C)
        repeated_C = earlier_C >= 0
        b_C = self.decay * p_before_C
        sign_C = torch.where(repeated_C, (p_C - b_C).sign(), 0.0)
        not_b_C = (1.0 - self.decay) + self.decay * rest_before_C  # 1 - b with all its digits
        room_C = torch.where(sign_C < 0, not_b_C + p_C, rest_C + b_C).clamp(min=SMALLEST_REST, max=1.0)
        loss_C = torch.where(repeated_C, -room_C.log(), 0.0)
        if not want_gradient:
            return PositionLoss(loss_C)
        dense_C = -sign_C * p_C / room_C
        at_y_C = sign_C * p_C * (rest_C / room_C)
        return PositionLoss(loss_C, dense_C, at_y_C, positions.p_seen_CU * dense_C[:, None])

    def _remember(
        self, index_C: torch.Tensor, p_C: torch.Tensor, rest_C: torch.Tensor, earlier_C: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Note p and 1 - p of these positions; those of the earlier ones."""
        if self._p_N is None or self._rest_N is None:
            self._p_N, self._rest_N = p_C.new_zeros(len(self.earlier_N)), p_C.new_ones(len(self.earlier_N))
        self._p_N[index_C], self._rest_N[index_C] = p_C, rest_C
        earlier_C = earlier_C.clamp(min=0)
        return self._p_N[earlier_C], self._rest_N[earlier_C]
