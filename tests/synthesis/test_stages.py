"""What cannot be met is refused before anything is learnt."""

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.synthesis.stages import SynthesisStages
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.writing import write_table
from tests.tables.made_tables import MIXED, mixed_rows


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("size > 1", "no column 'size'"),
        ("grade == 'z'", "'grade' has no value 'z'"),
        ("count == 99 and member == 'yes'", "no row fulfils it: column 'count': the cell '99'"),
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
