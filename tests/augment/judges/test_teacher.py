"""A teacher of one's own: its scores are taken as they are said, and what is wrong with them is said."""

import sys

import numpy as np
import pytest

from fairseq_plugin.augment.judges.teacher import FileTeacher, FunctionTeacher, load_teacher
from fairseq_plugin.errors import UserError

LABELS = ["neg", "pos"]
MODULE = """
import numpy as np

def lengths(texts, labels):
    assert labels == ["neg", "pos"]
    return [[1, len(text)] for text in texts]

def flat(texts, labels):
    return np.ones(len(texts))

def nothing(texts, labels):
    return np.zeros((len(texts), 2))

def words(texts, labels):
    return "many"

def broken(texts, labels):
    return texts[99]
"""


@pytest.fixture
def teachers(tmp_path, monkeypatch):
    (tmp_path / "own_teachers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_teachers", None)


def test_scores_of_a_file_are_matched_by_text_whatever_the_order_of_its_columns(tmp_path):
    (tmp_path / "t.tsv").write_bytes(b"pos\tsentence\tneg\r\n3\ta film \t1\r\n0\tb\t2e1\r\n")
    teacher = load_teacher(str(tmp_path / "t.tsv"), LABELS)
    found = teacher.probabilities(["b", " a film", "unknown"])
    assert found[:2].tolist() == [[1, 0], [0.25, 0.75]] and np.isnan(found[2]).all()
    assert teacher.probabilities([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text\tneg\n", r"a column for the text and one for each label \(neg, pos\)"),
        ("neg\tpos\n", "a column for the text"),
        ("text\tmore\tneg\tpos\n", "it names text, more, neg, pos"),
        ("", "a column for the text"),
        ("text\tneg\tpos\na\t1\n", "line 2: 2 cells under 3 columns"),
        ("text\tneg\tpos\na\t1\thigh\n", "line 2: could not convert string to float: 'high'"),
        ("text\tneg\tpos\na\t1\tnan\n", "line 2: scores must be numbers >= 0"),
        ("text\tneg\tpos\na\t1\t-2\n", "of logits give the softmax"),
        ("text\tneg\tpos\na\t0\t0\n", "not all 0"),
        ("text\tneg\tpos\na\t1\t2\na\t2\t1\n", "line 3: 'a' stood there before with other scores"),
    ],
)
def test_a_file_that_cannot_be_meant_is_named_with_its_line(tmp_path, content, said):
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(UserError, match=f"--teacher .*t.tsv.*{said}"):
        FileTeacher(tmp_path / "t.tsv", LABELS)


def test_a_missing_file_and_one_of_other_bytes_are_named(tmp_path):
    with pytest.raises(UserError, match=r"--teacher .*no.tsv: No such file"):
        load_teacher(str(tmp_path / "no.tsv"), LABELS)
    (tmp_path / "p.tsv").write_bytes(b"\x80\x04\x95pickled")
    with pytest.raises(UserError, match="is not UTF-8"):
        load_teacher(str(tmp_path / "p.tsv"), LABELS)


def test_a_function_is_called_with_texts_and_labels(teachers):
    teacher = load_teacher("own_teachers:lengths", LABELS)
    assert teacher.probabilities(["abc", "a"]).tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert teacher.probabilities([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("flat", r"scores of shape \(2,\), not \(texts, labels\) = \(2, 2\)"),
        ("nothing", "not all 0 for a text"),
        ("words", "no table of numbers"),
        ("broken", r"failed on 2 texts from 'a' on: IndexError"),
        ("absent", "has no 'absent'"),
    ],
)
def test_a_function_that_fails_is_named(teachers, name, said):
    with pytest.raises(UserError, match=f"--teacher own_teachers:{name}.*{said}"):
        FunctionTeacher(f"own_teachers:{name}", LABELS).probabilities(["a", "b"])
