"""``verdict.py study`` reads its lists, refuses slips in one line, and reports on what is there."""

import json

import pytest

from fairseq_plugin.augment.verdict.study.splits import ALL
from scripts import verdict
from scripts.study_flags import request_of
from tests.augment.verdict.study.made_study import sentences, write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    sides = [
        [*sentences(count, "a", seed), *sentences(count, "b", seed)] for count, seed in ((30, 1), (20, 2))
    ]
    return write_set(tmp_path_factory.mktemp("data"), *sides)


def parsed(*words):
    return request_of(verdict.build_parser().parse_args(["study", "--data", "d", "--to", "t", *words]))


def test_lists_are_read():
    assert parsed().ks == (5, 10, 20, 50, 100, 500, ALL) and parsed().gammas == (1.0, 0.5)
    found = parsed("--k", "10,all", "--gamma", "0.2", "--temperature", "0.7,1", "--students", "ngrams,bilstm")
    assert (found.ks, found.gammas, found.temperatures) == ((10, ALL), (0.2,), (0.7, 1.0))
    assert found.students == ("ngrams", "bilstm")


@pytest.mark.parametrize(
    "words", [["--k", "0"], ["--k", "ten"], ["--gamma", "a"], ["--students", "bert"], ["--seeds", "0"]]
)
def test_a_slip_is_one_line_and_nothing_is_written(data, tmp_path, words):
    with pytest.raises(SystemExit) as stopped:
        verdict.main(["study", "--data", str(data), "--to", str(tmp_path / "s"), *words])
    error = str(stopped.value)
    assert error.startswith(f"error: {words[0]} {words[1]}") and "\n" not in error
    assert not (tmp_path / "s").exists()


def test_a_report_of_nothing_says_so(data, tmp_path, capsys):
    verdict.main(["study", "--data", str(data), "--to", str(tmp_path / "s"), "--report"])
    assert "nothing has been compared yet" in capsys.readouterr().out
    stated = json.loads((tmp_path / "s" / "verdict.json").read_text("utf-8"))
    assert stated["comparisons"] == [] and stated["set"]["pool_rows"] == 60
