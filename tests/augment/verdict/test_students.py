"""Students learn what can be learnt, answer alike for the same seed, and stop where dev alone tells them."""

import random

import numpy as np
import pytest
import torch

from fairseq_plugin.augment.verdict import students
from fairseq_plugin.augment.verdict.fairseq_student import SENTENCE_PREDICTION
from fairseq_plugin.augment.verdict.neural_students import BILSTM, NGRAM_BAG
from fairseq_plugin.augment.verdict.students import BagOfWords

STUDENTS = [BagOfWords(), NGRAM_BAG, BILSTM]
NAMES = [student.name for student in STUDENTS]


def made(count, seed):
    """Sentences that common words fill and a few words of their own label tell apart."""
    generator = random.Random(seed)
    common = [f"w{number}" for number in range(20)]
    rows = []
    for number in range(count):
        label = number % 2
        own = [f"{'abc'[generator.randrange(3)]}{label}" for _ in range(2)]
        rows.append((label, " ".join(generator.sample([*generator.choices(common, k=5), *own], 7))))
    return rows


@pytest.fixture(scope="module")
def world():
    return {"train": made(100, 1), "dev": made(40, 2), "test": made(100, 3)}


def accuracy(student, train, dev, test, **options):
    found = student.answers(train, dev, [text for _, text in test], seed=1, **options)
    return (found == [label for label, _ in test]).mean()


@pytest.mark.parametrize("student", STUDENTS, ids=NAMES)
def test_every_student_learns_a_set_that_can_be_told_apart(student, world):
    assert accuracy(student, world["train"], world["dev"], world["test"]) > 0.85


@pytest.mark.parametrize("student", STUDENTS, ids=NAMES)
def test_the_same_seed_gives_the_same_answers_whatever_came_before(student, world):
    train, dev, texts = world["train"][:60], world["dev"], [text for _, text in world["test"]]
    first = student.answers(train, dev, texts, seed=5)
    torch.rand(3)  # somebody else draws
    random.random()
    state = torch.get_rng_state()
    assert np.array_equal(first, student.answers(train, dev, texts, seed=5))
    assert torch.equal(state, torch.get_rng_state()) and torch.get_num_threads() >= 1


@pytest.mark.parametrize("student", STUDENTS, ids=NAMES)
def test_texts_do_not_change_each_others_answers(student, world):
    train, dev, texts = world["train"][:60], world["dev"], [text for _, text in world["test"]]
    together = student.answers(train, dev, texts, seed=5)
    assert np.array_equal(together[:3], student.answers(train, dev, texts[:3], seed=5))


@pytest.mark.parametrize("student", STUDENTS, ids=NAMES)
def test_empty_unknown_and_foreign_texts_are_answered(student, world):
    found = student.answers(world["train"][:40], world["dev"][:9], ["", "xyzzy", "日本語"], seed=1)
    assert set(found) <= {0, 1} and len(found) == 3


@pytest.mark.parametrize("student", STUDENTS, ids=NAMES)
def test_one_label_no_dev_and_no_text_are_survived(student, world):
    assert student.answers([(3, "a"), (3, "b")], [], ["c"], seed=1).tolist() == [3]
    assert student.answers(world["train"][:9], [], [], seed=1).shape == (0,)
    assert student.answers([(0, "good"), (2, "bad")] * 20, [], ["bad", "good"], seed=1).tolist() == [2, 0]


@pytest.mark.parametrize("student", [NGRAM_BAG, BILSTM], ids=NAMES[1:])
def test_dev_chooses_the_network(student, world):
    """Labels of train are wrong at random; a dev of right labels does better than one of turned labels."""
    generator, test = random.Random(1), world["test"]
    noisy = [(label if generator.random() < 0.6 else 1 - label, text) for label, text in world["train"]]
    turned = [(1 - label, text) for label, text in world["dev"]]
    assert accuracy(student, noisy, world["dev"], test) > accuracy(student, noisy, turned, test)


@pytest.mark.parametrize("student", [NGRAM_BAG, BILSTM], ids=NAMES[1:])
def test_patience_never_ends_with_less_on_dev_than_a_few_passes(student, world):
    train, dev = world["train"][:10], world["dev"]
    few, patient = (accuracy(student, train, dev, dev, to_patience=patience) for patience in (False, True))
    assert few <= patient and few < 1


def test_soft_labels_weigh_a_row_for_every_label():
    """A row of shares 3/4 and 1/4 counts as three rows of one label and one of the other would."""
    texts = ["good film", "fine film", "bad film", "poor film", "odd film"]
    train = [(0, texts[0]), (0, texts[1]), (1, texts[2]), (1, texts[3]), (0, texts[4])]
    places, labels, weights = students._weighted(train, {texts[4]: np.array([0.75, 0.25])})
    assert places.tolist() == [0, 1, 2, 3, 4, 4] and labels.tolist() == [0, 0, 1, 1, 0, 1]
    assert weights.tolist() == [1, 1, 1, 1, 0.75, 0.25]
    hard = students.bag_of_words_answers(train, texts, seed=1)
    certain = {text: np.eye(2)[label] for label, text in train}
    assert (students.bag_of_words_answers(train, texts, 1, certain) == hard).all()


@pytest.mark.slow
def test_fairseqs_sentence_prediction_is_a_student_too(world):
    train, dev, test = world["train"], world["dev"], world["test"]
    answers = SENTENCE_PREDICTION.answers(train, dev, [text for _, text in test], seed=1)
    assert (answers == [label for label, _ in test]).mean() > 0.85
    again = SENTENCE_PREDICTION.answers(train, dev, ["", "日本語", test[0][1]], seed=1)
    assert again[2] == answers[0] and set(again) <= {0, 1}
    assert SENTENCE_PREDICTION.answers([(3, "a"), (3, "b")], [], ["c"], seed=1).tolist() == [3]
    found = SENTENCE_PREDICTION.answers([(0, "good"), (2, "bad")] * 20, [], ["bad", "good"], seed=1)
    assert found.tolist() == [2, 0]
