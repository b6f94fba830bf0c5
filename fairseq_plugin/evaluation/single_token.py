"""Teacher-forced numbers of a split: perplexity, accuracy, rank, and repetition of the recent past.

At every position of the stream the model has read the true tokens before it (those in its window):

* ``ppl`` = exp(mean negative log-likelihood in nats) per token of the tokenizer, ends of documents included;
  ``ppl per word`` (and character, byte) = exp(the same total / number of words of the split). Ends are scored
  and are not words. Only per word, character and byte can be compared between tokenizers.
* ``acc`` (hits@1), ``hits@10``: the target is the arg max, or among the ten best; ``rank``: its mean place,
  from 1.
* ``rep/l``: share of positions whose arg max is one of the previous l targets; ``wrep/l``: and is wrong; the
  human column has the share of *targets* that are. "The previous l targets" lie inside the window, those read
  again as context included: what is before the window is unknown to the model and counts for no one. The
  first positions of a window have a shorter past; with --context C every position (but the text's first ones)
  has C tokens at least. Where l exceeds the window no position has a past of l, and the metric has no value.
* ``uniq``: distinct arg maxes over the split; in the human column, distinct targets.

Intervals are over windows. ``uniq`` has none: it is not a sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_plugin.core.single_token import WINDOWS, single_token_counts
from fairseq_plugin.evaluation.columns import Column
from fairseq_plugin.evaluation.perplexity import Scored, score_windows
from fairseq_plugin.evaluation.split_text import SplitText
from fairseq_plugin.evaluation.systems import System
from fairseq_plugin.evaluation.windows import Window, cut
from fairseq_plugin.reports.bootstrap import DEFAULT, Bootstrap, Statistic, Totals, measure

_NOTHING = -100  # no token has this index


@dataclass(frozen=True)
class Cutting:
    """How the stream is cut.

    Args:
        window, context: tokens, see :func:`~fairseq_plugin.evaluation.windows.cut`.
    """

    window: int
    context: int = 0


def single_token_columns(
    systems: Sequence[System],
    text: SplitText,
    cutting: Cutting,
    batch: int = 8,
    bootstrap: Bootstrap = DEFAULT,
) -> list[Column]:
    """Score a split with each system.

    Args:
        systems: at least one.
        text: the split.
        cutting: into windows.
        batch: windows at once.
        bootstrap: of the intervals, over windows.

    Returns:
        A column per system, and the human one last.
    """
    if not systems:
        raise ValueError("there is no system to score")
    windows = cut(len(text.stream), cutting.window, cutting.context)
    pasts = [past for past in WINDOWS if past <= cutting.window]
    units = ("windows", text.sha256, cutting.window, cutting.context)
    columns: list[Column] = []
    sums: Totals = {}
    for system in systems:
        sums, predicted = _sums(system, text.stream, windows, pasts, batch)
        column = Column(system.name, group="single-token")
        column.take(measure(sums, _statistics(text.counts, pasts), units, bootstrap))
        column.values["uniq"] = len(predicted)
        columns.append(column)
    human = Column("human")
    # The human numbers are the same whichever model was asked.
    human.take(measure(sums, _human_statistics(pasts), units, bootstrap), keep_parts=False)
    human.values["uniq"] = len(np.unique(text.stream))
    return [*columns, human]


def window_counts(
    stream: NDArray[np.int64], scored: Scored, pasts: Sequence[int] = WINDOWS
) -> dict[str, float]:
    """What one window adds to each sum.

    Args:
        stream: dictionary indices.
        scored: the window.
        pasts: the l of rep/l.
    """
    window = scored.window
    target_1T = torch.from_numpy(np.array(stream[window.first : window.end])).unsqueeze(0)
    num_context = window.start - window.first
    predicted_1T, rank_1T = target_1T.clone(), torch.ones_like(target_1T)
    predicted_1T[0, num_context:] = torch.from_numpy(scored.predicted_N)
    rank_1T[0, num_context:] = torch.from_numpy(scored.rank_N)
    counts = _counts(predicted_1T, target_1T, rank_1T, pasts)
    if num_context:
        # Context targets are in the past of the scored ones but are not scored themselves: a position's
        # counts depend on its own past only, so theirs can be taken off again.
        before = _counts(
            predicted_1T[:, :num_context], target_1T[:, :num_context], rank_1T[:, :num_context], pasts
        )
        counts = {name: value - before[name] for name, value in counts.items()}
    return counts | {"nll": float(np.sum(scored.nll_N))}


def _counts(
    predicted_1T: torch.Tensor, target_1T: torch.Tensor, rank_1T: torch.Tensor, pasts: Sequence[int]
) -> dict[str, float]:
    found = single_token_counts(predicted_1T, target_1T, rank_1T, ignore_index=_NOTHING, windows=tuple(pasts))
    return {name: float(value) for name, value in found.items()}


def _sums(
    system: System, stream: NDArray[np.int64], windows: Sequence[Window], pasts: Sequence[int], batch: int
) -> tuple[Totals, set[int]]:
    """What each window adds to each sum, and the tokens predicted anywhere."""
    counts: list[dict[str, float]] = []
    predicted: set[int] = set()
    with tqdm(total=len(windows), desc=f"{system.name} single-token", unit="window", disable=None) as bar:
        for scores in score_windows(system.gpt2, stream, windows, batch):
            counts += [window_counts(stream, scored, pasts) for scored in scores]
            for scored in scores:
                predicted.update(scored.predicted_N.tolist())
            bar.update(len(scores))
    return {name: np.array([one[name] for one in counts]) for name in counts[0]}, predicted


def _statistics(counts: Mapping[str, int], pasts: Sequence[int]) -> dict[str, Statistic]:
    statistics: dict[str, Statistic] = {"ppl": lambda s: np.exp(s["nll"] / s["num_scored"])}
    for unit in ("word", "character", "byte"):
        number = counts.get(f"{unit}s", 0)
        if number:
            statistics[f"ppl per {unit}"] = _perplexity_per(counts["tokens"] / number)
    statistics["acc"] = lambda s: s["hits1"] / s["num_scored"]
    statistics["hits@10"] = lambda s: s["hits10"] / s["num_scored"]
    statistics["rank"] = lambda s: s["rank_sum"] / s["num_scored"]
    for kind in ("rep", "wrep"):
        for past in WINDOWS:
            statistics[f"{kind}/{past}"] = _share(f"{kind}_{past}") if past in pasts else _no_number
    return statistics


def _human_statistics(pasts: Sequence[int]) -> dict[str, Statistic]:
    return {f"rep/{past}": _share(f"human_rep_{past}") if past in pasts else _no_number for past in WINDOWS}


def _perplexity_per(tokens_per_unit: float) -> Statistic:
    return lambda s: np.exp(s["nll"] / s["num_scored"] * tokens_per_unit)


def _no_number(sums: Totals) -> NDArray[np.float64]:
    return np.full_like(sums["num_scored"], np.nan)


def _share(name: str) -> Statistic:
    return lambda s: s[name] / s["num_scored"]
