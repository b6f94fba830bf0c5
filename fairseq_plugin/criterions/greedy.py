"""Greedy continuations by the model in training, for sequence-level objectives.

Legend: K texts, N tokens of a prefix, L tokens of a continuation, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqIncrementalDecoder

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import ForbiddenSymbols
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.draw import GREEDY
from fairseq_plugin.sampling.request import DecodingRequest


def continue_greedily(
    model: torch.nn.Module, prefix_KN: torch.Tensor, length: int, dictionary: Dictionary
) -> torch.Tensor:
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
        forbidden = ForbiddenSymbols([dictionary.pad(), dictionary.eos()], prefix_KN.device)
        return _step_by_step(model, prefix_KN, length, forbidden)


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The model itself, out of fairseq's distributed wrappers: nothing here has a gradient to synchronise."""
    while isinstance(inner := getattr(model, "module", None), torch.nn.Module):
        model = inner
    return model


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards every module is as it was."""
    in_training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in in_training:
            module.training = True


def _by_gpt2(gpt2: GPT2, prefix_KN: torch.Tensor, length: int, end: int) -> torch.Tensor:
    request = DecodingRequest(GREEDY, end=end, max_new=length, min_new=length)
    found = decode(gpt2, prefix_KN.tolist(), range(len(prefix_KN)), request)
    return torch.stack([one.tokens for (one,) in found]).to(prefix_KN.device)


def _step_by_step(
    model: torch.nn.Module, prefix_KN: torch.Tensor, length: int, forbidden: ForbiddenSymbols
) -> torch.Tensor:
    tokens_KS, num_prefix = prefix_KN, prefix_KN.size(1)
    incremental = isinstance(getattr(model, "decoder", None), FairseqIncrementalDecoder)
    state = {} if incremental else None
    # A stock incremental decoder reads the last token only, so the prefix goes in token by token.
    for num_read in range(1 if incremental else num_prefix, num_prefix + length):
        options = {"incremental_state": state} if incremental else {}
        logits_KV = model(tokens_KS[:, :num_read], **options)[0][:, -1].float()
        if num_read < num_prefix:
            continue
        forbidden.forbid(logits_KV)
        best_K, next_K = logits_KV.max(dim=1)
        if not torch.isfinite(best_K).all():
            raise FloatingPointError("the model's outputs are NaN or infinite")
        tokens_KS = torch.cat([tokens_KS, next_K[:, None]], dim=1)
    return tokens_KS[:, num_prefix:]
