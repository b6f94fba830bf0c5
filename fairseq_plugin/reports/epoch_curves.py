"""A run by epochs: what is not seen update by update.

Each epoch has one point: the mean over its training intervals, and the best of its validations. The gap
between the two losses, at each epoch, tells when a model begins to learn by heart.
"""

import math

from fairseq_plugin.reports.training_log import Curves, Points, epochs_at

GAP = "gap"  # validation loss minus training loss, bits per token
_CHOOSES = ("loss", "nll_loss")  # the validation of an epoch
_LEAST_EPOCHS = 2


def by_epoch(curves: Curves) -> Curves | None:
    """The curves of a run, by epochs (counted from 1) instead of updates.

    Returns:
        None where the log tells no epochs, or fewer than two: there is nothing to compare.
    """
    train = {name: _means(curves.epochs, points) for name, points in curves.train.items()}
    chosen = _best_of_each(curves)
    valid = {
        name: [(epoch, dict(points)[update]) for epoch, update in chosen.items() if update in dict(points)]
        for name, points in curves.valid.items()
    }
    train, valid = ({name: own for name, own in side.items() if own} for side in (train, valid))
    epochs = {epoch for side in (train, valid) for points in side.values() for epoch, _ in points}
    if len(epochs) < _LEAST_EPOCHS:
        return None
    own = dict(train.get("loss", ()))
    gap = [(epoch, loss - own[epoch]) for epoch, loss in valid.get("loss", ()) if epoch in own]
    if gap:
        valid[GAP] = gap
    return Curves(train, valid, [(epoch, float(epoch)) for epoch in sorted(epochs)])


def _epoch(clock: Points, update: int) -> int | None:
    """The epoch in which an update is, from 1."""
    (done,) = epochs_at(clock, [update]) or [None]
    return None if done is None else max(1, math.ceil(done - 1e-3))


def _means(clock: Points, points: Points) -> Points:
    groups: dict[int, list[float]] = {}
    for update, value in points:
        epoch = _epoch(clock, update)
        if epoch is not None:
            groups.setdefault(epoch, []).append(value)
    return [(epoch, sum(values) / len(values)) for epoch, values in sorted(groups.items())]


def _best_of_each(curves: Curves) -> dict[int, int]:
    """The update of each epoch's best validation, by epoch."""
    points = next((curves.valid[name] for name in _CHOOSES if curves.valid.get(name)), [])
    found: dict[int, tuple[float, int]] = {}
    for update, loss in points:
        epoch = _epoch(curves.epochs, update)
        if epoch is not None and (epoch not in found or loss < found[epoch][0]):
            found[epoch] = (loss, update)
    return {epoch: update for epoch, (_, update) in sorted(found.items())}
