"""All judges of new rows together, and what they say as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.closeness import Closeness, closeness
from fairseq_plugin.synthesis.judges.discriminator import FEWEST_ROWS, TREES, Discrimination, discriminate
from fairseq_plugin.synthesis.judges.marginals import Marginal, marginals
from fairseq_plugin.synthesis.judges.pairs import Pairs, pairs
from fairseq_plugin.synthesis.judges.rows import JudgedRows
from fairseq_plugin.synthesis.judges.usefulness import SEEDS, Usefulness, usefulness


class TooFewRows(UserError):
    """There is nothing to judge by."""


@dataclass(frozen=True)
class Judgement:
    """What the judges say.

    Attributes:
        rows: training, held-out and new rows.
        marginals: each column.
        pairs: each pair of columns.
        held_out: new rows against held-out rows; None: too few of one kind.
        train: new rows against training rows.
        usefulness: TSTR beside TRTR; None without a target.
        closeness: to training rows.
    """

    rows: tuple[int, int, int]
    marginals: Sequence[Marginal]
    pairs: Pairs
    held_out: Discrimination | None
    train: Discrimination | None
    usefulness: Usefulness | None
    closeness: Closeness

    @property
    def mean_marginal(self) -> tuple[float, float]:
        """KS and TV, mean over the columns: of new rows, of held-out rows."""
        count = len(self.marginals)
        return sum(one.synthetic for one in self.marginals) / count, sum(
            one.real for one in self.marginals
        ) / count

    def to_json(self) -> dict[str, Any]:
        """Plain values: every figure of the judges."""
        stated = asdict(self)
        for name in ("train_CC", "held_out_CC", "synthetic_CC"):
            stated["pairs"][name] = getattr(self.pairs, name).round(4).tolist()
        stated["pairs"] |= {"synthetic": self.pairs.synthetic, "real": self.pairs.real}
        stated["mean_marginal"] = dict(zip(("synthetic", "real"), self.mean_marginal))
        return _finite(stated)


def judge_rows(
    train: JudgedRows,
    held_out: JudgedRows,
    synthetic: JudgedRows,
    target: str | None = None,
    seed: int = 1,
    seeds: int = SEEDS,
    trees: int = TREES,
) -> Judgement:
    """Judge new rows.

    Args:
        train: the rows that the model learnt.
        held_out: real rows that it never saw, not even for early stopping.
        synthetic: the new rows.
        target: the column that models of the table predict.
        seed: of everything that is drawn.
        seeds: models of each kind that learn the target.
        trees: of each model.

    Raises:
        TooFewRows: fewer than ``FEWEST_ROWS`` held-out or new ones.
        UserError: no column to judge.
    """
    for what, rows in (("held-out", held_out), ("new", synthetic)):
        if len(rows) < FEWEST_ROWS:
            raise TooFewRows(f"{len(rows)} {what} rows say nothing: the judges need at least {FEWEST_ROWS}")
    if not train.columns:
        raise UserError("no column can be judged: all are keys, constants or dropped")
    return Judgement(
        (len(train), len(held_out), len(synthetic)),
        marginals(train, held_out, synthetic),
        pairs(train, held_out, synthetic),
        discriminate(held_out, synthetic, seed, trees),
        discriminate(train, synthetic, seed, trees),
        usefulness(train, held_out, synthetic, target, seed, seeds, trees),
        closeness(train, held_out, synthetic, seed),
    )


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
