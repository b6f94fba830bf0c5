"""The report says no more than was found, and the picture holds every line."""

import json

import pytest

from fairseq_plugin.augment.verdict.study.arms import FILTERED, NEW, STUDENTS
from fairseq_plugin.augment.verdict.study.comparisons import compare
from fairseq_plugin.augment.verdict.study.plot import STYLES, draw_study
from fairseq_plugin.augment.verdict.study.report import sentence, tables, to_json
from fairseq_plugin.augment.verdict.study.request import StudyRequest
from fairseq_plugin.augment.verdict.study.splits import ALL, LabelledSet
from tests.augment.verdict.study.made_study import points

WHOLE = LabelledSet(
    "my set", ["a", "b"], [(0, "x")], [(0, "y")] * 3 + [(1, "z")], "test.tsv", {}, {"torn": 2}
)


@pytest.fixture
def request_for(tmp_path):
    return StudyRequest(tmp_path, tmp_path, ks=(10, ALL))


def test_without_a_gain_the_sentence_says_so():
    found = compare(points([10], 5, {"real": 0.6}, {}), [10])
    assert sentence(WHOLE, found) == (
        "my set, 4 comparisons of real rows with and without new ones: none shows a gain over the best that "
        "costs nothing; none does worse than the real rows alone."
    )


def test_a_gain_of_few_splits_is_said_to_be_of_few():
    found = compare(points([10], 5, {"real": 0.6}, {FILTERED: 0.9}), [10])
    said = sentence(WHOLE, found)
    assert "1 show a gain" not in said and "1 shows a gain" in said and "fewer splits" in said
    assert "fewer splits" not in sentence(
        WHOLE, compare(points([10], 10, {"real": 0.6}, {FILTERED: 0.9}), [10])
    )


def test_nothing_compared_is_said(request_for):
    found = compare({}, [10])
    assert "nothing has been compared" in sentence(WHOLE, found) and tables(request_for, WHOLE, found)


def test_tables_and_json_hold_every_comparison(request_for):
    made = points([10, ALL], 5, {"real": 0.6}, {FILTERED: 0.9}) | points([10], 5, {"real": 0.6}, {}, "ngrams")
    found = compare(made, request_for.ks)
    text = "\n".join(tables(request_for, WHOLE, found))
    assert text.count("| real + filtered |") == 3 and "5 (of 10)" in text and "| all |" in text
    assert all(STUDENTS[name].name in text for name in ("bag-of-words", "ngrams")) and "2: torn" in text
    stated = json.loads(json.dumps(to_json(request_for, WHOLE, found)))
    assert len(stated["comparisons"]) == 3 * len(NEW) and len(stated["generators"]) == 2


def test_the_picture_names_every_way_to_train(tmp_path):
    found = compare(points([10, ALL], 2, {"real": 0.6}, {FILTERED: 0.9}), [10, ALL])
    paths = draw_study(found, tmp_path / "a.b", guess=0.5)
    assert [path.name for path in paths] == ["a.b.png", "a.b.svg"]
    assert paths[0].read_bytes().startswith(b"\x89PNG") and paths[0].stat().st_size > 10_000
    svg = paths[1].read_text("utf-8")
    assert all(f"<!-- {name} -->" in svg for name in STYLES)
