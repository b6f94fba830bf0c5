"""Random numbers keyed by (seed, sample, step): the same draw whatever the batch, the order or the shard.

A generator with hidden state gives sample 7 another number when sample 3 leaves the batch. Here a number is
a pure function of its key, so a sample's text survives any regrouping, restart or change of batch size.
"""

import torch

LARGEST_ID = (1 << 63) - 1  # keys are int64
LARGEST_SEED = (1 << 64) - 1

# SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): the odd
# increment and the two multipliers of its finaliser, as signed 64-bit integers, since torch has no uint64
# arithmetic. Products wrap modulo 2^64 in either reading.
_INCREMENT = 0x9E3779B97F4A7C15 - (1 << 64)
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))


def keyed_uniform(
    seed: int, sample_ids_B: torch.Tensor, steps_B: torch.Tensor, tokens_B: torch.Tensor | None = None
) -> torch.Tensor:
    """One uniform number in (0, 1) for each key (seed, sample id, step) or (seed, sample id, step, token).

    ``u = (top 52 bits of mix(mix(mix(seed) + id) + step) + 1/2) / 2^52``, ``mix`` the SplitMix64 finaliser;
    with tokens the state is mixed once more: ``mix(... + step) + token``.

    Args:
        seed: in [0, 2^64); others are taken modulo 2^64.
        sample_ids_B: ``(B,)`` int64, at most ``LARGEST_ID``.
        steps_B: ``(B,)`` int64, the number of tokens already drawn for the sample.
        tokens_B: int64, a shape that the others broadcast to; ``(B, K)`` with the others ``(B, 1)``.

    Returns:
        ``(B,)``, or of the shape of ``tokens_B``: float64 in the open interval (0, 1), on the device of
        ``sample_ids_B``.
    """
    state_B = torch.full_like(sample_ids_B, _signed(seed))
    state_B = _mix(_mix(_mix(state_B) + sample_ids_B) + steps_B)
    if tokens_B is not None:
        state_B = _mix(state_B + tokens_B)
    # 52 bits and a half step: exact in float64 and never 0 or 1.
    return (_shift_right(state_B, 12).double() + 0.5) * 2.0**-52


def keyed_choice(weights_K: torch.Tensor, seed: int, ids_N: torch.Tensor, step: int) -> list[int]:
    """Places of ``weights_K``, one for each id, each with a probability in proportion to its weight.

    Args:
        weights_K: ``(K,)`` float64, >= 0, not all 0; on the CPU.
        seed, step: with an id they key its choice.
        ids_N: ``(N,)`` int64, at most ``LARGEST_ID``.
    """
    u_N = keyed_uniform(seed, ids_N, torch.full_like(ids_N, step))
    total_K = weights_K.cumsum(0)
    return torch.searchsorted(total_K, u_N * total_K[-1], right=True).clamp(max=len(weights_K) - 1).tolist()


def _mix(x_B: torch.Tensor) -> torch.Tensor:
    x_B = x_B + _INCREMENT
    x_B = (x_B ^ _shift_right(x_B, 30)) * _MULTIPLIERS[0]
    x_B = (x_B ^ _shift_right(x_B, 27)) * _MULTIPLIERS[1]
    return x_B ^ _shift_right(x_B, 31)


def _shift_right(x_B: torch.Tensor, bits: int) -> torch.Tensor:
    # torch's >> copies the sign; the mask makes it the logical shift that the hash is defined with.
    return (x_B >> bits) & ((1 << (64 - bits)) - 1)


def _signed(seed: int) -> int:
    seed %= 1 << 64
    return seed - (1 << 64) if seed >= 1 << 63 else seed
