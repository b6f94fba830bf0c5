"""Single-token metrics under teacher forcing: repetition of the arg max, of the human text, hits, ranks.

Welleck et al. (ICLR 2020), section 5, with l in {16, 32, 128, 512}; position by position, P = the most
probable token, y = the target, W = {targets at positions t-l .. t-1 of the same text}:

    rep/l        share of positions with P in W
    wrep/l       share of positions with P in W and P != y
    human rep/l  share of positions with y in W
    hits@k       share of positions where y is among the k most probable tokens; hits@1 is the accuracy
    rank         1 + the number of tokens with a larger logit than y's, averaged over positions

Distance is counted in positions; a position without target adds nothing to W and is not scored.

    targets_BT = [[7, 9, 7, 5]], predicted_BT = [[7, 7, 9, 5]]
    position 1: P = 7 in {7} and not y: rep and wrep; position 2: P = 9 in {7, 9}: both; y = 7: human rep

Legend: B texts of the batch (they never mix), T time.
"""

from collections.abc import Sequence

import torch

WINDOWS = (16, 32, 128, 512)  # positions


def single_token_counts(
    predicted_BT: torch.Tensor,
    target_BT: torch.Tensor,
    rank_BT: torch.Tensor | None = None,
    *,
    ignore_index: int,
    windows: Sequence[int] = WINDOWS,
) -> dict[str, torch.Tensor]:
    """Count what the metrics are shares of.

    Args:
        predicted_BT: int64 ``(B, T)``, the most probable token at each position; read where a target stands.
        target_BT: int64 ``(B, T)``; ``ignore_index`` = not scored.
        rank_BT: int64 ``(B, T)``, rank of the target from 1 on; None: no ranks.
        ignore_index: usually the padding index.
        windows: lengths l >= 1 in positions.

    Returns:
        Int64 tensors without dimensions by name, sums over the scored positions, to be divided by
        ``num_scored``: ``num_scored``, ``hits1``; for every l ``rep_l``, ``wrep_l``, ``human_rep_l``; with
        ranks ``hits10`` and ``rank_sum``. No synchronisation with the host.

    Raises:
        ValueError: shapes that do not agree, or a window below 1.
    """
    if predicted_BT.shape != target_BT.shape or target_BT.dim() != 2:
        raise ValueError(
            f"predicted {tuple(predicted_BT.shape)} does not fit target {tuple(target_BT.shape)}"
        )
    if any(window < 1 for window in windows):
        raise ValueError(f"windows {tuple(windows)}: each must be at least 1 position")
    scored_BT = target_BT != ignore_index
    wrong_BT = scored_BT & (predicted_BT != target_BT)
    counts = {"num_scored": scored_BT.sum(), "hits1": (scored_BT & ~wrong_BT).sum()}
    since_BT = since_last_target(predicted_BT, target_BT, scored_BT)
    human_since_BT = since_last_target(target_BT, target_BT, scored_BT)
    for window in windows:
        repeats_BT = scored_BT & (since_BT <= window)
        counts[f"rep_{window}"] = repeats_BT.sum()
        counts[f"wrep_{window}"] = (repeats_BT & wrong_BT).sum()
        counts[f"human_rep_{window}"] = (scored_BT & (human_since_BT <= window)).sum()
    if rank_BT is not None:
        counts["hits10"] = (scored_BT & (rank_BT <= 10)).sum()
        counts["rank_sum"] = torch.where(scored_BT, rank_BT, 0).sum()
    return counts


def since_last_target(
    token_BT: torch.Tensor, target_BT: torch.Tensor, scored_BT: torch.Tensor
) -> torch.Tensor:
    """How many positions before t the token asked for at t last stood as a target of the same text.

    One sort of queries and targets together by (token, position), a query before the target of its own
    position; a running maximum then carries the latest target of the same token to each query.

    Args:
        token_BT: int64 ``(B, T)``, the tokens asked for; must not be negative where scored.
        target_BT: int64 ``(B, T)``.
        scored_BT: bool ``(B, T)``; elsewhere there is no target.

    Returns:
        int64 ``(B, T)``, from 1 on; larger than 2^60 where it stood nowhere before.
    """
    num_positions = target_BT.size(1)
    # Twice the position, plus one for targets: the order within a token. What is not a target is far away.
    time_T = torch.arange(num_positions, device=target_BT.device)
    stride = 2 * num_positions + 2
    query_BT = torch.where(scored_BT, token_BT, -1) * stride + 2 * time_T
    told_BT = torch.where(scored_BT, target_BT * stride + 2 * time_T + 1, -(2**40))
    key_BS, order_BS = torch.cat([query_BT, told_BT], dim=1).sort(dim=1, stable=True)
    is_target_BS = order_BS >= num_positions
    # Keys rise with (token, position), so the largest target key so far is the latest of this token, if any.
    latest_BS = torch.where(is_target_BS, key_BS, -(2**40)).cummax(dim=1).values
    same_BS = latest_BS.div(stride, rounding_mode="floor") == key_BS.div(stride, rounding_mode="floor")
    gap_BS = torch.where(same_BS, (key_BS - latest_BS + 1) // 2, 2**62)
    return torch.empty_like(gap_BS).scatter_(1, order_BS, gap_BS)[:, :num_positions]
