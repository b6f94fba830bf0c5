"""The one door to decoding."""

from collections.abc import Sequence

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.packed import packed_products
from fairseq_plugin.sampling.beam_search import beam_search
from fairseq_plugin.sampling.constraints import Prompts
from fairseq_plugin.sampling.contrastive_search import contrastive_search
from fairseq_plugin.sampling.request import BeamSearch, Continuation, ContrastiveSearch, DecodingRequest
from fairseq_plugin.sampling.sample import sample


@torch.no_grad()
@packed_products()
def decode(
    model: GPT2, prompts: Prompts, sample_ids: Sequence[int], request: DecodingRequest
) -> list[list[Continuation]]:
    """Continue prompts. A result depends on its own prompt and id, not on the others.

    Args:
        model: in evaluation mode.
        prompts: ``B`` lists of token ids, none empty.
        sample_ids: ``B`` integers in [0, 2^63); only sampling looks at them.
        request: what is asked for.

    Returns:
        ``B`` lists, on the CPU: ``samples_per_prompt`` samples, ``num_beams`` texts (best first), or one text
        of contrastive search.

    Raises:
        ValueError: what the model cannot decode.
        FloatingPointError: the model's logits are damaged, or a constraint allows no token at all.
    """
    request.check_model(model)
    request.check_prompts(model, prompts, sample_ids)
    if not prompts:
        return []
    method = request.method
    if isinstance(method, BeamSearch):
        return beam_search(model, prompts, method, request)
    if isinstance(method, ContrastiveSearch):
        return [[one] for one in contrastive_search(model, prompts, method, request)]
    many = request.samples_per_prompt
    keys = [sample_id * many + j for sample_id in sample_ids for j in range(many)]
    found = sample(model, [prompt for prompt in prompts for _ in range(many)], keys, request)
    return [found[i : i + many] for i in range(0, len(found), many)]
