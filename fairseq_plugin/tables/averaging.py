"""The mean of the weights of several epochs, unless validation finds it worse than the best single epoch.

A training whose learning rate is still high ends each epoch somewhere around a minimum; the mean of such
places lies nearer to it (Izmailov et al. 2018), at no cost in drawing rows. With few validation rows the best
epoch is best by luck: so a mean is taken when it is no worse than what chance explains (one standard error).
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.storage.checkpoints import read_checkpoint
from fairseq_plugin.tables.manifest import TableManifest, split_files
from fairseq_plugin.tables.model import TableModel

BEST, AVERAGED = "checkpoint_best.pt", "checkpoint_averaged.pt"
SIZES = (2, 3, 4, 6, 8)  # epochs in a mean that is tried
_MOST_ROWS = 2000  # of the validation rows
_EPOCH = re.compile(r"checkpoint([0-9]+)\.pt")

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Candidate:
    """Attributes:
    name: "best epoch" or "mean of the last K epochs".
    nats: per validation row.
    """

    name: str
    nats: float


def average_epochs(folder: Path, data: Path) -> list[Candidate]:
    """Write ``checkpoint_averaged.pt``: the best mean of the last epochs, or the best epoch if that is better
    by more than a standard error of their difference over the validation rows.

    Args:
        folder: of ``checkpoint_best.pt`` and the checkpoints of the last epochs (``--keep-last-epochs``).
        data: the prepared table, with validation rows.

    Returns:
        What was tried, the one that was taken first, then by their nats.

    Raises:
        UserError: a checkpoint is missing, damaged, or of another table.
    """
    epochs = epoch_checkpoints(folder)
    items = _validation_items(data)
    model = TableModel.load(folder / BEST, data)
    single_N = np.array(model.nats(items))
    single = Candidate("best epoch", float(single_N.mean())), [folder / BEST]
    means: list[tuple[Candidate, Sequence[Path]]] = []
    errors: dict[str, float] = {}  # of the difference from the best epoch
    for size in SIZES:
        if size <= len(epochs):
            paths = epochs[-size:]
            model.load_weights(mean_weights(paths))
            nats_N, name = np.array(model.nats(items)), f"mean of the last {size} epochs"
            errors[name] = float((nats_N - single_N).std() / len(items) ** 0.5)
            means.append((Candidate(name, float(nats_N.mean())), paths))
    tried = sorted([single, *means], key=lambda one: one[0].nats)
    if means:
        mean = min(means, key=lambda one: one[0].nats)
        taken = mean if mean[0].nats <= single[0].nats + errors[mean[0].name] else single
        tried = [taken, *(one for one in tried if one is not taken)]
    state = {**read_checkpoint(folder / BEST), "model": mean_weights(tried[0][1])}
    state.pop("last_optimizer_state", None)  # nothing is trained on from here
    content = io.BytesIO()  # torch's own writer says nothing useful of a full disk
    torch.save(state, content)
    with atomic_write(folder / AVERAGED, "wb") as stream:
        stream.write(content.getbuffer())
    return [candidate for candidate, _ in tried]


def epoch_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of single epochs in a folder, the last epoch last."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _EPOCH.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def mean_weights(paths: Sequence[Path]) -> Weights:
    """The mean of the weights of checkpoints, in float64 and then in the type that they have.

    Raises:
        UserError: they have other weights, or are damaged.
    """
    total: Weights = {}
    last: Weights = {}
    for path in paths:
        last = dict(read_checkpoint(path)["model"])
        if total and {name: one.shape for name, one in last.items()} != {
            name: one.shape for name, one in total.items()
        }:
            raise UserError(
                f"{path} is a checkpoint of another model than {paths[0]}: train into a new folder"
            )
        for name, one in last.items():
            wide = one.double() if one.is_floating_point() else one
            total[name] = total[name] + wide if name in total and one.is_floating_point() else wide
    return {
        name: (total[name] / len(paths)).to(one.dtype) if one.is_floating_point() else one
        for name, one in last.items()
    }


def _validation_items(data: Path) -> list[list[int]]:
    index, tokens = split_files(data, "valid", TableManifest.load(data)).read()
    ends = index.sizes[:_MOST_ROWS].cumsum().tolist()
    return [tokens[begin:end].tolist() for begin, end in zip([0, *ends], ends)]
