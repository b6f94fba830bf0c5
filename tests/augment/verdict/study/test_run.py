"""A study goes on where it stopped, refuses other settings, and its generators see the draw alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fairseq_plugin.augment.verdict.study.arms import CHEAP, NEW, PATIENCE, most_confident, real_arms
from fairseq_plugin.augment.verdict.study.arms import STUDENTS as KNOWN
from fairseq_plugin.augment.verdict.study.generator import MOST_NEW, first_of_each, wanted_rows
from fairseq_plugin.augment.verdict.study.request import StudyRequest
from fairseq_plugin.augment.verdict.study.results import write_results
from fairseq_plugin.augment.verdict.study.run import Study
from fairseq_plugin.augment.verdict.study.splits import ALL, Split
from fairseq_plugin.errors import UserError
from tests.augment.verdict.study.made_study import sentences, write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    sides = [
        [*sentences(count, "a", seed), *sentences(count, "b", seed)] for count, seed in ((60, 1), (20, 2))
    ]
    return write_set(tmp_path_factory.mktemp("data"), *sides)


def request_for(data, to, **changed):
    settings = {"ks": (5, 10), "num_splits": 2, "gammas": ()}
    return StudyRequest(data, to, **settings | changed)


class Stopped(Exception):
    pass


def stop_after(count):
    seen = []

    def said(key):
        seen.append(key)
        if len(seen) == count:
            raise Stopped

    return said


def files(folder):
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("real.*.json")
    }


def rights(study):
    return {
        key: {name: arm.right_N.tolist() for name, arm in point.arms.items()}
        for key, point in study.points().items()
    }


def test_a_stopped_study_goes_on_and_makes_nothing_twice(data, tmp_path):
    whole = Study(request_for(data, tmp_path / "whole"))
    whole.open()
    whole.run()
    study = Study(request_for(data, tmp_path / "cut"))
    study.open()
    with pytest.raises(Stopped):
        study.run(stop_after(3))
    before, made = files(tmp_path / "cut"), []
    again = Study(request_for(data, tmp_path / "cut"))
    again.open()
    again.run(made.append)
    assert len(made) == 1 and files(tmp_path / "cut").items() >= before.items()
    assert rights(again) == rights(whole) and len(rights(whole)) == 4


def test_more_k_and_splits_join_a_study_and_other_settings_do_not(data, tmp_path):
    Study(request_for(data, tmp_path / "s")).open()
    Study(request_for(data, tmp_path / "s", ks=(20,), num_splits=5)).open()
    with pytest.raises(UserError, match="times 10, now 3"):
        Study(request_for(data, tmp_path / "s", times=3)).open()
    (tmp_path / "s" / "study.json").write_text("{}")
    with pytest.raises(UserError, match="damaged"):
        Study(request_for(data, tmp_path / "s")).open()


@pytest.mark.parametrize(
    ("changed", "flag"),
    [
        ({"gammas": (0.0,)}, "--gamma 0.0"),
        ({"temperatures": (float("nan"),)}, "--temperature nan"),
        ({"ks": (5, 5)}, "--k names"),
        ({"students": ("bert",)}, "--students bert"),
        ({"times": 0}, "--times 0"),
        ({"top_p": 2}, "--top-p 2"),
        ({"data": Path("nowhere")}, "--data"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(data, tmp_path, changed, flag):
    with pytest.raises(UserError, match=flag):
        dataclasses.replace(request_for(data, tmp_path), **changed).check()


def test_cheap_arms_have_the_size_that_new_rows_would_give():
    split = Split([(0, "x"), (0, "y"), (1, "z")], [])
    made = real_arms(split, {0: 4, 1: 6}, KNOWN["ngrams"], seed=1, synonyms=None)
    assert {name: len(rows) for name, rows in made.items()} == dict(zip(CHEAP, (3, 13, 3, 13), strict=True))
    assert PATIENCE not in real_arms(split, {0: 4}, KNOWN["bag-of-words"], 1, None)


def test_every_label_gets_as_many_new_rows_whatever_its_frequency(data, tmp_path):
    split = Split([(0, "x"), (0, "y"), (0, "v"), (1, "z")], [])
    request = request_for(data, tmp_path, times=7)
    assert wanted_rows(request, 5, split) == {0: 35, 1: 35}
    assert wanted_rows(request, ALL, split) == {0: 14, 1: 14}
    assert wanted_rows(request, 10**6, split) == {0: MOST_NEW, 1: MOST_NEW}
    rows = [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (0, "e")]
    assert first_of_each(rows, {0: 2, 1: 5}) == [(0, "a"), (1, "b"), (0, "c"), (1, "d")]


def test_a_judge_keeps_what_it_agrees_with_the_most_confident_of_each_label_in_order():
    rows = [(0, "a"), (1, "b"), (0, "c"), (0, "d"), (1, "e"), (0, "wrong")]
    shares = np.array([0.6, 0.1, 0.8, 0.6, 0.3, 0.4])
    kept = most_confident(rows, np.stack([shares, 1 - shares], axis=1), {0: 2, 1: 5})
    assert kept == [(0, "a"), (1, "b"), (0, "c"), (1, "e")]


@pytest.mark.slow
def test_a_study_with_a_generator_ends_in_a_report_and_trains_nothing_twice(data, tmp_path):
    settings = {"ks": (5,), "num_splits": 1, "gammas": (0.5,), "epochs": 2, "times": 3, "choose_from": 2}
    study = Study(request_for(data, tmp_path / "s", temperatures=(1.0, 2.0), **settings))
    study.open()
    study.run()
    (checkpoint,) = (tmp_path / "s").rglob("checkpoint_*.pt")
    assert {tuple(point.arms) for key, point in study.points().items() if key.generator} == {NEW}
    facts = [point.facts for key, point in study.points().items() if key.generator]
    assert facts[0]["train_seconds"] == facts[1]["train_seconds"] > 0
    when = checkpoint.stat().st_mtime_ns
    before = rights(study)
    for path in (tmp_path / "s").rglob("gamma-*.json"):
        path.unlink()  # the points are lost, the model and its samples are not
    study.run()
    assert rights(study) == before and checkpoint.stat().st_mtime_ns == when
    lines, paths = write_results(study, tmp_path / "s" / "verdict")
    assert all(path.stat().st_size for path in paths) and len(paths) == 4
    assert any("real + judged by the model" in line for line in lines)
