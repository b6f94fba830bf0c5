"""The report of an augmented set, written again from its folder with what was found out since."""

import json

import pytest

from fairseq_plugin.augment.augmented_set import Options, read_set
from fairseq_plugin.augment.generations.collect import collect
from fairseq_plugin.augment.report_inputs import read_verdict
from fairseq_plugin.augment.set_report import rewrite_report
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from tests.augment.made_generation import ANY_WORDS, every_reason, make_data, write_generation

VERDICT = {
    "outcome": "do not use this",
    "sentence": "Do not use this: <b>79.4 % of 872 rows.",
    "measured_on": "valid",
    "arms": [
        {"name": "real", "rows": 12, "accuracy": 0.877, "lowest": 0.87, "highest": 0.88, "by_label": 0.8}
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A prepared folder and an augmented set."""
    folder = tmp_path_factory.mktemp("made")
    data = make_data(folder)
    results = write_generation(folder / "r", data, every_reason(data))
    collect([results], data, folder / "set", Options(**ANY_WORDS, binary=False))
    return data, folder / "set"


def test_the_record_reads_back_equal(made):
    _, folder = made
    stated = json.loads((folder / "manifest.json").read_text("utf-8"))
    stated.pop("sha256")
    assert read_set(folder).to_json() == stated


def test_the_page_written_again_is_the_same_page(made):
    data, folder = made
    before = (folder / "report.html").read_bytes()
    assert rewrite_report(folder, data) == folder / "report.html"
    assert (folder / "report.html").read_bytes() == before


def test_verdict_and_judge_come_on_the_page(made, tmp_path, run_script):
    data, folder = made
    judge, verdict = tmp_path / "judge.json", tmp_path / "verdict.json"
    run_script("judge_agreement.py", "--data", data, "--samples", folder, "--json", judge)
    verdict.write_text(json.dumps(VERDICT))
    run_script("report.py", "--data", data, "--samples", folder, "--judge", judge, "--verdict", verdict)
    shown = (folder / "report.html").read_text("utf-8")
    assert "<b>Do not use this: &lt;b&gt;79.4 % of 872 rows.</b>" in shown and "87.7\u00a0%</td>" in shown
    judged = json.loads(judge.read_text("utf-8"))
    assert f"<b>{100 * judged['synthetic']['share']:.0f}\u00a0%</b>" in shown
    rewrite_report(folder, data)
    assert "Do not use this" not in (folder / "report.html").read_text("utf-8")


def test_that_labels_could_not_be_checked_is_part_of_the_verdict(tmp_path):
    told = "The new labels are not checked: the judge does not know the real ones: a judge agrees ..."
    for labels, sentence in ((told, f"No gain. {told}"), ("The new labels fit the sentences", "No gain.")):
        stated = VERDICT | {"outcome": "no gain", "sentence": "No gain.", "labels": labels}
        (tmp_path / "verdict.json").write_text(json.dumps(stated))
        assert read_verdict(tmp_path / "verdict.json").sentence == sentence


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"outcome": "great", "sentence": "", "arms": []}'])
def test_files_of_others_are_refused_in_one_line_and_the_page_stays(content, made, tmp_path):
    data, folder = made
    before = (folder / "report.html").read_bytes()
    other = tmp_path / "other.json"
    other.write_text(content)
    for given in ({"judge": other}, {"said": other}, {"said": tmp_path / "absent.json"}):
        with pytest.raises(UserError) as caught:
            rewrite_report(folder, data, **given)
        assert next(iter(given.values())).name in str(caught.value) and "\n" not in str(caught.value)
    assert (folder / "report.html").read_bytes() == before


def test_a_set_of_other_data_is_refused(made, tmp_path):
    _, folder = made
    other = make_data(tmp_path, seed=3, held_out=0.3, valid=None)
    with pytest.raises(UserError, match="was made with the data"):
        rewrite_report(folder, other)


def test_data_is_called_as_a_person_calls_it(tmp_path):
    data = make_data(tmp_path / "reviews")  # reviews/train.tsv -> reviews/data
    manifest = Manifest.load(data)
    assert manifest.data_name(data) == "reviews"
    assert manifest.data_name(tmp_path / "sst2") == "sst2"
    assert manifest.data_name(tmp_path / "out" / "data") == "reviews"  # where augment.py prepares it
    assert manifest.data_name(tmp_path / "out" / "data-from-gpt2") == "reviews"
    manifest.source_files["train"] = type(manifest.source_files["train"])("my.tsv", "", 0)
    assert manifest.data_name(data) == "my"
