"""Where the symbols of numbers stand on their scales, for embeddings that read it.

Legend: V symbols.
"""

import torch

from fairseq_plugin.tables.code.columns import NumberCode
from fairseq_plugin.tables.code.rows import RowCode

_FEWEST = 3  # symbols of a scale: two have no neighbours but each other


def symbol_places(code: RowCode) -> tuple[torch.Tensor, torch.Tensor]:
    """The scale of each symbol, int64 ``(V,)``, -1 for those on none, and its place there, in (0, 1)."""
    scale_V = torch.full((code.num_symbols,), -1)
    place_V = torch.zeros(code.num_symbols)
    scales = [scale for one in code.codes if isinstance(one, NumberCode) for scale in one.scales]
    wide = [scale for scale in scales if scale.num_symbols >= _FEWEST]
    for number, scale in enumerate(wide):
        own = slice(scale.first, scale.first + scale.num_symbols)
        scale_V[own] = number
        place_V[own] = (torch.arange(scale.num_symbols) + 0.5) / scale.num_symbols
    return scale_V, place_V
