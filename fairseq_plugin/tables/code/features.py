"""What the symbols of numbers stand for, as features, and how frequent all symbols are.

Legend: V symbols, K features, N symbols of a scale.
"""

from collections.abc import Sequence

import torch

from fairseq_plugin.core.feature_embedding import SymbolFeatures, bumps
from fairseq_plugin.tables.code.columns import NumberCode, Scale
from fairseq_plugin.tables.code.rows import RowCode

_FEWEST = 3  # symbols of a scale: two have no neighbours but each other
_FEW_BUMPS = 8  # bumps of a scale,
_SYMBOLS_OF_A_BUMP = 4  # but for one that has more than so many symbols for each
_EXTREME = 3.0  # standard deviations: values beyond them are as far
_LOG_FROM = 20  # the logarithm is of the value and a so many times smaller part of the mean
_OUTERMOST = 2.2  # standard deviations: the middle of the last bump


def symbol_features(
    code: RowCode, counts_V: Sequence[int], place_bumps: int, value_bumps: int
) -> SymbolFeatures:
    """The features of the symbols of numbers.

    The symbols of a level of a column's tree, or of a digit, are a scale: bumps over it read the place.
    At the first level the column's values are features too, and their logarithms where none is negative,
    both standardised over the training rows: the value, its square, and bumps.

    Args:
        code: of the table.
        counts_V: how often each symbol occurs in the training rows.
        place_bumps: of a scale at most, >= 2.
        value_bumps: 0 (no values), or >= 2.
    """
    num_features = place_bumps + (2 * (2 + value_bumps) if value_bumps else 0)
    scale_V = torch.full((code.num_symbols,), -1)
    features_VK = torch.zeros(code.num_symbols, num_features)
    num_scales = 0
    for one in code.codes:
        if not isinstance(one, NumberCode):
            continue
        for level, scale in enumerate(one.scales):
            if scale.num_symbols < _FEWEST:
                continue
            own = slice(scale.first, scale.first + scale.num_symbols)
            scale_V[own] = num_scales
            num_scales += 1
            places_NK = _places(scale, place_bumps)
            features_VK[own, : places_NK.shape[1]] = places_NK
            if level == 0 and value_bumps:
                values_NK = _values(one.middles(), counts_V[own], value_bumps)
                features_VK[own, place_bumps : place_bumps + values_NK.shape[1]] = values_NK
    return SymbolFeatures(scale_V, features_VK)


def _places(scale: Scale, most: int) -> torch.Tensor:
    num_bumps = min(most, max(_FEW_BUMPS, scale.num_symbols // _SYMBOLS_OF_A_BUMP))
    return bumps((torch.arange(scale.num_symbols) + 0.5) / scale.num_symbols, num_bumps, 0.0, 1.0)


def _values(middles: Sequence[float], counts: Sequence[int], num_bumps: int) -> torch.Tensor:
    value_N, count_N = (torch.tensor(one, dtype=torch.float64) for one in (middles, counts))
    share_N = count_N / count_N.sum() if count_N.sum() else torch.full_like(count_N, 1 / len(count_N))
    features = [_read(value_N, share_N, num_bumps)]
    if value_N.min() >= 0 and value_N.max() > 0:  # ratios are differences of logarithms
        added = (share_N * value_N).sum() / _LOG_FROM + 1e-9
        features.append(_read((value_N + added).log(), share_N, num_bumps))
    return torch.cat(features, 1).float()


def _read(value_N: torch.Tensor, share_N: torch.Tensor, num_bumps: int) -> torch.Tensor:
    mean = (share_N * value_N).sum()
    deviation = (share_N * (value_N - mean).square()).sum().sqrt()
    z_N = ((value_N - mean) / deviation if deviation else torch.zeros_like(value_N)).clamp(
        -_EXTREME, _EXTREME
    )
    read = bumps(z_N, num_bumps, -_OUTERMOST, _OUTERMOST)
    return torch.cat([z_N.unsqueeze(1), z_N.square().unsqueeze(1) - 1, read], 1)


def log_frequencies(code: RowCode, counts_V: Sequence[int]) -> torch.Tensor:
    """The logarithm of how often each symbol occurs, against the mean of those that it is chosen from.

    Args:
        code: of the table.
        counts_V: how often each symbol occurs in the training rows.

    Returns:
        (V,), in nats; a symbol that does not occur counts half.
    """
    log_V = (torch.tensor(counts_V, dtype=torch.float64) + 0.5).log()
    of_V = torch.zeros_like(log_V)
    automaton = code.automaton
    ranges = {(int(low), int(count)) for low, count in zip(automaton.low_S, automaton.count_S)}
    for low, count in sorted(ranges, key=lambda one: one[1]):  # of all that hold a symbol the widest is last
        own = slice(low, low + count)
        of_V[own] = log_V[own] - log_V[own].mean()
    return of_V.float()
