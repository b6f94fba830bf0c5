"""A target that the other columns nearly decide is read last, one that they hint at first."""

import dataclasses

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.synthesis.held_out import hold_out
from fairseq_plugin.synthesis.request import SynthesisRequest
from fairseq_plugin.synthesis.stages import SynthesisStages
from fairseq_plugin.synthesis.target_place import target_place
from fairseq_plugin.tables.reading import TableFile


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """``sum`` follows from two columns, ``guess`` hardly does; ``yes`` is a category that follows."""
    random = np.random.default_rng(1)
    lines = ["one,two,sum,guess,yes,key"]
    for row in range(600):
        one, two = random.integers(100, size=2)
        noisy = one + random.integers(300)
        lines.append(f"{one},{two},{one + two},{noisy},{'ja' if one > 50 else 'nein'},k{row}")
    path = tmp_path_factory.mktemp("place") / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "target, place", [("sum", "last"), ("yes", "last"), ("guess", "first"), ("two", "last"), ("key", "first")]
)
def test_the_place_follows_what_the_other_columns_tell(table, target, place):
    assert target_place(TableFile.open(table), target, {}, seed=1) == place


def test_a_few_rows_say_nothing(table, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("\n".join(table.read_text().splitlines()[:20]) + "\n")
    assert target_place(TableFile.open(short), "sum", {}, seed=1) == "first"


@pytest.mark.parametrize(
    "lines",
    [
        ["x,y", *(f"{row},{'yes' if row % 40 == 1 else 'no'}" for row in range(120))],
        ["y", *("yes" if row % 2 else "no" for row in range(120))],
        ["key,same,y", *(f"k{row},7,{'yes' if row % 2 else 'no'}" for row in range(120))],
    ],
    ids=["one class among the tested rows", "no other column", "no other column that is learnt"],
)
def test_a_target_of_which_nothing_can_be_said_is_read_first(tmp_path, lines):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    assert target_place(TableFile.open(path, header="yes"), "y", {}, seed=1) == "first"


@pytest.mark.parametrize(
    "settings, place",
    [
        ({"target": "sum"}, "last"),
        ({"target": "sum", "target_place": "first"}, "first"),
        ({"target": "sum", "types": ("sum=category",)}, "first"),  # 198 classes
        ({"target": "sum", "types": ("one=integer",)}, "last"),
        ({"target": "sum", "order": "random"}, None),
        ({}, None),
    ],
)
def test_the_command_that_prepares_the_table_says_it(table, tmp_path, settings, place):
    request = SynthesisRequest(table, tmp_path, held_out=0, **settings)
    request.check()
    command = list(SynthesisStages(request, hold_out(request)).prepare().command)
    assert ("--target-place" in command) == (place is not None)
    if place is not None:
        assert command[command.index("--target-place") + 1] == place


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"target_place": "middle", "target": "sum"},
            "--target-place middle is none of auto, first, last, file",
        ),
        ({"target_place": "last"}, "--target-place last: of which target"),
        ({"target_place": "last", "schema": "x.json"}, "edit target_place in it"),
        ({"target_place": "last", "target": "sum", "order": "random"}, "with --order random every column"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused(table, tmp_path, settings, message):
    request = dataclasses.replace(SynthesisRequest(table, tmp_path), **settings)
    with pytest.raises(UserError, match=message):
        request.check()
