"""What the generator itself says of the labels of an augmented set, beside the independent classifier."""

from dataclasses import replace

from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.judges.quality import calibrate, doubtful_rows
from fairseq_plugin.augment.judges.words import Judged, JudgedByModel, JudgedRows, agreement
from fairseq_plugin.reports.statistics import draw


def judge_by_model(
    judged: Judged, rows: JudgedRows, model: BayesJudge, most_rows: int | None = None
) -> Judged:
    """Add the model's own opinion by Bayes' rule.

    Args:
        judged: what the classifier said of the same rows.
        rows: of the data and of the augmented set.
        model: that wrote the set, or another one of the same data.
        most_rows: of valid, of train and of the set, drawn by the judge's seed; None: all.

    Raises:
        UserError: a model whose outputs are not finite.
    """
    names, seed = judged.labels, judged.seed

    def some(examples: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return examples if most_rows is None else draw(examples, most_rows, seed)

    synthetic, train, valid = some(rows.synthetic), some(rows.train), some(rows.valid)
    found = {
        part: model.probabilities([text for _, text in examples])
        for part, examples in (("synthetic", synthetic), ("train", train), ("valid", valid))
    }
    agrees = {
        part: agreement([label for label, _ in examples], found[part].argmax(axis=1), names)
        for part, examples in (("synthetic", synthetic), ("valid", valid))
    }
    calibration = [*judged.calibration]
    if valid:
        calibration.append(calibrate(model.name, found["valid"], [label for label, _ in valid]))
    doubtful = doubtful_rows(train, found["train"], names) + doubtful_rows(valid, found["valid"], names)
    return replace(
        judged,
        by_model=JudgedByModel(agrees["valid"] if valid else None, agrees["synthetic"]),
        calibration=calibration,
        doubtful=sorted(doubtful, key=lambda row: row.probability),
    )
