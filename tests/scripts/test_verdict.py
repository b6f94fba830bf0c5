"""``scripts/verdict.py``: the first line and the exit status tell whether a result is worth using."""

import json

import pytest

from fairseq_plugin.augment.generations.collect import collect
from scripts.verdict import main
from tests.augment.made_generation import GOOD, make_data, write_generation


@pytest.fixture
def judged(tmp_path):
    """``judged(counts on real rows, on synthetic ones)``: a file as judge_agreement.py --json writes it."""

    def write(real, synthetic):
        path = tmp_path / "judge.json"
        parts = {"valid": real and {"confusion": real}, "synthetic": {"confusion": synthetic}}
        path.write_text(json.dumps({"labels": ["a", "b"], **parts}))
        return str(path)

    return write


@pytest.fixture
def data(tmp_path):
    """A dictionary whose token frequencies alone give 1.5 bits per token."""
    (tmp_path / "dict.txt").write_text("12 200\n7 100\n40 100\n")
    return str(tmp_path)


def test_good_labels_end_with_status_0(judged, capsys):
    main(["labels", judged([[95, 5], [4, 96]], [[90, 10], [8, 92]])])
    assert capsys.readouterr().out.startswith(
        "The new labels fit the sentences: a judge agrees with 91.0\u00a0%"
    )


def test_labels_like_noise_end_with_status_3(judged, capsys):
    with pytest.raises(SystemExit) as end:
        main(["labels", judged([[95, 5], [4, 96]], [[50, 50], [50, 50]])])
    assert end.value.code == 3
    assert capsys.readouterr().out.startswith("Not worth using: ")


def test_a_model_that_knows_no_context_ends_with_status_3(data, capsys):
    main(["text", data, "--bits", "1.34"])
    for bits in ("1.36", "1.5", "9", "nan"):
        with pytest.raises(SystemExit) as end:
            main(["text", data, "--bits", bits])
        assert end.value.code == 3
    lines = capsys.readouterr().out.split("\n")
    assert (
        lines[0]
        == "The model has learnt context: 1.34 bits per token, 1.50 from the frequencies of tokens alone."
    )
    assert [line.startswith("Not worth using: ") for line in lines[1:5]] == [True] * 4


@pytest.mark.parametrize("text", ["", "[]", '{"valid": 1}'])
def test_another_file_is_an_error_and_no_verdict(tmp_path, text):
    path = tmp_path / "judge.json"
    path.write_text(text)
    with pytest.raises(SystemExit, match="was not written by judge_agreement.py --json"):
        main(["labels", str(path)])


def test_a_set_that_does_not_help_ends_with_its_status_and_figures(tmp_path, capsys):
    data, to = make_data(tmp_path), tmp_path / "quick.json"
    collect([write_generation(tmp_path / "made", data, GOOD)], data, tmp_path / "set")
    with pytest.raises(SystemExit) as end:
        main(["quick", "--data", str(data), "--samples", str(tmp_path / "set"), "--json", str(to)])
    lines, found = capsys.readouterr().out.split("\n"), json.loads(to.read_text())
    assert lines[0] == found["sentence"]
    assert end.value.code == {"no gain": 4, "do not use this": 3}[found["outcome"]]
    assert found["measured_on"] == "folds of train" and len(found["arms"]) == 5


def test_a_slip_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(SystemExit, match="its folder does not exist"):
        main(["quick", "--data", "d", "--samples", "s", "--json", str(tmp_path / "no" / "x.json")])
    with pytest.raises(SystemExit, match="--seed -1 must lie"):
        main(["quick", "--data", "d", "--samples", "s", "--seed", "-1"])
