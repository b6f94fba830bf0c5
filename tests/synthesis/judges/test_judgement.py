"""The judges see what is wrong with rows, and find nothing where nothing is."""

import json
from dataclasses import replace

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.judges.discriminator import Discrimination
from fairseq_plugin.synthesis.judges.judgement import judge_rows
from fairseq_plugin.synthesis.judges.rows import JudgedRows, judged_rows
from fairseq_plugin.synthesis.judges.verdict import BAD, FAIR, GOOD, WORTHLESS, as_text, verdict_on
from tests.synthesis.judges.made_rows import NAMES, SCHEMA, made_cells, made_rows

TRAIN, HELD_OUT = made_rows(400, 1), made_rows(300, 2)


def judged(synthetic, **more):
    return judge_rows(TRAIN, HELD_OUT, synthetic, **{"target": "y", "seeds": 1, "trees": 15, **more})


def test_rows_of_the_same_distribution_pass():
    judgement = judged(made_rows(400, 3))
    verdict = verdict_on(judgement)
    assert [finding.tone for finding in verdict.findings] == [GOOD] * 5, as_text(verdict)
    assert verdict.status == 0
    assert abs(judgement.held_out.forest - 0.5) < 3 * judgement.held_out.error
    assert abs(judgement.held_out.boosted - 0.5) < 3 * judgement.held_out.error
    assert judgement.closeness.copied == judgement.closeness.held_out_copied == 0
    json.dumps(judgement.to_json(), allow_nan=False)


def test_copies_of_training_rows_raise_the_alarm():
    copies = JudgedRows(TRAIN.columns, TRAIN.values_NC, TRAIN.cells)
    judgement = judged(copies)
    verdict = verdict_on(judgement)
    assert judgement.train.forest < 0.3 and judgement.closeness.copied == 1
    assert verdict.status == WORTHLESS and "repeat training rows" in as_text(verdict).split("\n")[1]


def test_copies_with_a_little_noise_raise_the_alarm_too():
    noisy = JudgedRows(TRAIN.columns, TRAIN.values_NC + [0, 0, 1, 0], [(*row, "new") for row in TRAIN.cells])
    judgement = judged(noisy)
    assert judgement.closeness.copied == 0
    assert judgement.closeness.synthetic[0] < 0.1 * judgement.closeness.held_out[0]
    found = {finding.sentence[:30]: finding.tone for finding in verdict_on(judgement).findings}
    assert found["The rows repeat training rows:"] == BAD


def test_parts_of_training_rows_are_told_too():
    judgement = replace(judged(made_rows(400, 3)), train=Discrimination(0.38, 0.41, 400))
    found = [
        one for one in verdict_on(judgement).findings if "Parts of training rows come back" in one.sentence
    ]
    assert [one.tone for one in found] == [FAIR]


def test_independent_columns_are_told_apart():
    judgement = judged(made_rows(400, 3, independent=True))
    assert judgement.held_out.forest > 0.75 and judgement.held_out.boosted > 0.75
    assert judgement.mean_marginal[0] < 2 * judgement.mean_marginal[1] + 0.02
    assert judgement.pairs.synthetic > 3 * judgement.pairs.real
    assert judgement.usefulness.synthetic.forest < 0.1 < 0.8 < judgement.usefulness.real.forest
    verdict = verdict_on(judgement)
    assert verdict.status == WORTHLESS and "teach next to nothing" in as_text(verdict)


def test_a_column_of_another_distribution_is_named():
    cells = [[*row[:4], "9" if row[4] < "5" else row[4]] for row in made_cells(400, 3)]
    text = as_text(verdict_on(judged(judged_rows(SCHEMA, NAMES, cells))))
    assert "'z' (KS 0." in text and "'x'" not in text


def test_a_category_is_a_target_and_what_no_column_holds_is_a_value_of_its_own():
    cells = [[*row[:2], "?", *row[3:]] for row in made_cells(400, 3)]
    rows = judged_rows(SCHEMA, NAMES, cells)
    judgement = judged(rows, target="kind")
    assert judgement.usefulness.measure == "balanced accuracy"
    assert judgement.usefulness.real.forest > 0.8 and judgement.usefulness.synthetic.forest == 0
    assert judgement.marginals[1].synthetic == 1


def test_the_same_seed_judges_alike_and_too_few_rows_are_refused():
    rows = made_rows(100, 3)
    assert judged(rows).to_json() == judged(rows).to_json()
    assert judged(rows, target=None).usefulness is None
    with pytest.raises(UserError, match="19 new rows"):
        judged(made_rows(19, 3))
    with pytest.raises(UserError, match="19 held-out rows"):
        judge_rows(TRAIN, made_rows(19, 4), rows)
