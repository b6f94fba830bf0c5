"""A label may be called anything, and may have one row: no name of a file comes from it, none is altered."""

import os
import re
import shutil

import pytest

from fairseq_plugin.augment.augmented_set import read_synthetic
from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.augment.jobs.generate import GenerateRequest, generate
from fairseq_plugin.augment.jobs.job import Settings
from fairseq_plugin.augment.jobs.quota import Limits
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import Request, prepare
from scripts import generate as script
from tests.augment.made_generation import TRAIN
from tests.augment.made_job import train_model

LONG = "l" * 300
HARD = ("a#b", "#", "../x", "/etc/x", "con", "nul.tsv", "🎬 film", "x=y", "Case", "case", ".", "-", LONG)
ANY = FilterOptions(keep_copies=("test", "train", "valid"), near_duplicates=None, invented_words="off")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Data of thirteen hard labels with one row each, and a model; the long one is read by another text."""
    folder = tmp_path_factory.mktemp("names")
    texts = [text for text, _ in TRAIN]
    rows = [*((text, "plain") for text in [*texts, *(f"{text} too" for text in texts)])]
    rows += [(f"{texts[number % 12]} number {number}", label) for number, label in enumerate(HARD)]
    lines = ["sentence\tlabel", *(f"{text}\t{label}" for text, label in rows)]
    (folder / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = {"train": str(folder / "train.tsv"), "valid": str(folder / "train.tsv")}
    long = {"label_texts": {LONG: "long"}}
    prepare(Request(**source, to=str(folder / "data"), codec="bytes", vocab_size=300, **long))
    return folder / "data", train_model(folder / "data", folder / "checkpoint.pt", num_updates=60)


def request_of(made, to, **changed):
    asked = {"per_label": "2", "filters": ANY, "limits": Limits(most_tries=500), "unit_size": 7}
    return GenerateRequest(*made, to, settings=Settings(max_len_b=40), **asked | changed)


@pytest.fixture(scope="module")
def job(made, tmp_path_factory):
    """A finished job over these labels, in a folder of its own."""
    request = request_of(made, tmp_path_factory.mktemp("jobs") / "here" / "job")
    return request, generate(request, ThisProcess())


def test_every_label_gets_its_rows_under_its_own_name(made, job):
    _, found = job
    names = [label.name for label in Manifest.load(made[0]).labels]
    assert sorted(names) == sorted(["plain", *HARD])
    assert sorted(row.label for row in read_synthetic(found.folder).rows) == sorted([*names, *names])


def test_names_of_units_hold_no_label_and_differ_without_regard_to_case(job):
    request, _ = job
    units = [path.name for path in (request.to / "units").iterdir()]
    assert all(re.fullmatch(r"label-\d{4}-\d{10}-\d+\.samples\.jsonl", name) for name in units)
    assert len({name.casefold() for name in units}) == len(units) >= len(HARD) + 1


def test_nothing_is_written_outside_the_jobs_folder(job):
    request, _ = job
    assert os.listdir(request.to.parent) == ["job"]
    assert {path.name for path in request.to.iterdir()} == {"units", "augmented", "job.json"}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_each_form_of_file_holds_the_names_as_they_are(made, job, tmp_path, form):
    request, tsv = job
    shutil.copytree(request.to / "units", tmp_path / "job" / "units")
    shutil.copy(request.to / "job.json", tmp_path / "job")
    found = generate(request_of(made, tmp_path / "job", form=form), ThisProcess())
    labels = sorted(row.label for row in read_synthetic(found.folder).rows)
    # The texts may be others: one with a tab in it is for a TSV file no row.
    assert labels == sorted(row.label for row in read_synthetic(tsv.folder).rows)


def test_the_command_takes_the_names_and_tells_them(made, tmp_path, capsys):
    asked = "a#b=2,../x=1,Case=1,case=2,x=y=1,🎬 film=1,con=1"
    words = ["--data", made[0], "--path", made[1], "--to", tmp_path / "job", "--per-label", asked]
    words += ["--max-len-b", 40, "--most-tries", 500, "--near-duplicates", "off", "--invented-words", "off"]
    words += ["--keep-copies", "test", "train", "valid"]
    script.main(list(map(str, words)))
    out = capsys.readouterr().out
    for name, number in (("a#b", 2), ("../x", 1), ("Case", 1), ("case", 2), ("x=y", 1), ("🎬 film", 1)):
        assert re.search(rf"label \W*{re.escape(name)}\W*: {number} of ", out), (name, out)


def test_a_label_that_is_not_there_in_this_case_is_refused(made, tmp_path):
    with pytest.raises(UserError, match="--per-label cASE=1: .*the labels are .*Case, .*case"):
        generate(request_of(made, tmp_path / "job", per_label="cASE=1"), ThisProcess())
