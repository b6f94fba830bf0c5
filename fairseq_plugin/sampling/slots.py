"""The branches that are being read: each in a slot of the cache, one token of each per step.

Legend: S slots, L slots in use (live), R as many rounded up to a multiple of eight (the shape of the matrix
products, see :mod:`prefill`), T new tokens, V vocabulary in whole blocks. What says which token of which text
comes next is kept on the host; the device holds keys, values and logits.
"""

from collections.abc import Sequence

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.kv_cache import KVCache
from fairseq_plugin.core.prefix import Prefix, put
from fairseq_plugin.sampling.branches import Branch, Group, Prompt, Text
from fairseq_plugin.sampling.constraints import Constraint, OfLength, Resumable
from fairseq_plugin.sampling.prefill import round_up
from fairseq_plugin.sampling.request import Continuation, DecodingRequest


class Slots:
    """Args:
        model: in evaluation mode.
        request: limits and constraints.
        num_slots: S, a multiple of eight.
        capacity: tokens of the longest text, the prompt counted in.

    Attributes:
        cache: keys and values.
        prompts, prefixes, ids: of each live slot.
        first_id_S, sizes_S: int64, the first of the ids, and their number.
        tokens_ST, scores_ST: new tokens and their log probabilities.
        known_S, read_S: how many of them there are, and how many of these the network has read.
        constraints: their state of each live slot.
    """

    def __init__(self, model: GPT2, request: DecodingRequest, num_slots: int, capacity: int) -> None:
        self.num_slots, self._model, self._request = num_slots, model, request
        self._device = model.wte.weight.device
        self.cache = KVCache(model.config, num_slots, capacity, self._device, model.compute_dtype)
        self.prompts: list[Prompt] = []
        self.prefixes: list[Prefix] = []
        self.ids: list[torch.Tensor] = []
        self.constraints: list[Constraint] = []
        self.first_id_S = torch.zeros(num_slots, dtype=torch.int64)
        self.tokens_ST = torch.zeros(num_slots, request.max_new, dtype=torch.int64)
        self.scores_ST = torch.zeros(num_slots, request.max_new)
        zeros_4S = torch.zeros(4, num_slots, dtype=torch.int64)
        self.known_S, self.read_S, self.sizes_S, self._prompt_lengths_S = zeros_4S

    @property
    def num_live(self) -> int:
        return len(self.prompts)

    def fill(self, places: Sequence[int], branches: Sequence[Branch]) -> None:
        """Give slots to branches: slots that are free, and new ones behind the last one in use."""
        num_live = max(self.num_live, max(places) + 1)
        self._grow(num_live, branches[0].text)
        put([branch.text.prefix for branch in branches], self.cache, places)
        for place, branch in zip(places, branches, strict=True):
            self.prompts[place], self.prefixes[place] = branch.text.prompt, branch.text.prefix
        self._fill_texts(torch.tensor(places), [branch.text for branch in branches])
        self.go_on(places, [branch.group for branch in branches])
        self._resume(torch.tensor(places, device=self._device), [branch.text for branch in branches])

    def _resume(self, slots_S: torch.Tensor, texts: Sequence[Text]) -> None:
        """Let the constraints of slots go on with what is read of their new texts."""
        num_read = [text.prefix.length - len(text.prompt) for text in texts]
        for constraint in self.constraints:
            if isinstance(constraint, OfLength):
                constraint.resume_at(slots_S, num_read)
                continue
            prompts = [text.prompt for text in texts]
            if isinstance(constraint, Resumable):
                read = [text.tokens_n[:num].tolist() for text, num in zip(texts, num_read, strict=True)]
                constraint.resume(slots_S, prompts, read)
            else:
                constraint.replace(slots_S, prompts)

    def _fill_texts(self, place_B: torch.Tensor, texts: Sequence[Text]) -> None:
        known_B = torch.tensor([text.tokens_n.numel() for text in texts])
        prompts_B = torch.tensor([len(text.prompt) for text in texts])
        place_X = place_B.repeat_interleave(known_B)
        at_X = torch.arange(len(place_X)) - (known_B.cumsum(0) - known_B).repeat_interleave(known_B)
        self.tokens_ST[place_X, at_X] = torch.cat([text.tokens_n for text in texts])
        self.scores_ST[place_X, at_X] = torch.cat([text.scores_n for text in texts])
        self.known_S[place_B], self._prompt_lengths_S[place_B] = known_B, prompts_B
        self.read_S[place_B] = torch.tensor([text.prefix.length for text in texts]) - prompts_B

    def text(self, place: int, prefix: Prefix | None = None) -> Text:
        """What a slot's samples have in common; with another prefix than the known one."""
        known = int(self.known_S[place])
        tokens_n, scores_n = self.tokens_ST[place, :known].clone(), self.scores_ST[place, :known].clone()
        return Text(self.prompts[place], prefix or self.prefixes[place], tokens_n, scores_n)

    def continuations(
        self, slot_D: torch.Tensor, known_D: torch.Tensor, ended_D: torch.Tensor
    ) -> list[Continuation]:
        """The texts of slots, as long as they are known; where they have ended, the last token is the end."""
        counted_DT = torch.arange(self.tokens_ST.shape[1]) < known_D.unsqueeze(1)
        lengths = known_D.tolist()
        tokens = self.tokens_ST[slot_D][counted_DT].split(lengths)  # one copy, and no more than the texts
        scores = self.scores_ST[slot_D][counted_DT].split(lengths)
        return [
            Continuation(tokens_n[:-1] if ended else tokens_n, scores_n, ended)
            for tokens_n, scores_n, ended in zip(tokens, scores, ended_D.tolist(), strict=True)
        ]

    def go_on(self, places: Sequence[int], groups: Sequence[Group]) -> None:
        """Slots go on, each with one group of its samples."""
        for place, group in zip(places, groups, strict=True):
            self.ids[place] = group.ids_N
        place_B = torch.tensor(places)
        self.first_id_S[place_B] = torch.tensor([group.first_id for group in groups])
        self.sizes_S[place_B] = torch.tensor([group.ids_N.numel() for group in groups])
        tokens_B, scores_B = [group.token for group in groups], [group.score for group in groups]
        self.append(place_B, torch.tensor(tokens_B), torch.tensor(scores_B))

    def append(self, slot_B: torch.Tensor, tokens_B: torch.Tensor, scores_B: torch.Tensor) -> None:
        """Slots go on with the samples that they have."""
        known_B = self.known_S[slot_B]
        self.tokens_ST[slot_B, known_B], self.scores_ST[slot_B, known_B] = tokens_B, scores_B
        self.known_S[slot_B] = known_B + 1

    def advance(self, num_L: torch.Tensor, tokens_LK: torch.Tensor, scores_LK: torch.Tensor) -> None:
        """Slots have run ahead.

        Args:
            num_L: how many tokens each has drawn, and read as many; 0 for the others.
            tokens_LK, scores_LK: the first ``num_L`` of each row count.
        """
        live = slice(self.num_live)
        place_X, k_X = (torch.arange(tokens_LK.shape[1]) < num_L.unsqueeze(1)).nonzero(as_tuple=True)
        at_X = self.known_S[place_X] + k_X
        self.tokens_ST[place_X, at_X], self.scores_ST[place_X, at_X] = (
            tokens_LK[place_X, k_X],
            scores_LK[place_X, k_X],
        )
        self.known_S[live] += num_L
        self.read_S[live] += num_L
        for constraint in self.constraints:
            assert isinstance(constraint, OfLength)
            constraint.advance(num_L.to(self._device))

    def _grow(self, num_live: int, text: Text) -> None:
        have, more = self.num_live, num_live - self.num_live
        if more == 0:
            return
        self.prompts += [text.prompt] * more
        self.prefixes += [text.prefix] * more
        self.ids += [self.first_id_S] * more
        self.cache.resize(self._num_rows(num_live))
        if have == 0:
            self.constraints = self._request.start_constraints(self.prompts, self._device)
            return
        kept_L = torch.arange(num_live, device=self._device).clamp(max=have - 1)
        for constraint in self.constraints:
            constraint.keep(kept_L)

    def close_gaps(self, free: Sequence[int]) -> None:
        """Give up some slots: the last ones in use take their places."""
        num_live, gone = self.num_live - len(free), set(free)
        moved = [place for place in range(num_live, self.num_live) if place not in gone]
        kept = list(range(num_live))
        for target in sorted(gone):
            if target < num_live:
                kept[target] = moved.pop()
        self.prompts = [self.prompts[place] for place in kept]
        self.prefixes = [self.prefixes[place] for place in kept]
        self.ids = [self.ids[place] for place in kept]
        if not kept:
            self.cache.resize(self._num_rows(1))
            return
        kept_L = torch.tensor(kept)
        for of_S in (self.first_id_S, self.tokens_ST, self.scores_ST):
            of_S[:num_live] = of_S[kept_L]
        for of_S in (self.known_S, self.read_S, self.sizes_S, self._prompt_lengths_S):
            of_S[:num_live] = of_S[kept_L]
        kept_L = kept_L.to(self._device)
        self.cache.keep(kept_L)
        self.cache.resize(self._num_rows(num_live))
        for constraint in self.constraints:
            constraint.keep(kept_L)

    def _num_rows(self, num_live: int) -> int:
        """Slots that take part in products: on a GPU in few different numbers, for steps are recorded there
        by their shapes."""
        if self._device.type == "cpu":
            return round_up(num_live)
        return min(max(1 << (num_live - 1).bit_length(), 8), self.num_slots)

    def next_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token to read of each slot in the products, and its place in the text; int64 ``(R,)``."""
        tokens_R, lengths_R = torch.zeros(2, self.cache.num_slots, dtype=torch.int64)  # spare ones: as empty
        live = slice(self.num_live)
        tokens_R[live] = self.tokens_ST[live].gather(1, self.read_S[live].unsqueeze(1)).squeeze(1)
        lengths_R[live] = self._prompt_lengths_S[live] + self.read_S[live]
        return tokens_R, lengths_R

    def read(self) -> torch.Tensor:
        """Read the next token of each live slot.

        Returns:
            padded float32 logits ``(L, V)`` of the token after it.
        """
        num_live = self.num_live
        tokens_R, lengths_R = self.next_tokens()
        self.cache.longest, self.cache.lengths = int(lengths_R.max()), lengths_R.to(self._device)
        tokens_R = tokens_R.to(self._device)
        for constraint in self.constraints:
            constraint.append(tokens_R[:num_live])
        hidden_R1D = self._model(tokens_R.unsqueeze(1), cache=self.cache)
        self.read_S[:num_live] += 1
        return self._model.logits(hidden_R1D[:, -1], padded=True).float()[:num_live]
