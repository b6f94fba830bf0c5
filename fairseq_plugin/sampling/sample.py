"""One sample for each of a list of prompts, by the pool of slots."""

from collections.abc import Sequence

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.branches import Prompt
from fairseq_plugin.sampling.constraints import Prompts
from fairseq_plugin.sampling.pool import SamplePool, default_slots
from fairseq_plugin.sampling.request import Continuation, DecodingRequest


def sample(
    model: GPT2, prompts: Prompts, sample_ids: Sequence[int], request: DecodingRequest
) -> list[Continuation]:
    """Sample one continuation for each prompt; call it by :func:`~fairseq_plugin.sampling.decode.decode`.

    Args:
        model: in evaluation mode.
        prompts: ``B >= 1`` lists of token ids, none empty.
        sample_ids: ``B`` integers; with the request's seed they key the random numbers.
        request: how, limits, seed and constraints.

    Raises:
        FloatingPointError: the model's logits are damaged, or a constraint allows no token at all.
    """
    places: dict[Prompt, dict[int, list[int]]] = {}
    for place, (prompt, sample_id) in enumerate(zip(prompts, sample_ids, strict=True)):
        places.setdefault(tuple(prompt), {}).setdefault(sample_id, []).append(place)
    longest = max(map(len, places))
    num_slots = min(default_slots(model, longest + request.max_new), len(prompts))
    found: list[Continuation | None] = [None] * len(prompts)
    pool = SamplePool(model, request, longest, num_slots)
    for one in pool.run((prompt, list(ids)) for prompt, ids in places.items()):
        for place in places[one.prompt][one.sample_id]:
            found[place] = one.continuation
    return [one for one in found if one is not None]
