"""Teacher-forced scores of a stream: exact perplexity, and what the model would have said at each position.

Legend: B windows of a batch, T tokens, N scored positions, V vocabulary, D width.

    nll_N  = logsumexp(logits_NV) - logits_NV[target_N]     # nats, in float32; summed in float64
    rank_N = 1 + number of v with logits_Nv > logits_N,target
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.logits_in_pieces import logits_in_pieces
from fairseq_plugin.corpus.folder import EOS
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.windows import Window, cut


@dataclass(frozen=True)
class Scored:
    """What a model makes of one window, at its scored positions.

    Attributes:
        window: which one.
        nll_N: negative log-likelihood of each target (nats).
        predicted_N: the most probable token.
        rank_N: place of the target, 1 for the best; equal scores share the better place.
    """

    window: Window
    nll_N: NDArray[np.float64]
    predicted_N: NDArray[np.int64]
    rank_N: NDArray[np.int64]


@torch.no_grad()
def score_windows(
    gpt2: GPT2, stream: NDArray[np.int64], windows: Sequence[Window], batch: int = 8
) -> Iterator[list[Scored]]:
    """Score the windows of a stream.

    Args:
        gpt2: in evaluation mode.
        stream: dictionary indices.
        windows: of the stream.
        batch: windows at once; changes the speed, and the last bits of float32 at most.

    Yields:
        What each batch of windows scored, in order.

    Raises:
        UserError: a window longer than the model, a token without probability, or outputs that are not
            finite.
    """
    _check(gpt2, stream, windows, batch)
    # The token before every target; </s> is before the first.
    source = torch.from_numpy(np.concatenate([[EOS], stream[:-1]]).astype(np.int64))
    target = torch.from_numpy(np.ascontiguousarray(stream, dtype=np.int64))
    number = 0
    # Only the first and last windows differ in width. In batches of their own they need no padding.
    for _, same_width in itertools.groupby(windows, key=lambda window: window.end - window.first):
        group = list(same_width)
        for begin in range(0, len(group), batch):
            part = group[begin : begin + batch]
            yield _score_batch(gpt2, source, target, part, number)
            number += len(part)


def stream_perplexity(
    gpt2: GPT2,
    stream: NDArray[np.int64],
    window: int,
    context: int = 0,
    device: str | torch.device | None = None,
    batch: int = 8,
) -> tuple[float, int]:
    """The negative log-likelihood of a stream, windows as ``fairseq-eval-lm`` cuts them.

    ``math.exp(nll_sum / num_tokens)`` is the perplexity per token, ends of documents included.

    Args:
        gpt2, stream, batch: as in :func:`score_windows`.
        window, context: as in :func:`~fairseq_plugin.evaluation.windows.cut`.
        device: where to compute; where the network is, if left out.

    Returns:
        ``(nll_sum, num_tokens)``: nats, tokens.
    """
    if device is not None:
        gpt2.to(device)
    sums = [
        math.fsum(scored.nll_N)
        for scores in score_windows(gpt2, stream, cut(len(stream), window, context), batch)
        for scored in scores
    ]
    return math.fsum(sums), len(stream)


def _score_batch(
    gpt2: GPT2, source: torch.Tensor, target: torch.Tensor, windows: Sequence[Window], first_number: int
) -> list[Scored]:
    device = gpt2.wte.weight.device
    tokens_BT = torch.stack([source[w.first : w.end] for w in windows]).to(device)
    hidden_BTD = gpt2(tokens_BT)
    hidden_ND = torch.cat([hidden_TD[w.start - w.first :] for hidden_TD, w in zip(hidden_BTD, windows)])
    target_N = torch.cat([target[w.start : w.end] for w in windows]).to(device)
    places = np.cumsum([window.num_scored for window in windows])[:-1]
    nll, predicted, rank = (
        np.split(part.cpu().numpy(), places) for part in _score(gpt2, hidden_ND, target_N)
    )
    scores = [Scored(*found) for found in zip(windows, nll, predicted, rank, strict=True)]
    for number, scored in enumerate(scores, start=first_number):
        if not np.isfinite(scored.nll_N).all():
            raise UserError(
                f"window {number:,} ({scored.window}): the model's outputs are not finite (NaN or infinite); "
                "its weights are damaged or its training diverged: use an earlier checkpoint"
            )
    return scores


def _score(
    gpt2: GPT2, hidden_ND: torch.Tensor, target_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Negative log-likelihood, arg max and rank at each position, the logits made in pieces."""
    nll, predicted, rank = [], [], []
    for start, logits_NV in logits_in_pieces(gpt2, hidden_ND):
        score_N1 = logits_NV.gather(1, target_N[start : start + len(logits_NV), None])
        # NaN anywhere among a position's logits makes its logsumexp, and so its nll, NaN.
        nll.append((logits_NV.logsumexp(1) - score_N1.squeeze(1)).double())
        predicted.append(logits_NV.argmax(1))
        rank.append(1 + (logits_NV > score_N1).sum(1, dtype=torch.int32).long())
    return torch.cat(nll), torch.cat(predicted), torch.cat(rank)


def _check(gpt2: GPT2, stream: NDArray[np.int64], windows: Sequence[Window], batch: int) -> None:
    if batch < 1:
        raise UserError(f"--batch-size {batch} must be at least 1")
    if not len(windows):
        raise UserError("there is no window to score: nothing to evaluate")
    longest = max(window.end - window.first for window in windows)
    if longest > gpt2.config.n_positions:
        raise UserError(
            f"windows of {longest} tokens do not fit into the model's {gpt2.config.n_positions} positions; "
            f"give --window {gpt2.config.n_positions} or less"
        )
    outside = (stream < 0) | (stream >= gpt2.config.vocab_size)
    if outside.any():
        place = int(outside.argmax())
        raise UserError(
            f"token {place:,} of the split is {int(stream[place])}, outside the model's 0 .. "
            f"{gpt2.config.vocab_size - 1}: data and model do not belong together"
        )
    banned = np.isin(stream, gpt2.banned.cpu().numpy())
    if banned.any():
        place = int(banned.argmax())
        raise UserError(
            f"token {place:,} of the split has index {int(stream[place])}, a symbol of the dictionary that "
            "never gets any probability (<unk>, <pad>, a filler word): prepare the data again with the "
            "model's tokenizer"
        )
