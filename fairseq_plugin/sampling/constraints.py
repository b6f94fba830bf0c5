"""Tokens that may not come next: one protocol, which every decoder follows for a list of constraints.

A constraint keeps what it must know of each slot. A decoder calls, once per step, ``forbid`` on the logits
from which the next tokens are chosen and then ``append`` with the tokens that were; ``keep`` where slots are
dropped, repeated or reordered; and ``replace`` where a new sample starts in a slot whose old one has ended.

Symbols that never have a probability (``GPT2.banned``) are not a constraint: they belong to the distribution
that losses and scores share. Scores are taken before anything is forbidden here.

Legend: S slots, T tokens of the texts so far, W windows of n tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch

Prompts = Sequence[Sequence[int]]
_NO_TOKEN = -1


class Constraint(Protocol):
    """The state of one constraint for all slots of a decoder."""

    def forbid(self, logits_SV: torch.Tensor) -> None:
        """Set the logits of the tokens that may not come next to -inf, in place."""
        ...

    def append(self, tokens_S: torch.Tensor) -> None:
        """Take note of the token that each slot's text goes on with."""
        ...

    def keep(self, slots_S: torch.Tensor) -> None:
        """Make slot i what slot ``slots_S[i]`` was."""
        ...

    def replace(self, slots_S: torch.Tensor, prompts: Prompts) -> None:
        """Start anew in some slots, with one prompt for each."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A constraint that can start in the middle of a text.

    Where it cannot, the sampler lets it follow the text from its beginning, which costs a step per token.
    """

    def resume(self, slots_S: torch.Tensor, prompts: Prompts, new: Prompts) -> None:
        """``replace``, and then for each of these slots ``append`` of its new tokens so far."""
        ...


@runtime_checkable
class OfLength(Protocol):
    """A constraint that looks at nothing but how many new tokens a text has.

    Slots may run ahead under it (:mod:`run_ahead`): no call asks the device for a value.
    """

    def forbid_at(self, logits_SV: torch.Tensor, num_new_S: torch.Tensor) -> None:
        """``forbid`` where each slot's text has so many new tokens, whatever was appended before."""
        ...

    def advance(self, num_S: torch.Tensor) -> None:
        """Take note that each slot's text goes on with so many tokens."""
        ...

    def resume_at(self, slots_S: torch.Tensor, num_new: Sequence[int]) -> None:
        """``Resumable.resume`` where texts have so many new tokens."""
        ...


@runtime_checkable
class PartOfTheModel(Protocol):
    """A constraint that the model was trained under: scores are taken after it, not before."""

    @property
    def part_of_the_model(self) -> bool: ...


def is_part_of_the_model(constraint: object) -> bool:
    """Whether a constraint belongs to the distribution that losses and scores share."""
    return isinstance(constraint, PartOfTheModel) and constraint.part_of_the_model


# Makes a constraint for slots that begin with these prompts, on the device of the logits.
ConstraintMaker = Callable[[Prompts, torch.device], Constraint]


class ForbiddenSymbols:
    """Symbols that may never be chosen.

    Args:
        symbols: their indices.
        device: of the logits.
    """

    def __init__(self, symbols: Sequence[int], device: torch.device) -> None:
        self._symbols = torch.tensor(symbols, dtype=torch.int64, device=device)

    def forbid(self, logits_SV: torch.Tensor) -> None:
        logits_SV.index_fill_(1, self._symbols, -torch.inf)

    def forbid_at(self, logits_SV: torch.Tensor, num_new_S: torch.Tensor) -> None:
        self.forbid(logits_SV)

    def append(self, tokens_S: torch.Tensor) -> None:
        """Nothing to note."""

    def advance(self, num_S: torch.Tensor) -> None:
        """Nothing to note."""

    def resume_at(self, slots_S: torch.Tensor, num_new: Sequence[int]) -> None:
        """All slots are alike."""

    def keep(self, slots_S: torch.Tensor) -> None:
        """All slots are alike."""

    def replace(self, slots_S: torch.Tensor, prompts: Prompts) -> None:
        """All slots are alike."""

    def resume(self, slots_S: torch.Tensor, prompts: Prompts, new: Prompts) -> None:
        """All slots are alike."""


class MinimumLength:
    """No end before a text has ``min_new`` new tokens.

    Args:
        num_slots: S.
        end: the token that ends a text.
        min_new: >= 0.
        device: of the logits.
    """

    def __init__(self, num_slots: int, end: int, min_new: int, device: torch.device) -> None:
        self._end, self._min_new = end, min_new
        self._num_new_S = torch.zeros(num_slots, dtype=torch.int64, device=device)
        self._steps_left = min_new  # known on the host: afterwards every text is long enough

    def forbid(self, logits_SV: torch.Tensor) -> None:
        if self._steps_left > 0:
            self.forbid_at(logits_SV, self._num_new_S)

    def forbid_at(self, logits_SV: torch.Tensor, num_new_S: torch.Tensor) -> None:
        logits_SV[:, self._end].masked_fill_(num_new_S < self._min_new, -torch.inf)

    def append(self, tokens_S: torch.Tensor) -> None:
        if self._steps_left > 0:
            self._num_new_S = self._num_new_S + 1
            self._steps_left -= 1

    def advance(self, num_S: torch.Tensor) -> None:
        self._num_new_S = self._num_new_S + num_S

    def keep(self, slots_S: torch.Tensor) -> None:
        self._num_new_S = self._num_new_S[slots_S]

    def replace(self, slots_S: torch.Tensor, prompts: Prompts) -> None:
        self.resume(slots_S, prompts, [()] * len(prompts))

    def resume(self, slots_S: torch.Tensor, prompts: Prompts, new: Prompts) -> None:
        self.resume_at(slots_S, [len(tokens) for tokens in new])

    def resume_at(self, slots_S: torch.Tensor, num_new: Sequence[int]) -> None:
        self._num_new_S[slots_S] = torch.tensor(num_new, device=self._num_new_S.device)
        self._steps_left = max(self._steps_left, self._min_new - min(num_new))


