"""The stages of one run, and the note that tells a later run what this one was made from."""

from pathlib import Path

import pytest

from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.errors import UserError
from tests.augment.made_generation import make_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


def begin(data, to, **options):
    """Make the stages of a run whose data is there."""
    request = AugmentRequest(to=to, data=data, **options)
    return Stages(request), [stage.title for stage in Stages(request).training()]


def test_training_is_the_stages_that_make_the_model(data, tmp_path):
    stages, titles = begin(data, tmp_path)
    assert titles == ["Train GPT-2 with ScaleGrad"]
    assert [stage.title for stage in stages.model()][:-1] == titles
    source = data.parent / "train.tsv"
    first = next(Stages(AugmentRequest(to=tmp_path / "new", source=source)).training())
    assert first.prepares


def test_the_verdict_learns_from_the_teachers_soft_labels_where_the_rows_have_them(data, tmp_path):
    scores = tmp_path / "scores.tsv"
    scores.write_text("text\tneg\tpos\n")
    for soft_labels in (False, True):
        filters = FilterOptions(teacher=str(scores), judge_threshold=0.5)
        request = AugmentRequest(to=tmp_path, data=data, soft_labels=soft_labels, filters=filters)
        words = Stages(request).verdict().command
        assert ("--teacher" in words) == soft_labels
        assert not soft_labels or words[words.index("--teacher") + 1] == str(scores.resolve())
    function = FilterOptions(teacher="mine:scores", judge_threshold=0.5)
    stage = Stages(AugmentRequest(to=tmp_path, data=data, soft_labels=True, filters=function)).verdict()
    assert stage.modules == Path.cwd() and "mine:scores" in stage.command


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"per_label": "0"}, "--per-label 0 asks for no sample"),
        ({"per_label": "spam=3"}, "spam"),
        ({"filters": FilterOptions(predicate="nosuch_rules:kept")}, "--predicate nosuch_rules:kept"),
        ({"filters": FilterOptions(teacher="nosuch.tsv", judge_threshold=0.5)}, "--teacher nosuch.tsv"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_trained(data, tmp_path, options, error):
    with pytest.raises(UserError, match=error):
        list(Stages(AugmentRequest(to=tmp_path, data=data, **options)).training())


def test_a_damaged_note_of_the_run_is_named_and_overwrite_starts_again(data, tmp_path):
    stages, _ = begin(data, tmp_path)
    note = stages.run / "steps" / "run.json"
    (stages.run / "verdict.json").write_text("of unknown data")
    whole = note.read_text()
    note.write_text(whole.replace("fairseq-train", "fairseq-trein"))
    with pytest.raises(UserError, match=r"run\.json is damaged.*--overwrite.*--to"):
        begin(data, tmp_path)
    assert (stages.run / "verdict.json").exists()
    begin(data, tmp_path, overwrite=True)
    assert note.read_text() == whole
    assert not (stages.run / "verdict.json").exists()
    begin(data, tmp_path)
