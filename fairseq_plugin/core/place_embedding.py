"""Embeddings that read the place of a symbol on a scale, beside a row of their own.

The symbols of a digit, or of the parts of a range, are ordered; an embedding table does not know that and
learns each of them alone. Here K bumps are spread over a scale, and each symbol on it adds what the bumps at
its place have learnt:

    table_VD = own_VD + sum_k exp(-((place_V - k / (K - 1)) K / 1.2)^2 / 2) * bumps_GKD[scale_V, k]

so that neighbours share what is learnt from either, and with the tied output layer the logits are as smooth.
Afterwards it is a table like any other (:func:`fold`): reading and drawing cost nothing more.

Legend: V symbols, R of them on a scale, G scales, K bumps, D width.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import parametrize

_WIDTH = 1.2  # standard deviation of a bump, in 1 / K of the scale
_STD = 0.02 / math.sqrt(2)  # with it a table's entries begin about as large as GPT-2's
_PARTS = ("bumps_GKD", "scale_R", "place_R", "symbol_R")
_PLAIN, _PARAMETRISED = "wte.weight", "wte.parametrizations.weight."


class PlaceEmbedding(nn.Module):
    """What is added to a table, as a parametrisation of its weight.

    Args:
        scale_V: int64, the scale of each symbol, counted from 0; -1: it is on none.
        place_V: its place there, in [0, 1].
        num_bumps: K, >= 2.
        width: D.
    """

    scale_R: torch.Tensor
    place_R: torch.Tensor
    symbol_R: torch.Tensor

    def __init__(self, scale_V: torch.Tensor, place_V: torch.Tensor, num_bumps: int, width: int) -> None:
        super().__init__()
        symbol_R = (scale_V >= 0).nonzero().squeeze(1)
        self.register_buffer("symbol_R", symbol_R)
        self.register_buffer("scale_R", scale_V[symbol_R])
        self.register_buffer("place_R", place_V[symbol_R].float())
        num_scales = int(scale_V.max()) + 1 if len(symbol_R) else 0
        self.bumps_GKD = nn.Parameter(torch.randn(num_scales, num_bumps, width) * _STD)

    def forward(self, own_VD: torch.Tensor) -> torch.Tensor:
        """The whole table."""
        num_scales, num_bumps, width = self.bumps_GKD.shape
        if not num_scales:
            return own_VD
        bump_K = torch.arange(num_bumps, device=own_VD.device)
        center_K = bump_K.to(self.place_R) / (num_bumps - 1)
        distance_RK = (self.place_R.unsqueeze(1) - center_K) * (num_bumps / _WIDTH)
        added_RD = F.embedding_bag(
            self.scale_R.unsqueeze(1) * num_bumps + bump_K,
            self.bumps_GKD.view(-1, width),
            per_sample_weights=torch.exp(-0.5 * distance_RK.square()).to(own_VD.dtype),
            mode="sum",
        )
        return own_VD.index_add(0, self.symbol_R, added_RD)


def read_places(table: nn.Embedding, scale_V: torch.Tensor, place_V: torch.Tensor, num_bumps: int) -> None:
    """Let an embedding table read places from now on; arguments as of :class:`PlaceEmbedding`.

    Args:
        table: at least V rows; its padding is on no scale.

    Raises:
        ValueError: fewer than two bumps.
    """
    if num_bumps < 2:
        raise ValueError(f"num_bumps must be at least 2, not {num_bumps}")
    added = PlaceEmbedding(scale_V, place_V, num_bumps, table.embedding_dim)
    parametrize.register_parametrization(table, "weight", added.to(table.weight))


def reads_places(table: nn.Embedding) -> bool:
    """Whether :func:`read_places` has been called and :func:`fold` has not."""
    return parametrize.is_parametrized(table, "weight")


def fold(table: nn.Embedding) -> None:
    """Make it a plain table with the same rows; it does not learn from places any more."""
    parametrize.remove_parametrizations(table, "weight", leave_parametrized=True)


@torch.no_grad()
def set_rows(table: nn.Embedding, rows_VD: torch.Tensor) -> None:
    """Let a table begin with given rows; where it reads places, these add nothing yet."""
    if not reads_places(table):
        table.weight.copy_(rows_VD)
        return
    for name, weight in table.named_parameters():
        weight.copy_(rows_VD) if name.endswith(".original") else weight.zero_()


def folded(weights: Mapping[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """The weights of a network whose table is plain, from those of one whose table may read places.

    Args:
        weights: by the names of :class:`~fairseq_plugin.core.gpt2.GPT2`, each behind ``prefix``.

    Raises:
        ValueError: some of the table's parts are missing, or do not fit together.
    """
    begin = prefix + _PARAMETRISED
    plain = {name: value for name, value in weights.items() if not name.startswith(begin)}
    if len(plain) == len(weights):
        return plain
    try:
        own_VD = weights[begin + "original"]
        bumps_GKD, scale_R, place_R, symbol_R = (weights[f"{begin}0.{name}"] for name in _PARTS)
        scale_V = torch.full((len(own_VD),), -1).index_copy(0, symbol_R, scale_R)
        place_V = torch.zeros(len(own_VD)).index_copy(0, symbol_R, place_R)
        added = PlaceEmbedding(scale_V, place_V, bumps_GKD.shape[1], own_VD.shape[1])
        added.load_state_dict({**added.state_dict(), "bumps_GKD": bumps_GKD})
        with torch.no_grad():
            plain[prefix + _PLAIN] = added(own_VD)
    except (KeyError, IndexError, RuntimeError) as error:
        raise ValueError(f"the places of its embeddings do not fit together ({error})") from error
    return plain
