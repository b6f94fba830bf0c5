"""Sample many texts with a GPT-2: fixed slots that are refilled at once, every shared beginning read once.

Legend: D distinct prompts, L live slots, B slots that draw, M samples that draw (members, those of one slot
one behind the other), N members of one slot, n new tokens of a text, V vocabulary in whole blocks.

All samples of a prompt start as one branch. In a step each branch is one slot, and its logits serve all its
samples: each draws with its own keyed number, and where they draw different tokens the branch parts. The
largest part keeps the slot; the others wait, and go on from a copy of the keys and values so far. So sharing
changes the cost and never the text: a sample's tokens depend on (seed, sample id, model) only, for random
numbers are keyed (:mod:`keyed_random`) and matrix products always have a multiple of eight slots
(:mod:`prefill`).

Example: 100,000 texts for each of two prompts, as they finish::

    pool = SamplePool(model, request, longest_prompt=3)
    for one in pool.run([((2, 10, 7), range(100_000)), ((2, 11, 7), range(100_000, 200_000))]):
        print(one.sample_id, one.continuation.tokens)
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.packed import packed_products
from fairseq_plugin.core.prefix import PrefixStore
from fairseq_plugin.sampling.branches import Group, Prompt, Text, Waiting, part
from fairseq_plugin.sampling.constraints import Constraint, Resumable, is_part_of_the_model
from fairseq_plugin.sampling.draw import Sampling, draw, draw_gumbel
from fairseq_plugin.sampling.inverse_cdf import Members, block_probabilities, whole_blocks
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.prefill import prefill, round_up
from fairseq_plugin.sampling.prompt_queue import PromptQueue
from fairseq_plugin.sampling.request import Continuation, DecodingRequest
from fairseq_plugin.sampling.slots import Slots

# Slots of a network as wide as GPT-2 124M. Narrower ones take more, so that the work between two steps is
# shared by more texts.
_SLOTS_ON_CPU, _SLOTS_ON_GPU, _WIDTH = 128, 1024, 768
_MOST_TIMES_AS_MANY = 4
# Keys and values of the slots, and of beginnings of texts that wait for one; beyond that they are read again.
_MOST_CACHE_BYTES = 4 << 30
_PREFIX_BYTES = 512 << 20
_IDS_NAMED = 5  # in an error


@dataclass(frozen=True)
class Sampled:
    """A text that is finished."""

    prompt: Prompt
    sample_id: int
    continuation: Continuation


@dataclass
class Counts:
    """What a pool has done so far.

    Args:
        samples: texts finished.
        steps: forward passes with one new token per slot.
        read: new tokens read, by all slots together: the forward positions that the texts have cost.
        replayed: of these, tokens that had been read before and were not kept.
        prompt_tokens: tokens of prompts read.
        most_waiting: the most branches that waited for a slot at any time.
    """

    samples: int = 0
    steps: int = 0
    read: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    most_waiting: int = 0


class SamplePool:
    """Draws samples.

    Args:
        model: in evaluation mode.
        request: limits, seed and constraints; its method is ``Sampling``. Its ``samples_per_prompt`` is not
            looked at: the ids say how many samples a prompt has.
        longest_prompt: tokens; no prompt may have more.
        num_slots: texts at once, rounded up to a multiple of eight; by the network's width if left out.
        prefix_bytes: the most memory for beginnings of texts that wait; what does not fit is read again.

    Attributes:
        counts: what it has done.

    Raises:
        ValueError: what the model cannot decode.
    """

    def __init__(
        self,
        model: GPT2,
        request: DecodingRequest,
        longest_prompt: int,
        num_slots: int | None = None,
        prefix_bytes: int = _PREFIX_BYTES,
    ) -> None:
        assert isinstance(request.method, Sampling)
        request = dataclasses.replace(request, samples_per_prompt=1)
        request.check_model(model)
        self._model, self._request = model, request
        self._device, self._longest_prompt = model.wte.weight.device, longest_prompt
        capacity = longest_prompt + request.max_new
        self._slots = Slots(model, request, round_up(num_slots or default_slots(model, capacity)), capacity)
        self._free: list[int] = []  # slots whose texts have finished in the last step
        self._waiting = Waiting()
        constraints = request.start_constraints([[request.end]], self._device)
        resumes = all(isinstance(one, Resumable) for one in constraints)
        self._store = PrefixStore(prefix_bytes if resumes else 0)
        self._finished: list[Sampled] = []
        self.counts = Counts()

    def run(self, groups: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Iterator[Sampled]:
        """Sample one text per id.

        Args:
            groups: (prompt, sample ids), taken as they are needed; with the request's seed the ids key the
                random numbers.

        Yields:
            Texts as they finish: in the same order for the same groups and slots, but not in that of the ids.

        Raises:
            ValueError: a prompt or an id that cannot be sampled.
            FloatingPointError: the model's logits are damaged, or a constraint allows no token at all.
        """
        queue = PromptQueue(groups, self._check, self._slots.num_slots)
        while True:
            if not self._waiting.num_branches and self._slots.num_live < self._slots.num_slots:
                if some := queue.take():
                    self._read_prompts(some)
                elif not self._slots.num_live:
                    return
            self._fill()
            if self._slots.num_live:
                self._step()
            self.counts.samples += len(self._finished)
            yield from self._finished
            self._finished.clear()

    def _check(self, prompt: Prompt, ids: Sequence[int]) -> None:
        self._request.check_prompts(self._model, [prompt] * len(ids), ids)
        if len(prompt) > self._longest_prompt:
            raise ValueError(
                f"a prompt has {len(prompt)} tokens; at most {self._longest_prompt} were announced"
            )

    @torch.no_grad()
    @packed_products()
    def _read_prompts(self, some: dict[Prompt, torch.Tensor]) -> None:
        """Read prompts, each once, and draw the first token of all their samples."""
        prompts, ids = list(some), list(some.values())
        read = prefill(self._model, prompts, max(map(len, prompts)))
        self.counts.prompt_tokens += sum(map(len, prompts))
        constraints = self._request.start_constraints(prompts, self._device)
        steps_D = torch.zeros(len(ids), dtype=torch.int64)
        tokens_M, scores_M = self._draw(whole_blocks(read.logits_DV), constraints, None, ids, steps_D)
        sizes = [len(ids_N) for ids_N in ids]
        drawn = zip(prompts, ids, tokens_M.split(sizes), scores_M.split(sizes), strict=True)
        for place, (prompt, ids_N, tokens_N, scores_N) in enumerate(drawn):
            prefix = self._store.take(read.cache, place, len(prompt))
            assert prefix is not None, "a prompt is never refused"
            text = Text(prompt, prefix, steps_D[:0], torch.zeros(0))
            self._waiting.push(text, self._open(text, part(ids_N, tokens_N, scores_N)))

    def _fill(self) -> None:
        """Give free slots to branches that wait; close the gaps where none wait."""
        slots, free = self._slots, self._free
        places = [*free, *range(slots.num_live, slots.num_slots)][: self._waiting.num_branches]
        if places:
            slots.fill(places, [self._waiting.pop() for _ in places])
        if len(free) > len(places):
            slots.close_gaps(free[len(places) :])
        free.clear()

    @torch.no_grad()
    @packed_products()
    def _step(self) -> None:
        """Read one token of every slot; draw where all known tokens of a text are read."""
        slots, counts = self._slots, self.counts
        logits_LV = slots.read()
        draws_L = slots.read_S[: slots.num_live] == slots.known_S[: slots.num_live]
        slot_B = draws_L.nonzero().squeeze(1)
        counts.steps += 1
        counts.read += len(draws_L)
        counts.replayed += len(draws_L) - len(slot_B)
        if not len(slot_B):
            return
        chosen_B, ids = None if draws_L.all() else slot_B, [slots.ids[slot] for slot in slot_B.tolist()]
        tokens_M, scores_M = self._draw(logits_LV, slots.constraints, chosen_B, ids, slots.known_S[slot_B])
        counts_B = torch.tensor([len(ids_N) for ids_N in ids])
        first_B, alone_B = counts_B.cumsum(0) - counts_B, counts_B == 1
        self._go_on(slot_B[alone_B], tokens_M[first_B[alone_B]], scores_M[first_B[alone_B]])
        for place in (~alone_B).nonzero().squeeze(1).tolist():
            mine = slice(int(first_B[place]), int(first_B[place] + counts_B[place]))
            self._part(int(slot_B[place]), part(ids[place], tokens_M[mine], scores_M[mine]))

    def _go_on(self, slot_B: torch.Tensor, tokens_B: torch.Tensor, scores_B: torch.Tensor) -> None:
        """Slots with one sample each go on, or their texts have ended."""
        slots, request = self._slots, self._request
        slots.go_on_alone(slot_B, tokens_B, scores_B)
        done_B = (tokens_B == request.end) | (slots.known_S[slot_B] == request.max_new)
        for slot in slot_B[done_B].tolist():
            self._finish(slots.text(slot), slots.ids[slot])
            self._free.append(slot)

    def _part(self, slot: int, groups: list[Group]) -> None:
        """The largest group goes on in the slot; the others wait."""
        slots = self._slots
        text = slots.text(slot)
        groups = self._open(text, groups)
        if not groups:
            self._free.append(slot)
            return
        largest = groups.pop()
        if groups:
            length = len(text.prompt) + len(text.tokens_n)
            if prefix := self._store.take(slots.cache, slot, length, text.prefix):
                slots.prefixes[slot] = prefix
                text = dataclasses.replace(text, prefix=prefix)
            self._waiting.push(text, groups)
        slots.go_on(slot, largest)

    def _open(self, text: Text, groups: list[Group]) -> list[Group]:
        """Finish the groups whose text ends with what they have drawn; return the others."""
        ends = [
            group.token == self._request.end or len(text.tokens_n) + 1 == self._request.max_new
            for group in groups
        ]
        for group, is_end in zip(groups, ends, strict=True):
            if is_end:
                tokens_n = torch.cat([text.tokens_n, torch.tensor([group.token])])
                scores_n = torch.cat([text.scores_n, torch.tensor([group.score])])
                self._finish(dataclasses.replace(text, tokens_n=tokens_n, scores_n=scores_n), group.ids_N)
        return [group for group, is_end in zip(groups, ends, strict=True) if not is_end]

    def _finish(self, text: Text, ids_N: torch.Tensor) -> None:
        ended = bool(text.tokens_n[-1] == self._request.end)
        found = Continuation(text.tokens_n[: len(text.tokens_n) - ended], text.scores_n, ended)
        self._finished += [Sampled(text.prompt, sample_id, found) for sample_id in ids_N.tolist()]

    def _draw(
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
        """
        sampling, seed = self._request.method, self._request.seed
        assert isinstance(sampling, Sampling)
        of_model = [one for one in constraints if is_part_of_the_model(one)]
        others = [one for one in constraints if not is_part_of_the_model(one)]
        for constraint in of_model:
            constraint.forbid(logits_LV[:, : self._model.config.vocab_size])
        blocks = block_probabilities(logits_LV, 1.0)
        lse_B = blocks.lse_R
        for constraint in others:
            constraint.forbid(logits_LV[:, : self._model.config.vocab_size])
        if chosen_B is not None:
            chosen_B = chosen_B.to(self._device)
            logits_LV, lse_B = logits_LV[chosen_B], lse_B[chosen_B]
        counts, ids_M = [len(ids_N) for ids_N in ids], torch.cat(ids)
        members = None if len(ids_M) == len(ids) else Members(counts)
        steps_M = steps_B.repeat_interleave(torch.tensor(counts))
        row_M = torch.arange(len(ids)) if members is None else members.rows(ids_M.device)
        self._check_drawable(torch.isfinite(logits_LV.amax(-1)).cpu()[row_M], ids_M)
        row_M = row_M.to(self._device)
        if sampling.gumbel:
            ids_M, steps_M = ids_M.to(self._device), steps_M.to(self._device)
            tokens_M = draw_gumbel(logits_LV, seed, ids_M, steps_M, sampling, members)
        else:
            uniform_M = keyed_uniform(seed, ids_M, steps_M).to(self._device)
            known = blocks if sampling.temperature == 1 and not others and chosen_B is None else None
            tokens_M = draw(logits_LV, uniform_M, sampling, members, known)
        return tokens_M.cpu(), (logits_LV[row_M, tokens_M] - lse_B[row_M]).cpu()

    def _check_drawable(self, valid_M: torch.Tensor, ids_M: torch.Tensor) -> None:
        if valid_M.all():
            return
        wrong = sorted(ids_M[~valid_M].tolist())
        named = ", ".join(map(str, wrong[:_IDS_NAMED])) + (", ..." if len(wrong) > _IDS_NAMED else "")
        which = f"1 sample, id {named}" if len(wrong) == 1 else f"{len(wrong)} samples, ids {named}"
        raise FloatingPointError(
            f"logits hold NaN or +inf, or allow no token at all: the model is damaged ({which})"
        )


def default_slots(model: GPT2, capacity: int) -> int:
    """Texts at once where nobody says: by device, width, and the memory that their keys and values take."""
    config, device = model.config, model.wte.weight.device
    most = _SLOTS_ON_CPU if device.type == "cpu" else _SLOTS_ON_GPU
    by_width = most * min(max(_WIDTH // config.n_embd, 1), _MOST_TIMES_AS_MANY)
    size = 2 * config.n_layer * config.n_embd * model.compute_dtype.itemsize
    by_memory = _MOST_CACHE_BYTES // (capacity * size)
    return max(min(by_width, by_memory) // 8 * 8, 8)
