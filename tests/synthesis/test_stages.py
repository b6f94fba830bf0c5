"""What cannot be met is refused before anything is learnt."""

from dataclasses import replace

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.stages.stage import short
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.synthesis.stages import SynthesisStages
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.writing import write_table
from tests.tables.made_gpt2 import made_gpt2
from tests.tables.made_tables import MIXED, mixed_rows


def test_a_training_that_was_killed_before_its_first_best_checkpoint_begins_again(tmp_path):
    write_table(tmp_path / "t.csv", MIXED, mixed_rows(60), "csv")
    request = SynthesisRequest(tmp_path / "t.csv", tmp_path / "out", held_out=0)
    steps, folder = SynthesisStages(request, hold_out(request)), tmp_path / "out" / "checkpoints"
    prepare_table(TableRequest(str(tmp_path / "t.csv"), str(steps.data), rare=2))
    folder.mkdir()
    names = ("checkpoint1.pt", "checkpoint_best.pt", "checkpoint_last.pt", "train.log")
    for name in names:
        (folder / name).touch()
    steps.train()
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    (folder / "checkpoint_best.pt").unlink()
    steps.train()
    assert [path.name for path in folder.iterdir()] == ["train.log"]


def test_a_pretrained_model_is_asked_for_and_has_folders_of_its_own(tmp_path):
    made_gpt2(tmp_path / "small")
    write_table(tmp_path / "t.csv", MIXED, mixed_rows(60), "csv")
    request = SynthesisRequest(
        tmp_path / "t.csv", tmp_path / "out", held_out=0, pretrained=tmp_path / "small"
    )
    request.check()
    steps = SynthesisStages(request, hold_out(request))
    assert f"--from {short(tmp_path / 'small')}" in " ".join(steps.prepare().command)
    assert steps.data.name == "data-from-small"
    table = TableRequest(str(tmp_path / "t.csv"), str(steps.data), rare=2, pretrained=str(tmp_path / "small"))
    prepare_table(table)
    command = " ".join(steps.train().command)
    assert f"--arch gpt2 --pretrained-model {short(tmp_path / 'small')} --dropout 0.1 --lr 5e-05" in command
    assert "--n-layer" not in command and "--n-positions" not in command
    with pytest.raises(UserError, match="--from .*none is not a folder"):
        replace(request, pretrained=tmp_path / "none").check()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("size > 1", "no column 'size'"),
        ("grade == 'z'", "'grade' has no value 'z'"),
        ("count == 99 and member == 'yes'", "no row fulfils it: column 'count' holds"),
        ("count >", "expected a number"),
        ("observed(grade, same)", "'same'.*is not drawn"),
    ],
)
def test_a_condition_that_cannot_be_met_stops_the_command_after_its_first_stage(tmp_path, where, words):
    write_table(tmp_path / "t.csv", MIXED, mixed_rows(60), "csv")
    request = SynthesisRequest(tmp_path / "t.csv", tmp_path / "out", where=where, held_out=0)
    steps = SynthesisStages(request, hold_out(request))
    stages = iter(steps)
    assert "prepare_table.py" in " ".join(next(stages).command)
    prepare_table(TableRequest(str(tmp_path / "t.csv"), str(steps.data), rare=2))
    with pytest.raises(UserError, match=words):
        next(stages)
