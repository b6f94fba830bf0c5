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
from fairseq_plugin.sampling.constraints import Resumable
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.inverse_cdf import whole_blocks
from fairseq_plugin.sampling.next_token import NextToken
from fairseq_plugin.sampling.prefill import prefill, round_up
from fairseq_plugin.sampling.prompt_queue import PromptQueue
from fairseq_plugin.sampling.request import Continuation, DecodingRequest
from fairseq_plugin.sampling.run_ahead import RunAhead, can_run_ahead
from fairseq_plugin.sampling.slots import Slots

# Slots of a network as wide as GPT-2 124M. Narrower ones take more, so that the work between two steps is
# shared by more texts.
_SLOTS_ON_CPU, _SLOTS_ON_GPU, _WIDTH = 128, 2048, 768
_MOST_TIMES_AS_MANY = 4
# Keys and values of the slots, and of beginnings of texts that wait for one; beyond that they are read again.
_MOST_CACHE_BYTES, _SHARE_OF_GPU_MEMORY = 4 << 30, 0.25
_PREFIX_BYTES = 512 << 20
# Steps that slots with one sample take before the host looks: on a GPU the look costs more than a step, and a
# text that has ended meanwhile wastes the rest of them.
_STEPS_AHEAD_ON_GPU = 4


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
        idle: positions of steps that ran ahead in slots that stood still.
        looks: times that the host has waited for tokens, a step of its own or several that ran ahead.
        prompt_tokens: tokens of prompts read.
        most_waiting: the most branches that waited for a slot at any time.
    """

    samples: int = 0
    steps: int = 0
    read: int = 0
    replayed: int = 0
    idle: int = 0
    looks: int = 0
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
        steps_ahead: steps that slots with one sample take on the device between two looks of the host
            (:mod:`run_ahead`), 0 for none; by the device and the constraints if left out. It changes no text.

    Attributes:
        counts: what it has done.

    Raises:
        ValueError: what the model cannot decode, or steps ahead under a constraint that sees each token.
    """

    def __init__(
        self,
        model: GPT2,
        request: DecodingRequest,
        longest_prompt: int,
        num_slots: int | None = None,
        prefix_bytes: int = _PREFIX_BYTES,
        steps_ahead: int | None = None,
    ) -> None:
        assert isinstance(request.method, Sampling)
        request = dataclasses.replace(request, samples_per_prompt=1)
        request.check_model(model)
        self._model, self._request = model, request
        self._device, self._longest_prompt = model.wte.weight.device, longest_prompt
        capacity = longest_prompt + request.max_new
        self._slots = Slots(model, request, round_up(num_slots or default_slots(model, capacity)), capacity)
        self._free: list[int] = []  # slots whose texts have finished in the last step
        self._waiting, self._next = Waiting(), NextToken(model, request)
        if steps_ahead is None:
            on_gpu = self._device.type == "cuda" and can_run_ahead(request, self._device)
            steps_ahead = _STEPS_AHEAD_ON_GPU if on_gpu else 0
        self._ahead = RunAhead(model, request, self._slots, steps_ahead) if steps_ahead else None
        self._ran_ahead = False  # and some slots wait for a step of the host
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
                if self._ahead and not self._ran_ahead and self._ahead.pays():
                    self._run_ahead(self._ahead)
                else:
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
        logits_DV = whole_blocks(read.logits_DV)
        tokens_M, scores_M = self._next.of_members(logits_DV, constraints, None, ids, steps_D)
        parted = part(torch.cat(ids), tokens_M, scores_M, [ids_N.numel() for ids_N in ids])
        for place, (prompt, groups) in enumerate(zip(prompts, parted, strict=True)):
            prefix = self._store.take(read.cache, place, len(prompt))
            assert prefix is not None, "a prompt is never refused"
            text = Text(prompt, prefix, steps_D[:0], torch.zeros(0))
            self._waiting.push(text, self._open(text, groups))

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
        self._ran_ahead = False
        logits_LV = slots.read()
        draws_L = slots.read_S[: slots.num_live] == slots.known_S[: slots.num_live]
        slot_B = draws_L.nonzero().squeeze(1)
        counts.steps += 1
        counts.looks += 1
        counts.read += len(draws_L)
        counts.replayed += len(draws_L) - len(slot_B)
        if not len(slot_B):
            return
        chosen_B, ids = None if draws_L.all() else slot_B, [slots.ids[slot] for slot in slot_B.tolist()]
        tokens_M, scores_M = self._next.of_members(
            logits_LV, slots.constraints, chosen_B, ids, slots.known_S[slot_B]
        )
        sizes_B = slots.sizes_S[slot_B]
        first_B, alone_B = sizes_B.cumsum(0) - sizes_B, sizes_B == 1
        self._go_on(slot_B[alone_B], tokens_M[first_B[alone_B]], scores_M[first_B[alone_B]])
        parts_B = ~alone_B
        if parts_B.any():
            parts_M = parts_B.repeat_interleave(sizes_B)
            ids_M = torch.cat([ids[place] for place in parts_B.nonzero().squeeze(1).tolist()])
            groups = part(ids_M, tokens_M[parts_M], scores_M[parts_M], sizes_B[parts_B].tolist())
            self._part(list(zip(slot_B[parts_B].tolist(), groups, strict=True)))

    @torch.no_grad()
    @packed_products()
    def _run_ahead(self, ahead: RunAhead) -> None:
        """Several steps of the slots with one sample each; the others get one of the host afterwards."""
        num_L = ahead.run()
        self.counts.steps += ahead.num_steps
        self.counts.looks += 1
        self.counts.read += int(num_L.sum())
        self.counts.idle += len(num_L) * ahead.num_steps - int(num_L.sum())
        ended_L = self._finish_alone(num_L.nonzero().squeeze(1))
        self._ran_ahead = bool(((num_L < ahead.num_steps) & ~ended_L).any())

    def _go_on(self, slot_B: torch.Tensor, tokens_B: torch.Tensor, scores_B: torch.Tensor) -> None:
        """Slots with one sample each go on, or their texts have ended."""
        self._slots.append(slot_B, tokens_B, scores_B)
        self._finish_alone(slot_B)

    def _finish_alone(self, slot_B: torch.Tensor) -> torch.Tensor:
        """Finish the texts that have ended in slots with one sample each.

        Returns:
            bool ``(L,)``: whose have.
        """
        slots, request = self._slots, self._request
        known_B = slots.known_S[slot_B]
        ended_B = slots.tokens_ST[slot_B, known_B - 1] == request.end
        done_B = ended_B | (known_B == request.max_new)
        slot_D, known_D, ended_D = slot_B[done_B], known_B[done_B], ended_B[done_B]
        found = slots.continuations(slot_D, known_D, ended_D)
        places = slot_D.tolist()
        ids = slots.first_id_S[slot_D].tolist()
        for place, sample_id, one in zip(places, ids, found, strict=True):
            self._finished.append(Sampled(slots.prompts[place], sample_id, one))
        self._free += places
        return torch.zeros(slots.num_live, dtype=torch.bool).index_fill_(0, slot_D, True)

    def _part(self, parting: Sequence[tuple[int, list[Group]]]) -> None:
        """In each of these slots the largest group goes on; the others wait."""
        slots, stay, waits = self._slots, [], []
        for slot, groups in parting:
            text = slots.text(slot)
            groups = self._open(text, groups)
            if not groups:
                self._free.append(slot)
                continue
            stay.append((slot, groups.pop()))
            if groups:
                waits.append((slot, text, groups))
        if stay:
            slots.go_on([slot for slot, _ in stay], [group for _, group in stay])
        places, texts = [slot for slot, _, _ in waits], [text for _, text, _ in waits]
        lengths = [len(text.prompt) + text.tokens_n.numel() for text in texts]
        kept = self._store.take_all(slots.cache, places, lengths, [text.prefix for text in texts])
        for (slot, text, groups), prefix in zip(waits, kept, strict=True):
            if prefix:
                slots.prefixes[slot] = prefix
                text = dataclasses.replace(text, prefix=prefix)
            self._waiting.push(text, groups)

    def _open(self, text: Text, groups: list[Group]) -> list[Group]:
        """Finish the groups whose text ends with what they have drawn; return the others."""
        ends = [
            group.token == self._request.end or text.tokens_n.numel() + 1 == self._request.max_new
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
        found = Continuation(text.tokens_n[: text.tokens_n.numel() - ended], text.scores_n, ended)
        self._finished += [Sampled(text.prompt, sample_id, found) for sample_id in ids_N.tolist()]


def default_slots(model: GPT2, capacity: int) -> int:
    """Texts at once where nobody says: by device, width, and the memory that their keys and values take."""
    config, device = model.config, model.wte.weight.device
    most = _SLOTS_ON_CPU if device.type == "cpu" else _SLOTS_ON_GPU
    by_width = most * min(max(_WIDTH // config.n_embd, 1), _MOST_TIMES_AS_MANY)
    size = 2 * config.n_layer * config.n_embd * model.compute_dtype.itemsize
    most_bytes = _MOST_CACHE_BYTES
    if device.type == "cuda":
        most_bytes = int(_SHARE_OF_GPU_MEMORY * torch.cuda.get_device_properties(device).total_memory)
    return max(min(by_width, most_bytes // (capacity * size)) // 8 * 8, 8)
