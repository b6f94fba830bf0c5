"""How probable the model finds texts given their labels, and their labels given the texts: values by row."""

import math
from collections.abc import Sequence

from fairseq_plugin.augment.judges.bayes import BayesJudge


def score_examples(
    judge: BayesJudge, examples: Sequence[tuple[int, str] | None], num_labels: int
) -> list[list[float]]:
    """The values of :class:`~fairseq_plugin.augment.judges.score_columns.ScoreColumns`, unrounded.

    Args:
        judge: the model.
        examples: label index and text; None where one of them is missing.
        num_labels: L.

    Returns:
        Of each example ``2 + L`` values: log p(text and its end | its label) in nats, p(its label | text),
        and p(label | text) of every label. All NaN where there is no example, or a text that the tokenizer
        would change or the model has no room for.

    Raises:
        UserError: a model whose outputs are not finite.
    """
    known = [(number, *example) for number, example in enumerate(examples) if example is not None]
    whole = judge.reads_whole([text for _, _, text in known])
    read = [one for one, is_whole in zip(known, whole, strict=True) if is_whole]
    likelihood_NL = judge.log_likelihoods([text for _, _, text in read])
    posterior_NL = judge.posterior(likelihood_NL)
    values = [[math.nan] * (2 + num_labels) for _ in examples]
    for (number, label, _), own_L, probability_L in zip(read, likelihood_NL, posterior_NL, strict=True):
        values[number] = [float(own_L[label]), float(probability_L[label]), *probability_L.tolist()]
    return values
