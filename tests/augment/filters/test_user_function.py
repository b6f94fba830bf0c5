"""A person's own predicate: its answer counts, and whatever is wrong with it is said in a line."""

import sys

import pytest

from fairseq_plugin.augment.filters.chain import Candidate
from fairseq_plugin.augment.filters.user_function import Predicate, load_function
from fairseq_plugin.errors import UserError

MODULE = """
import numpy as np

asked = []

def short(text, label):
    asked.append((text, label))
    return len(text) < 5

class Rules:
    @staticmethod
    def numpy_answer(text, label):
        return np.bool_(label == "pos")

def vague(text, label):
    return 1

def broken(text, label):
    return text[99]

number = 3
"""


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """A module in the current directory."""
    (tmp_path / "own_rules.py").write_text(MODULE)
    (tmp_path / "bad_rules.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("own_rules", "bad_rules"):
        sys.modules.pop(name, None)


def check(name, *pairs):
    candidates = [Candidate(n, label, text, "5", 2, True) for n, (text, label) in enumerate(pairs)]
    return Predicate(name, ["neg", "pos"]).check(candidates)


def test_it_is_asked_with_text_and_label_and_its_answer_counts(rules):
    before = list(sys.path)
    assert check("own_rules:short", ("good", 1), ("better", 0)) == [None, "predicate"]
    assert sys.modules["own_rules"].asked == [("good", "pos"), ("better", "neg")] and sys.path == before
    assert check("own_rules:Rules.numpy_answer", ("a", 0), ("a", 1)) == ["predicate", None]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_rules", "--predicate own_rules must be module:function, for example"),
        (":short", "must be module:function"),
        ("own_rules.py:short", "give the module's name, not its file: own_rules:short"),
        ("some/own_rules.py:short", "not its file: some.own_rules:short"),
        ("other_rules:short", r"cannot import other_rules \(ModuleNotFoundError: .*current directory"),
        ("bad_rules:short", r"cannot import bad_rules \(ModuleNotFoundError: .*no_such_module_at_all"),
        ("own_rules:tall", r"own_rules\.py has no 'tall'"),
        ("own_rules:number", "'number' is a int, not a function"),
    ],
)
def test_what_cannot_be_used_is_explained(rules, name, said):
    with pytest.raises(UserError, match=said):
        load_function(name, "--predicate")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_rules:vague", r"answered sample 0 \('good'\) with 1; it must return True or False"),
        ("own_rules:broken", r"failed on sample 0 \('good'\): IndexError: .*mend the function"),
    ],
)
def test_a_predicate_that_fails_names_the_sample(rules, name, said):
    with pytest.raises(UserError, match=said):
        check(name, ("good", 1))
