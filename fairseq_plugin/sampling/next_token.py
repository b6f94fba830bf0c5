"""From logits to the next token of samples, and its score: the one place where the pool draws.

Legend: L live slots, B slots that draw, M samples that draw (members, those of one slot one behind the
other), S slots with one sample each, V vocabulary in whole blocks.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import Constraint, OfLength, is_part_of_the_model
from fairseq_plugin.sampling.draw import Sampling, draw, draw_few, draw_few_gumbel, draw_gumbel, drawable
from fairseq_plugin.sampling.inverse_cdf import Blocks, Members, block_probabilities
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.request import DecodingRequest

_IDS_NAMED = 5  # in an error
_One = TypeVar("_One", Constraint, OfLength)


class NextToken:
    """Args:
    model: whose logits they are.
    request: its method is ``Sampling``.
    """

    def __init__(self, model: GPT2, request: DecodingRequest) -> None:
        assert isinstance(request.method, Sampling)
        self._vocab_size, self._device = model.config.vocab_size, model.wte.weight.device
        self._sampling, self._seed = request.method, request.seed

    def of_members(
        self,
        logits_LV: torch.Tensor,
        constraints: Sequence[Constraint],
        chosen_B: torch.Tensor | None,
        ids: list[torch.Tensor],
        steps_B: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the next token of samples.

        Args:
            logits_LV: padded; what may not be chosen is set to -inf here.
            constraints: of all L slots.
            chosen_B: the slots that draw; all, if left out.
            ids: of each of these, the ids of its samples.
            steps_B: of each, how many tokens its samples have drawn.

        Returns:
            tokens and log probabilities ``(M,)``, on the CPU.

        Raises:
            FloatingPointError: no token can be drawn for some; names the samples.
        """
        sampling, seed = self._sampling, self._seed
        blocks, forbids = self._forbid(logits_LV, constraints, lambda one, some_LV: one.forbid(some_LV))
        if chosen_B is not None:
            chosen_B = chosen_B.to(self._device)
            logits_LV, blocks = logits_LV[chosen_B], blocks.of(chosen_B)
        known = None if forbids else blocks
        counts, ids_M = [ids_N.numel() for ids_N in ids], torch.cat(ids)
        members = None if len(ids_M) == len(ids) else Members(counts)
        steps_M = steps_B.repeat_interleave(torch.tensor(counts))
        row_M = torch.arange(len(ids)) if members is None else members.rows(ids_M.device)
        valid_B = drawable(logits_LV if known is None else known.maxima_RB)
        _check_drawable(valid_B.cpu()[row_M], ids_M)
        row_M = row_M.to(self._device)
        if sampling.gumbel:
            ids_M, steps_M = ids_M.to(self._device), steps_M.to(self._device)
            tokens_M = draw_gumbel(logits_LV, seed, ids_M, steps_M, sampling, members)
        else:
            uniform_M = keyed_uniform(seed, ids_M, steps_M).to(self._device)
            tokens_M = draw(logits_LV, uniform_M, sampling, members, known)
        return tokens_M.cpu(), (logits_LV[row_M, tokens_M] - blocks.lse_R[row_M]).cpu()

    def of_lone(
        self,
        logits_SV: torch.Tensor,
        constraints: Sequence[OfLength],
        ids_S: torch.Tensor,
        steps_S: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The same for slots with one sample each, on the device and without a question to it.

        Returns:
            tokens, log probabilities, and bool: whether they count. They do not where the logits are damaged
            or a nucleus is wide: there :meth:`of_members` has to draw.
        """
        sampling = self._sampling
        blocks, forbids = self._forbid(
            logits_SV, constraints, lambda one, some_SV: one.forbid_at(some_SV, steps_S)
        )
        known = None if forbids else blocks
        if sampling.gumbel:
            tokens_S, wide_S = draw_few_gumbel(logits_SV, self._seed, ids_S, steps_S, sampling)
        else:
            uniform_S = keyed_uniform(self._seed, ids_S, steps_S)
            tokens_S, wide_S = draw_few(logits_SV, uniform_S, sampling, None, known)
        scores_S = logits_SV.gather(1, tokens_S.unsqueeze(1)).squeeze(1) - blocks.lse_R
        counts_S = drawable(logits_SV if known is None else known.maxima_RB)
        return tokens_S, scores_S, counts_S if wide_S is None else counts_S & ~wide_S

    def _forbid(
        self,
        logits_LV: torch.Tensor,
        constraints: Sequence[_One],
        forbid: Callable[[_One, torch.Tensor], None],
    ) -> tuple[Blocks, bool]:
        """Set what may not be chosen to -inf.

        Returns:
            the blocks of the model's own distribution, and whether the logits are another one's now.
        """
        real_LV = logits_LV[:, : self._vocab_size]
        others = [one for one in constraints if not is_part_of_the_model(one)]
        for one in constraints:
            if is_part_of_the_model(one):
                forbid(one, real_LV)
        blocks = block_probabilities(logits_LV, 1.0)
        for one in others:
            forbid(one, real_LV)
        return blocks, bool(others)


def _check_drawable(valid_M: torch.Tensor, ids_M: torch.Tensor) -> None:
    if valid_M.all():
        return
    wrong = sorted(ids_M[~valid_M].tolist())
    named = ", ".join(map(str, wrong[:_IDS_NAMED])) + (", ..." if len(wrong) > _IDS_NAMED else "")
    which = f"1 sample, id {named}" if len(wrong) == 1 else f"{len(wrong)} samples, ids {named}"
    raise FloatingPointError(
        f"logits hold NaN or +inf, or allow no token at all: the model is damaged ({which})"
    )
