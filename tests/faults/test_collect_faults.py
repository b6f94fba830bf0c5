"""``scripts/collect.py`` on bad input: one message that names the thing, and nothing half-written."""

import json
import os
import random

import pytest

import fairseq_plugin.augment.generations.collect as collect_module
from fairseq_plugin.augment.augmented_set import Options, read_synthetic
from fairseq_plugin.augment.generations.collect import collect
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.lock import owned
from tests.augment.made_generation import ANY_WORDS, GOOD, Made, make_data, write_generation

PLAIN = Options(**ANY_WORDS, report=False, binary=False)


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
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="not an augmented set"):
        collect([results], data, tmp_path / "mine", PLAIN, overwrite=True)


def test_what_appears_meanwhile_is_not_replaced(data, tmp_path, monkeypatch):
    """Another program makes the folder, or another run changes the set, while we collect."""
    results, out = write_generation(tmp_path / "r", data, GOOD), tmp_path / "out"
    real = collect_module.gather

    def slowly(*args):
        out.mkdir(exist_ok=True)
        (out / "precious.txt").write_text("mine")
        return real(*args)

    monkeypatch.setattr(collect_module, "gather", slowly)
    with pytest.raises(UserError, match="has appeared since this command began"):
        collect([results], data, out, PLAIN)
    assert [path.name for path in out.iterdir()] == ["precious.txt"]
    (out / "precious.txt").unlink()
    monkeypatch.undo()
    collect([results], data, out, PLAIN)
    monkeypatch.setattr(collect_module, "gather", slowly)
    with pytest.raises(UserError, match="has changed since this command began"):
        collect([results], data, out, PLAIN, overwrite=True)
    assert {path.name for path in out.iterdir()} == {"manifest.json", "train.tsv", "precious.txt"}


def test_two_at_once_do_not_replace_each_other(data, tmp_path):
    results, out = write_generation(tmp_path / "r", data, GOOD), tmp_path / "out"
    with owned(out), pytest.raises(UserError, match="in use by process"):
        collect([results], data, out, PLAIN)
    assert not out.exists()


def test_200_flipped_bits_of_the_record_or_the_rows_are_all_seen(data, tmp_path):
    out = tmp_path / "out"
    collect([write_generation(tmp_path / "r", data, GOOD)], data, out, PLAIN)
    for name in ("manifest.json", "train.tsv"):
        whole, chance = (out / name).read_bytes(), random.Random(6)
        for _ in range(200):
            place, bit = chance.randrange(len(whole)), chance.randrange(8)
            (out / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(UserError):
                read_synthetic(out)
        (out / name).write_bytes(whole)
    assert len(read_synthetic(out).rows) == 5


def test_the_script_ends_with_one_line_and_status_1(data, tmp_path, run_script, one_line_error):
    results = write_generation(tmp_path / "r", data, GOOD)
    done = run_script("collect.py", results, "--data", tmp_path / "no", "--to", tmp_path / "out", check=False)
    one_line_error(done, "no folder", "prepare_labelled.py")
    assert done.returncode == 1 and not (tmp_path / "out").exists()
