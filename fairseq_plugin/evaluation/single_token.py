"""Teacher-forced numbers of a split: perplexity, accuracy, rank, and repetition of the recent past.

At every position of the stream the model has read the true tokens before it (those in its window):

* ``ppl`` = exp(mean negative log-likelihood in nats) per token of the tokenizer, ends of documents included;
  ``ppl per word`` (and character, byte) = exp(the same total / number of words of the split). Ends are scored and
  are no words. Only per word, character and byte can be compared between tokenizers.
* ``acc`` (hits@1), ``hits@10``: the target is the arg max, or among the ten best; ``rank``: its mean place, from 1.
* ``rep/l``: share of positions whose arg max is one of the previous l targets; ``wrep/l``: and is wrong; the human
  column has the share of *targets* that are. "The previous l targets" lie inside the window, those read again as
  context included: what stands before the window is unknown to the model and counts for nobody. The first positions
  of a window have a shorter past; with --context C every position (but the text's first ones) has C tokens at
  least. Where l exceeds the window no position has a past of l, and there is no number.
* ``uniq``: distinct arg maxes over the split; in the human column, distinct targets.

Intervals are over windows. ``uniq`` has none: it is no sum.
"""

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from fairseq_plugin.core.single_token import WINDOWS, single_token_counts
from fairseq_plugin.evaluation.bootstrap import measure
from fairseq_plugin.evaluation.columns import Column
from fairseq_plugin.evaluation.perplexity import score_windows
from fairseq_plugin.evaluation.windows import cut

_NOTHING = -100  # no token has this index


@dataclass(frozen=True)
class Cutting:
    """How the stream is cut.

    Args:
        window, context: tokens, see :func:`~fairseq_plugin.evaluation.windows.cut`.
    """

    window: int
    context: int = 0


def single_token_columns(systems, text, cutting, batch=8, **bootstrap):
    """Score a split with each system.

    Args:
        systems: list of :class:`~fairseq_plugin.evaluation.systems.System`.
        text: a :class:`~fairseq_plugin.evaluation.split_text.SplitText`.
        cutting: a :class:`Cutting`.
        batch: windows at once.
        **bootstrap: ``resamples``, ``seed``, ``level``.

    Returns:
        A :class:`~fairseq_plugin.evaluation.columns.Column` per system, and the human one last.
    """
    windows = cut(len(text.stream), cutting.window, cutting.context)
    pasts = [past for past in WINDOWS if past <= cutting.window]
    columns = []
    for system in systems:
        sums, predicted = _sums(system, text.stream, windows, pasts, batch)
        column = Column(system.name, group="single-token")
        units = ("windows", text.sha256, cutting.window, cutting.context)
        column.take(measure(sums, _statistics(text.counts, pasts), units, **bootstrap))
        column.values["uniq"] = len(predicted)
        columns.append(column)
    human = Column("human")
    # The human numbers are the same whichever model was asked.
    human.take(measure(sums, _human_statistics(pasts), units, **bootstrap), keep_parts=False)
    human.values["uniq"] = len(np.unique(text.stream))
    return [*columns, human]


def window_counts(stream, scored, pasts=WINDOWS):
    """What one window adds to each sum.

    Args:
        stream: int64 array of dictionary indices.
        scored: a :class:`~fairseq_plugin.evaluation.perplexity.Scored`.
        pasts: the l of rep/l.

    Returns:
        ``{name: number}``.
    """
    window = scored.window
    target_1T = torch.from_numpy(np.array(stream[window.first : window.end])).unsqueeze(0)
    num_context = window.start - window.first
    predicted_1T, rank_1T = target_1T.clone(), torch.ones_like(target_1T)
    predicted_1T[0, num_context:] = torch.from_numpy(scored.predicted_N)
    rank_1T[0, num_context:] = torch.from_numpy(scored.rank_N)
    counts = _counts(predicted_1T, target_1T, rank_1T, pasts)
    if num_context:
        # Context targets are in the past of the scored ones but are not scored themselves: a position's counts
        # depend on its own past only, so theirs can be taken off again.
        context = (part_1T[:, :num_context] for part_1T in (predicted_1T, target_1T, rank_1T))
        before = _counts(*context, pasts)
        counts = {name: value - before[name] for name, value in counts.items()}
    return counts | {"nll": float(np.sum(scored.nll_N))}


def _counts(predicted_1T, target_1T, rank_1T, pasts):
    found = single_token_counts(predicted_1T, target_1T, rank_1T, ignore_index=_NOTHING, windows=tuple(pasts))
    return {name: float(value) for name, value in found.items()}


def _sums(system, stream, windows, pasts, batch):
    rows, predicted = [], set()
    with tqdm(total=len(windows), desc=f"{system.name} single-token", unit="window", disable=None) as bar:
        for scores in score_windows(system.gpt2, stream, windows, batch):
            rows += [window_counts(stream, scored, pasts) for scored in scores]
            for scored in scores:
                predicted.update(scored.predicted_N.tolist())
            bar.update(len(scores))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, predicted


def _statistics(counts, pasts):
    statistics = {"ppl": lambda s: np.exp(s["nll"] / s["num_scored"])}
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


def _human_statistics(pasts):
    return {f"rep/{past}": _share(f"human_rep_{past}") if past in pasts else _no_number for past in WINDOWS}


def _perplexity_per(tokens_per_unit):
    return lambda s: np.exp(s["nll"] / s["num_scored"] * tokens_per_unit)


def _no_number(sums):
    return np.full_like(sums["num_scored"], np.nan)


def _share(name):
    return lambda s: s[name] / s["num_scored"]
