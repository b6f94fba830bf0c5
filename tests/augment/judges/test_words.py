"""The judge: figures against a literal count, any number of labels, the same answer every time."""

import json
import math

import pytest

from fairseq_plugin.augment.augmented_set import Options
from fairseq_plugin.augment.generations.collect import collect
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.judges.words import (
    JudgedRows,
    LabelAgreement,
    agree,
    describe,
    judge_samples,
    train_judge,
)
from fairseq_plugin.augment.set_report import rewrite_report
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.text.table import cells
from tests.augment.made_generation import ANY_WORDS, Made, make_data, write_generation
from tests.augment.made_job import train_model

NAMES = ["a", "b", "c"]
WORDS = (["red", "scarlet"], ["blue", "navy"], ["green", "olive"])
TRAIN = [
    (f"{word} {thing}", label)
    for label, row in enumerate(WORDS)
    for word in row
    for thing in ("hat", "coat", "car")
]


class Fixed:
    """A judge that answers what it is told."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, texts):
        return self.answers[: len(texts)]


def test_agreement_is_a_count_by_label():
    given, judged = [0, 0, 0, 1, 1], [0, 0, 1, 1, 2]
    found = agree(Fixed(judged), [(label, "x") for label in given], NAMES)
    assert found.rows == 5 and found.share == 3 / 5
    assert found.by_label == {
        "a": LabelAgreement(3, 2 / 3),
        "b": LabelAgreement(2, 1 / 2),
        "c": LabelAgreement(0, None),
    }
    assert found.confusion == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    told = describe(found, NAMES)
    assert "60.0" in told[0] and len(told) == 1 + 3 + 1 + 3


def test_no_rows_give_no_share():
    assert agree(Fixed([]), [], NAMES).share is None


def test_a_judge_learns_any_number_of_labels_and_gives_the_same_answer_twice():
    texts, labels = zip(*TRAIN)
    judges = [train_judge(list(texts), list(labels)) for _ in range(2)]
    new = ["a scarlet dress", "navy shoes", "an olive tree"]
    assert [list(judge.predict(new)) for judge in judges] == [[0, 1, 2]] * 2


@pytest.mark.parametrize(("texts", "labels"), [(["a b"], [0]), (["\n", " "], [0, 1])])
def test_a_set_that_teaches_nothing_is_refused(texts, labels):
    with pytest.raises(UserError, match="judge"):
        train_judge(texts, labels)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    data = make_data(folder)
    right = [[Made("a lifeless mess and a bad plot")], [Made("a warm joy of a film with wit and heart")]]
    results = write_generation(folder / "r", data, right)
    collect([results], data, folder / "out")
    collect(
        [results], data, folder / "joined", Options(**ANY_WORDS, join_train=True, report=False, binary=False)
    )
    return folder


def test_only_synthetic_rows_are_judged_also_in_a_joined_set(world):
    for name in ("out", "joined"):
        found = judge_samples(JudgedRows.read(world / "data", world / name))
        assert found.synthetic.rows == 2 and found.synthetic.share == 1.0
        assert found.valid.rows == 3 and found.train_rows == 12 and found.labels == ["neg", "pos"]


def test_the_script_prints_both_figures_and_writes_them(world, run_script, tmp_path):
    done = run_script(
        "judge_agreement.py",
        "--data",
        world / "data",
        "--samples",
        world / "out",
        "--json",
        tmp_path / "j.json",
    )
    assert "the judge's own accuracy" in done.stdout and "synthetic rows" in done.stdout
    assert '"share": 1.0' in (tmp_path / "j.json").read_text()


def test_both_judges_tell_how_far_they_can_be_trusted(world, run_script, tmp_path):
    checkpoint = train_model(world / "data", tmp_path / "model.pt")
    words = ("--data", world / "data", "--samples", world / "out", "--path", checkpoint)
    done = run_script("judge_agreement.py", *words, "--json", tmp_path / "j.json")
    assert "TF-IDF, logistic regression: right in" in done.stdout
    assert "this model (Bayes): right in" in done.stdout and "the model does not believe" in done.stdout
    stated = json.loads((tmp_path / "j.json").read_text())
    valid, model = read_texts(world / "data", "valid"), BayesJudge.load(checkpoint, world / "data")
    found = model.probabilities([text for _, text in valid])
    own, by_model = stated["calibration"]
    assert own["rows"] == by_model["rows"] == 3
    assert by_model["accuracy"] == stated["by_model"]["valid"]["share"]
    loss = -sum(math.log(found[number, label]) for number, (label, _) in enumerate(valid)) / 3
    assert by_model["log_loss"] == pytest.approx(loss)
    assert stated["by_model"]["synthetic"]["rows"] == 2
    rewrite_report(world / "out", world / "data", judge=tmp_path / "j.json")
    page = (world / "out" / "report.html").read_text()
    assert "How far the judges can be trusted" in page and "this model (Bayes)" in page
    assert ("Real rows to look at again" in page) == bool(stated["doubtful"])
    half = run_script("judge_agreement.py", *words, "--most-rows", 2, "--json", tmp_path / "h.json")
    assert json.loads((tmp_path / "h.json").read_text())["calibration"][0]["rows"] == 2 and half.stdout


def test_a_set_of_other_data_or_a_changed_file_is_refused(world, tmp_path):
    other = make_data(tmp_path / "other", seed=2, vocab_size=290)
    with pytest.raises(UserError, match="made with the data"):
        JudgedRows.read(other, world / "out")
    with pytest.raises(UserError, match="not an augmented set"):
        JudgedRows.read(world / "data", world / "r")
    folder = tmp_path / "out"
    collect([world / "r"], world / "data", folder)
    (folder / "train.tsv").write_text("sentence\tlabel\n")
    with pytest.raises(UserError, match="changed since"):
        JudgedRows.read(world / "data", folder)


def test_a_label_is_known_by_a_word_of_a_language_without_spaces():
    """In whole clauses as words it would never be met again."""
    texts = [f"{before}{word}{after}" for word in ("好", "坏") for before in "这那哪" for after in "吗呢吧"]
    judge = train_judge(texts, [0] * 9 + [1] * 9)
    assert list(judge.predict(["我觉得很好", "我觉得很坏"])) == [0, 1]


def test_the_table_of_labels_stands_straight_in_any_script():
    names = ["好评", "差评", "neutral"]
    found = agree(Fixed([0, 1, 2]), [(0, "x"), (1, "x"), (2, "x")], names)
    *shares, head, first, second, third = describe(found, names)
    assert len({cells(line) for line in (head, first, second, third)}) == 1
    assert len({cells(line.partition("%")[0]) for line in shares}) == 1