class _OfTexts:
    """The texts of all slots, for constraints that look at what stands there.

    Args:
        prompts: one per slot.
        room: tokens, at least.
        max_new: most tokens that will follow a prompt.
        device: of the logits.
    """

    def __init__(self, prompts: Prompts, room: int, max_new: int, device: torch.device) -> None:
        self._max_new = max_new
        self._lengths_S = torch.zeros(len(prompts), dtype=torch.int64, device=device)
        self._texts_ST = torch.full((len(prompts), room), _NO_TOKEN, device=device)
        self.replace(torch.arange(len(prompts), device=device), prompts)

    def append(self, tokens_S: torch.Tensor) -> None:
        self._texts_ST.scatter_(1, self._lengths_S.unsqueeze(1), tokens_S.unsqueeze(1))
        self._lengths_S = self._lengths_S + 1

    def keep(self, slots_S: torch.Tensor) -> None:
        self._texts_ST, self._lengths_S = self._texts_ST[slots_S], self._lengths_S[slots_S]

    def resume(self, slots_S: torch.Tensor, prompts: Prompts, new: Prompts) -> None:
        self.replace(slots_S, [(*prompt, *tokens) for prompt, tokens in zip(prompts, new, strict=True)])

    def replace(self, slots_S: torch.Tensor, prompts: Prompts) -> None:
        device = self._texts_ST.device
        missing = max(map(len, prompts)) + self._max_new - self._texts_ST.shape[1]
        if missing > 0:
            self._texts_ST = torch.nn.functional.pad(self._texts_ST, (0, missing), value=_NO_TOKEN)
        width = self._texts_ST.shape[1]
        padded = [list(prompt) + [_NO_TOKEN] * (width - len(prompt)) for prompt in prompts]
        self._texts_ST[slots_S] = torch.tensor(padded, device=device)
        self._lengths_S[slots_S] = torch.tensor([len(prompt) for prompt in prompts], device=device)


class NoRepeatNGrams(_OfTexts):
    """No n-gram twice in a text, its prompt counted in (Paulus et al. 2017, section 2.5).

    Args:
        prompts: one per slot.
        n: length of the n-grams, >= 1.
        max_new: most tokens that will follow a prompt.
        device: of the logits.
    """

    def __init__(self, prompts: Prompts, n: int, max_new: int, device: torch.device) -> None:
        self._n = n
        super().__init__(prompts, n, max_new, device)  # room for one window at least

    def forbid(self, logits_SV: torch.Tensor) -> None:
        """A token is forbidden where the last n - 1 tokens of the text occur earlier in it and are followed
        by that token there."""
        windows_SWN = self._texts_ST.unfold(1, self._n, 1)
        last_N = torch.arange(1 - self._n, 0, device=self._texts_ST.device)
        ending_SN = self._texts_ST.gather(1, (self._lengths_S.unsqueeze(1) + last_N).clamp(min=0))
        next_SW = windows_SWN[..., -1]
        # A text shorter than n has no whole window, so what clamp made of its ending does not matter.
        repeats_SW = (windows_SWN[..., :-1] == ending_SN.unsqueeze(1)).all(-1) & (next_SW != _NO_TOKEN)
        slots, windows = repeats_SW.nonzero(as_tuple=True)
        logits_SV[slots, next_SW[slots, windows]] = -torch.inf


class RepetitionPenalty(_OfTexts):
    """Tokens that stand in a text, prompt counted in, get less probable (Keskar et al. 2019, "CTRL", 4.1).

        z_v / penalty  where z_v > 0,  z_v * penalty  where z_v < 0      for each distinct token v of the text

    The paper divides all logits; a negative one would gain by that, hence the product, as elsewhere. Nothing
    is forbidden, but the logits of what is chosen may be changed: scores of continuations show it.

    Args:
        prompts: one per slot.
        penalty: >= 1; 1 changes nothing, 1.2 is the paper's.
        max_new: most tokens that will follow a prompt.
        device: of the logits.
    """

    def __init__(self, prompts: Prompts, penalty: float, max_new: int, device: torch.device) -> None:
        self._penalty = penalty
        super().__init__(prompts, 1, max_new, device)

    def forbid(self, logits_SV: torch.Tensor) -> None:
        # A token that comes twice writes the same value twice; unused places repeat the text's first token.
        tokens_ST = torch.where(self._texts_ST == _NO_TOKEN, self._texts_ST[:, :1], self._texts_ST)
        z_ST = logits_SV.gather(1, tokens_ST)
        logits_SV.scatter_(1, tokens_ST, torch.where(z_ST > 0, z_ST / self._penalty, z_ST * self._penalty))
