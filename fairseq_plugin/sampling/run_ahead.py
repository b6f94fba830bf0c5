"""Steps that slots with one sample each take on the device, several before the host looks at what they drew.

Most slots hold one sample after the first tokens of its text. Such a slot needs no decision of the host: what
it draws is what it reads next. Here it draws, appends and ends on the device, step after step; the other
slots stand still, and so does one whose text has ended or whose draw needs the host (a wide nucleus, damaged
logits). A slot that stands still reads its next token again and again, which changes nothing. The texts are
those of single steps, for the numbers drawn with are keyed by sample and step.

Legend: S slots, R rows of a product (live slots and some spare ones), L live slots, K steps.
"""

import torch

from fairseq_plugin.core.captured import Captured
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import OfLength
from fairseq_plugin.sampling.next_token import NextToken
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.sampling.slots import Slots

# Below this share of slots that can run ahead the others would stand still for too little.
_LEAST_SHARE = 0.5


class RunAhead:
    """Args:
        model, request, slots: of the pool.
        num_steps: K, >= 1.

    Raises:
        ValueError: a constraint has to see each token; see :func:`can_run_ahead`.
    """

    def __init__(self, model: GPT2, request: DecodingRequest, slots: Slots, num_steps: int) -> None:
        self._model, self._request, self._slots, self.num_steps = model, request, slots, num_steps
        self._device, num_slots = model.wte.weight.device, slots.num_slots
        self._next = NextToken(model, request)
        self._constraints: list[OfLength] = []
        for one in request.start_constraints([[request.end]], self._device):
            if not isinstance(one, OfLength):
                raise ValueError(f"slots cannot run ahead: {type(one).__name__} has to see each token")
            self._constraints.append(one)
        # Of each slot: the token to read, its place, tokens drawn, id of the sample, whether it goes on, and
        # tokens drawn in this run. They never move: a recorded step writes where it was recorded to.
        self._state_6S = torch.zeros(6, num_slots, dtype=torch.int64, device=self._device)
        self._tokens_SK = torch.zeros(num_slots, num_steps, dtype=torch.int64, device=self._device)
        self._scores_SK = torch.zeros(num_slots, num_steps, device=self._device)
        self._step = Captured(self._take_step, [self._state_6S], self._device)

    def pays(self) -> bool:
        """Whether enough live slots can run ahead now."""
        return int(self._ready_L().sum()) >= _LEAST_SHARE * self._slots.num_live

    def run(self) -> torch.Tensor:
        """Take K steps.

        Returns:
            int64 ``(L,)``, on the CPU: how many tokens each slot has drawn. Fewer than K: its text has ended,
            or it needs a step of the host.
        """
        slots, num_live, num_rows = self._slots, self._slots.num_live, self._slots.cache.num_slots
        state_6R = torch.zeros(6, num_rows, dtype=torch.int64)
        state_6R[0], state_6R[1] = slots.next_tokens()
        state_6R[2, :num_live], state_6R[3, :num_live] = slots.known_S[:num_live], slots.first_id_S[:num_live]
        state_6R[4, :num_live] = self._ready_L()
        slots.cache.longest = int(state_6R[1].max())
        num_attended = slots.cache.room(min(self.num_steps, slots.cache.capacity - slots.cache.longest))
        self._state_6S[:, :num_rows].copy_(state_6R)
        for _ in range(self.num_steps):
            self._step(num_rows, num_attended)
        # Everything in one copy: each waits for the device.
        parts = [self._tokens_SK.int(), self._scores_SK.view(torch.int32), self._state_6S[5:].int().t()]
        found_LX = torch.cat(parts, 1)[:num_live].cpu()
        tokens_LK, scores_LK, num_L1 = found_LX.split([self.num_steps, self.num_steps, 1], 1)
        num_L = num_L1.squeeze(1).long()
        # What moves slots goes by the cache's own count.
        state_6R[1, :num_live] += num_L
        slots.cache.longest, slots.cache.lengths = int(state_6R[1].max()), state_6R[1].to(self._device)
        slots.advance(num_L, tokens_LK.long(), scores_LK.contiguous().view(torch.float32))
        return num_L

    def _ready_L(self) -> torch.Tensor:
        """Slots with one sample, all but the last token of whose text is read."""
        slots, live = self._slots, slice(self._slots.num_live)
        return (slots.sizes_S[live] == 1) & (slots.read_S[live] + 1 == slots.known_S[live])

    def _take_step(self, num_rows: int, num_attended: int) -> None:
        """Read, draw, append. No value is asked for and no shape depends on one: see ``Captured``."""
        token_R, place_R, known_R, id_R, going_R, num_R = self._state_6S[:, :num_rows]
        hidden_RD = self._model.read_next(token_R, place_R, self._slots.cache, num_attended)
        logits_RV = self._model.logits(hidden_RD, padded=True).float()
        drawn_R, score_R, counts_R = self._next.of_lone(logits_RV, self._constraints, id_R, known_R)
        # A slot that stands still writes behind what it has drawn, where nobody looks.
        at_R1 = num_R.unsqueeze(1)
        self._tokens_SK[:num_rows].scatter_(1, at_R1, drawn_R.unsqueeze(1))
        self._scores_SK[:num_rows].scatter_(1, at_R1, score_R.unsqueeze(1))
        takes_R = going_R.bool() & counts_R
        token_R.copy_(torch.where(takes_R, drawn_R, token_R))
        for of_R in (place_R, known_R, num_R):
            of_R += takes_R
        going_R.copy_(takes_R & (drawn_R != self._request.end) & (known_R < self._request.max_new))


def can_run_ahead(request: DecodingRequest, device: torch.device) -> bool:
    """Whether no constraint has to see each token."""
    return all(isinstance(one, OfLength) for one in request.start_constraints([[request.end]], device))
