"""Embeddings made of what symbols stand for, and a bias of the output, in a network that stays a plain GPT-2.

An embedding table learns each symbol alone. Where symbols stand for numbers, they have places on a scale and
values; here these features have embeddings, beside a row of the symbol's own or in its stead,

    table_VD = own_VD + sum_k features_VK[:, k] weights_GKD[scale_V, k]

so that neighbours share what is learnt from either, and with the tied output layer the logits are as smooth.

What a smooth function cannot say, how often one symbol occurs, is a bias of the output. GPT-2 has none, but
one dimension of what its last normalisation gives can be constant, and the table's entries there are it:

    ln_f(x)_BTD[..., -1] = C;  table_VD[:, -1] = bias_V / C;  logits_BTV = ln_f(x)_BTD @ table_VD.T

Afterwards it is a table like any other (:func:`fold`): reading and drawing cost nothing more.

Legend: V symbols, R of them on a scale, G scales, K features, D width, C :data:`CONSTANT`.
"""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import parametrize

from fairseq_plugin.core.gpt2 import GPT2

CONSTANT = 32.0  # so large that biases of some nats are as small as the other entries of a table
_WIDTH = 1.2  # standard deviation of a bump, in 1 / K of what the bumps are spread over
_STD = 0.02 / math.sqrt(2)  # with it a table's entries begin about as large as GPT-2's
_PLAIN, _PARAMETRISED = "wte.weight", "wte.parametrizations.weight."


def bumps(at_N: torch.Tensor, num_bumps: int, low: float, high: float) -> torch.Tensor:
    """Bumps spread over a range, at some of its places.

        exp(-((at - c_k) K / (high - low) / 1.2)^2 / 2),  c_k = low + (high - low) k / (K - 1)

    Args:
        at_N: places.
        num_bumps: K, >= 2.
        low, high: the middles of the first and the last bump.

    Returns:
        (N, K), in [0, 1].
    """
    center_K = torch.linspace(low, high, num_bumps, dtype=at_N.dtype)
    distance_NK = (at_N.unsqueeze(1) - center_K) * (num_bumps / (high - low) / _WIDTH)
    return torch.exp(-0.5 * distance_NK.square())


@dataclass(frozen=True)
class SymbolFeatures:
    """What symbols stand for.

    Attributes:
        scale_V: int64, the scale of each symbol, counted from 0; -1: it is on none.
        features_VK: its features; those of symbols on no scale are not looked at.
    """

    scale_V: torch.Tensor
    features_VK: torch.Tensor


class FeatureEmbedding(nn.Module):
    """The rows of a table from features, as a parametrisation of its weight.

    Args:
        features: of its symbols.
        width: D.
        own_rows: whether a symbol on a scale has a row of its own, too.
    """

    scale_R: torch.Tensor
    symbol_R: torch.Tensor
    features_RK: torch.Tensor
    own_rows: torch.Tensor

    def __init__(self, features: SymbolFeatures, width: int, own_rows: bool = True) -> None:
        super().__init__()
        symbol_R = (features.scale_V >= 0).nonzero().squeeze(1)
        self.register_buffer("symbol_R", symbol_R)
        self.register_buffer("scale_R", features.scale_V[symbol_R])
        self.register_buffer("features_RK", features.features_VK[symbol_R].float())
        self.register_buffer("own_rows", torch.tensor(float(own_rows)))
        num_scales = int(features.scale_V.max()) + 1 if len(symbol_R) else 0
        shape = num_scales, features.features_VK.shape[1], width
        self.weights_GKD = nn.Parameter(torch.randn(shape) * _STD)
        self._runs_read: tuple[tuple[int, int], list[tuple[int, int]]] | None = None

    def forward(self, own_VD: torch.Tensor) -> torch.Tensor:
        """The whole table."""
        if not len(self.weights_GKD):
            return own_VD
        made_RD = _ProductsOfRuns.apply(self.features_RK.to(own_VD.dtype), self.weights_GKD, self._runs())
        own_RD = own_VD[self.symbol_R] * self.own_rows.to(own_VD.dtype)
        return own_VD.index_copy(0, self.symbol_R, own_RD + made_RD)

    def _runs(self) -> list[tuple[int, int]]:
        """``(scale, symbols)`` of the runs of one scale, in order; read once, for on a GPU that is a wait."""
        version = self.scale_R.data_ptr(), self.scale_R._version
        if self._runs_read is None or self._runs_read[0] != version:
            scales, sizes = self.scale_R.unique_consecutive(return_counts=True)
            self._runs_read = version, list(zip(scales.tolist(), sizes.tolist()))
        return self._runs_read[1]


