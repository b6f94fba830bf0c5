"""``scripts/collect.py`` on bad input: one message that names the thing, and nothing half-written."""

import json
import os

import pytest

from fairseq_plugin.augment.collect import Wishes, collect
from fairseq_plugin.errors import UserError
from tests.augment.made_generation import GOOD, Made, make_data, write_generation

PLAIN = Wishes(report=False, binary=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


def broken_world(fault, data, folder):
    """Results that hold one fault; returns folders to collect and words of the complaint."""
    results = write_generation(folder / "r", data, GOOD, printed_only=True)
    text, record = results / "generate-augment.txt", results / "augment.json"
    lines = text.read_text(encoding="utf-8").split("\n")
    if fault == "missing id":
        text.write_text("\n".join(line for line in lines if "-2\t" not in line), encoding="utf-8")
        return [results], "1 of 5 samples are missing .* \\(ids 2\\)"
    if fault == "double id":
        text.write_text("\n".join(lines[:-1] + lines[1:5] + [""]), encoding="utf-8")
        return [results], "sample 0 is there twice"
    if fault == "truncated":
        text.write_bytes(text.read_bytes()[:-200])
        return [results], "cut"
    if fault == "no record":
        record.unlink()
        return [results], "augment.json does not exist"
    if fault == "no samples":
        text.unlink()
        return [results], "generate-augment.txt does not exist"
    if fault == "no folder":
        return [folder / "nowhere"], "nowhere does not exist"
    if fault == "given twice":
        return [results, results], "given twice"
    if fault == "a shard is missing":
        return [write_generation(folder / "s", data, GOOD, shard=(1, 3))], "shard 0, 2 of 3"
    if fault == "the same shard from two folders":
        return [results, write_generation(folder / "s", data, GOOD)], "hold the same samples"
    if fault == "runs overlap":
        return [results, write_generation(folder / "s", data, GOOD, first_sample=1)], "asked for in two runs"
    if fault == "another seed":
        return [
            results,
            write_generation(folder / "s", data, GOOD, first_sample=9, seed=8),
        ], "their seed differ"
    if fault == "nothing to keep":
        return [
            write_generation(folder / "s", data, [[Made("")], [Made("x", ended=False)]])
        ], "none of the 2 samples is kept"
    stated = json.loads(record.read_text())
    record.write_text(json.dumps(stated | {"manifest_sha256": "0" * 64}))
    return [results], "is another \\(manifest"


FAULTS = (
    "missing id",
    "double id",
    "truncated",
    "no record",
    "no samples",
    "no folder",
    "given twice",
    "a shard is missing",
    "the same shard from two folders",
    "runs overlap",
    "another seed",
    "nothing to keep",
    "other data",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_nothing_is_left_behind(fault, data, tmp_path):
    folders, complaint = broken_world(fault, data, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=complaint):
        collect(folders, data, tmp_path / "out", PLAIN)
    assert sorted(tmp_path.iterdir()) == before


def test_a_failure_while_writing_leaves_the_old_set_as_it_was(data, tmp_path, monkeypatch):
    results = write_generation(tmp_path / "r", data, GOOD)
    collect([results], data, tmp_path / "out", PLAIN)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        collect([results], data, tmp_path / "out", PLAIN, overwrite=True)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "r"]


def test_a_folder_that_stands_there_is_not_touched_unasked(data, tmp_path):
    results = write_generation(tmp_path / "r", data, GOOD)
    collect([results], data, tmp_path / "out", PLAIN)
    with pytest.raises(UserError, match="--overwrite"):
        collect([results], data, tmp_path / "out", PLAIN)
    collect([results], data, tmp_path / "out", PLAIN, overwrite=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="not an augmented set"):
        collect([results], data, tmp_path / "mine", PLAIN, overwrite=True)


def test_the_script_ends_with_one_line_and_status_1(data, tmp_path, run_script, one_line_error):
    results = write_generation(tmp_path / "r", data, GOOD)
    done = run_script("collect.py", results, "--data", tmp_path / "no", "--to", tmp_path / "out", check=False)
    one_line_error(done, "no folder", "prepare_labelled.py")
    assert done.returncode == 1 and not (tmp_path / "out").exists()
