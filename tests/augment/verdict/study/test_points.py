"""A point is read back as it was written, or refused by name."""

import json

import numpy as np
import pytest

from fairseq_plugin.augment.verdict.study.points import ArmResult, Key, Point, read_point, write_point
from fairseq_plugin.augment.verdict.study.request import StudyRequest
from fairseq_plugin.augment.verdict.study.splits import ALL
from fairseq_plugin.errors import UserError

KEY = Key(10, 2, "ngrams", 0.5, 0.7)
RIGHT = np.array([True, False, True, True])
POINT = Point(KEY, {"real": ArmResult(20, 0.125, RIGHT)}, {"fidelity": 0.5})


def test_a_point_is_read_back_as_it_was_written(tmp_path):
    assert read_point(tmp_path, KEY, "s") is None
    write_point(tmp_path, POINT, "s")
    found = read_point(tmp_path, KEY, "s")
    assert found.key == KEY and found.facts == POINT.facts
    assert found.arms["real"].rows == 20 and found.arms["real"].seconds == 0.125
    assert np.array_equal(found.arms["real"].right_N, RIGHT)


def test_a_flipped_digit_and_a_point_of_another_study_are_refused(tmp_path):
    write_point(tmp_path, POINT, "s")
    path = tmp_path / KEY.path
    with pytest.raises(UserError, match="another study"):
        read_point(tmp_path, KEY, "t")
    written = path.read_text()
    path.write_text(written.replace('"1011"', '"1111"'))
    with pytest.raises(UserError, match="is damaged"):
        read_point(tmp_path, KEY, "s")
    path.write_text(written[:-20])
    with pytest.raises(UserError, match="is damaged"):
        read_point(tmp_path, KEY, "s")
    path.write_text(json.dumps([1]))
    with pytest.raises(UserError, match="is damaged"):
        read_point(tmp_path, KEY, "s")


def test_every_point_has_a_file_of_its_own_and_small_k_more_splits(tmp_path):
    request = StudyRequest(
        tmp_path, tmp_path, ks=(10, 100, ALL), gammas=(1.0, 0.5), temperatures=(0.7, 1.0),
        students=("bag-of-words", "ngrams"),
    )  # fmt: skip
    keys = list(request.all_keys())
    assert len({key.path for key in keys}) == len(keys) == (10 + 5 + 5) * 2 * (1 + 2 * 2)
    splits = [key.split for key in keys]
    assert splits == sorted(splits)  # a study that is cut short has whole splits