class _ProductsOfRuns(torch.autograd.Function):
    """(features, weights) -> ``features_RK[r] @ weights_GKD[its scale]``, a product for each run of a scale.

    The gradient is that of the weights. An ``embedding_bag`` says the same; with it the backward pass of a
    network with 118,835 symbols of width 64 took 1.45 s of one core, with this 0.31.
    """

    @staticmethod
    def forward(
        ctx: Any, features_RK: torch.Tensor, weights_GKD: torch.Tensor, runs: list[tuple[int, int]]
    ) -> torch.Tensor:
        ctx.save_for_backward(features_RK)
        ctx.runs, ctx.shape = runs, weights_GKD.shape
        made_RD = features_RK.new_empty(len(features_RK), weights_GKD.shape[2])
        sizes = [size for _, size in runs]
        for (scale, _), features_nK, made_nD in zip(runs, features_RK.split(sizes), made_RD.split(sizes)):
            torch.mm(features_nK, weights_GKD[scale].to(features_nK.dtype), out=made_nD)
        return made_RD

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_made_RD: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        (features_RK,) = ctx.saved_tensors
        d_weights_GKD = d_made_RD.new_zeros(ctx.shape)
        sizes = [size for _, size in ctx.runs]
        for (scale, _), features_nK, d_nD in zip(ctx.runs, features_RK.split(sizes), d_made_RD.split(sizes)):
            d_weights_GKD[scale].addmm_(features_nK.t(), d_nD)
        return None, d_weights_GKD, None


class OutputBias(nn.Module):
    """The last column of a table from a bias, as a parametrisation of its weight.

    Args:
        bias_V: what it begins with, in nats.
    """

    def __init__(self, bias_V: torch.Tensor) -> None:
        super().__init__()
        self.bias_V = nn.Parameter(bias_V.clone())

    def forward(self, table_VD: torch.Tensor) -> torch.Tensor:
        """The whole table."""
        return torch.cat([table_VD[:, :-1], self.bias_V.unsqueeze(1).to(table_VD) / CONSTANT], 1)


def read_features(table: nn.Embedding, features: SymbolFeatures, own_rows: bool = True) -> None:
    """Let an embedding table read features from now on; arguments as of :class:`FeatureEmbedding`.

    Args:
        table: at least V rows; those after them are on no scale.
    """
    made = FeatureEmbedding(features, table.embedding_dim, own_rows)
    parametrize.register_parametrization(table, "weight", made.to(table.weight))


@torch.no_grad()
def add_output_bias(gpt2: GPT2, bias_V: torch.Tensor) -> None:
    """Let a network have a bias of the output: its last dimension gives way to it.

    Args:
        gpt2: of random weights.
        bias_V: what it begins with, in nats, of its symbols or of the whole table.
    """
    begin_V = F.pad(bias_V.to(gpt2.wte.weight), (0, gpt2.wte.num_embeddings - len(bias_V)))
    parametrize.register_parametrization(gpt2.wte, "weight", OutputBias(begin_V))
    gpt2.ln_f.weight[-1] = 0
    gpt2.ln_f.bias[-1] = CONSTANT


def is_made(table: nn.Embedding) -> bool:
    """Whether :func:`read_features` or :func:`add_output_bias` was called and :func:`fold` was not."""
    return parametrize.is_parametrized(table, "weight")


def made_once(table: nn.Embedding) -> AbstractContextManager[None]:
    """While it is open, a table that is made is made but once, however often it is read."""
    return parametrize.cached() if is_made(table) else nullcontext()


def fold(table: nn.Embedding) -> None:
    """Make it a plain table with the same rows; it does not learn from features any more."""
    parametrize.remove_parametrizations(table, "weight", leave_parametrized=True)


@torch.no_grad()
def set_rows(table: nn.Embedding, rows_VD: torch.Tensor) -> None:
    """Let a table begin with given rows; where it reads features beside its rows, these add nothing yet.

    Raises:
        ValueError: a table whose rows are not its own.
    """
    if not is_made(table):
        table.weight.copy_(rows_VD)
        return
    made, *others = cast(nn.ModuleDict, table.parametrizations)["weight"].children()
    if others or not isinstance(made, FeatureEmbedding) or not made.own_rows:
        raise ValueError("the table has no rows of its own to begin with")
    for name, weight in table.named_parameters():
        weight.copy_(rows_VD) if name.endswith(".original") else weight.zero_()


def folded(weights: Mapping[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """The weights of a network whose table is plain, from those of one whose table may be made of parts.

    Args:
        weights: by the names of :class:`~fairseq_plugin.core.gpt2.GPT2`, each behind ``prefix``.

    Raises:
        ValueError: some of the table's parts are missing, or do not fit together.
    """
    begin = prefix + _PARAMETRISED
    plain = {name: value for name, value in weights.items() if not name.startswith(begin)}
    parts = {name.removeprefix(begin): weights[name] for name in weights.keys() - plain.keys()}
    if not parts:
        return plain
    try:
        table_VD = parts.pop("original")
        for number in sorted({name.split(".")[0] for name in parts}):
            begin = f"{number}."
            made = {name.removeprefix(begin): parts[name] for name in parts if name.startswith(begin)}
            with torch.no_grad():
                table_VD = _part(made)(table_VD)
        plain[prefix + _PLAIN] = table_VD
    except (KeyError, IndexError, RuntimeError) as error:
        raise ValueError(f"the parts of its embeddings do not fit together ({error})") from error
    return plain


def _part(state: Mapping[str, torch.Tensor]) -> nn.Module:
    """A parametrisation from its state."""
    part: nn.Module
    if set(state) == {"bias_V"}:
        part = OutputBias(torch.empty_like(state["bias_V"]))
    else:
        scale_R, features_RK = state["scale_R"], state["features_RK"]
        part = FeatureEmbedding(SymbolFeatures(scale_R, features_RK), state["weights_GKD"].shape[2])
    part.load_state_dict(state)
    return part
