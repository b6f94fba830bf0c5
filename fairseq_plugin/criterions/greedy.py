"""Greedy continuations by the model in training, for sequence-level objectives.

Legend: K texts, N tokens of a prefix, L tokens of a continuation, V vocabulary.
"""

from contextlib import contextmanager

import torch
from fairseq.models import FairseqIncrementalDecoder

from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.sample import continue_prompts


def continue_greedily(model, prefix_KN, length, dictionary):
    """The most probable next token, ``length`` times; padding and the end token are not allowed.

    Dropout is off meanwhile, no gradients are kept, and no random numbers are used. Our GPT-2 continues with
    its own cache, a stock incremental decoder with fairseq's, any other reads the text again at each step.

    Args:
        model: a decoder-only fairseq model or its distributed wrapper; its modes are left as they were.
        prefix_KN: int64 ``(K, N)``, K and N >= 1.
        length: L >= 1.
        dictionary: the fairseq dictionary.

    Returns:
        int64 ``(K, L)``.

    Raises:
        FloatingPointError: the model's outputs are NaN or infinite.
    """
    model = unwrapped(model)
    with evaluating(model):
        gpt2 = getattr(getattr(model, "decoder", None), "gpt2", None)
        if gpt2 is not None:
            return _by_gpt2(gpt2, prefix_KN, length, dictionary.eos())
        return _step_by_step(model, prefix_KN, length, [dictionary.pad(), dictionary.eos()])


def unwrapped(model):
    """The model itself, out of fairseq's distributed wrappers: nothing here has a gradient to synchronise."""
    while hasattr(model, "module"):
        model = model.module
    return model


@contextmanager
def evaluating(model):
    """Evaluation mode and no gradients; afterwards every module is as it was."""
    in_training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in in_training:
            module.training = True


def _by_gpt2(gpt2, prefix_KN, length, end):
    continuations = continue_prompts(
        gpt2,
        prefix_KN.tolist(),
        list(range(len(prefix_KN))),
        seed=0,  # nothing is drawn
        end=end,
        max_new=length,
        min_new=length,
        sampling=Sampling(temperature=0.0),
    )
    return torch.stack([continuation.tokens for continuation in continuations]).to(prefix_KN.device)


def _step_by_step(model, prefix_KN, length, forbidden):
    tokens_KS, num_prefix = prefix_KN, prefix_KN.size(1)
    incremental = isinstance(getattr(model, "decoder", None), FairseqIncrementalDecoder)
    state = {} if incremental else None
    # A stock incremental decoder reads the last token only, so the prefix goes in token by token.
    for num_read in range(1 if incremental else num_prefix, num_prefix + length):
        words = {"incremental_state": state} if incremental else {}
        logits_KV = model(tokens_KS[:, :num_read], **words)[0][:, -1].float()
        if num_read < num_prefix:
            continue
        logits_KV[:, forbidden] = -torch.inf
        best_K, next_K = logits_KV.max(dim=1)
        if not torch.isfinite(best_K).all():
            raise FloatingPointError("the model's outputs are NaN or infinite")
        tokens_KS = torch.cat([tokens_KS, next_K[:, None]], dim=1)
    return tokens_KS[:, num_prefix:]
