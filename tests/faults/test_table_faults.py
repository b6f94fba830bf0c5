"""Commands of tables that are killed, starved or given damaged files: whole or nothing, and one line."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from fairseq_plugin import Table
from fairseq_plugin.errors import CannotWriteError, UserError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.synthesis.frames import layout_of
from fairseq_plugin.synthesis.row_job import RowJob
from fairseq_plugin.tables.averaging import AVERAGED, BEST, average_epochs
from fairseq_plugin.tables.manifest import TableManifest, load_code, split_files
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.writing import write_table
from tests.conftest import ROOT, child_environment
from tests.storage.damage import flipped_bits
from tests.tables.made_files import made_data, made_request, save_checkpoint
from tests.tables.made_tables import MIXED, mixed_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made_data(tmp_path_factory.mktemp("faults"))


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kill_at_random(work, times=8, longest=0.15):
    """Run ``work`` in forks that are killed after a random time; how many were killed in the middle.

    On a fast machine work may be done before it is killed: then kills come earlier, until one has hit.
    """
    chance, kills, tried = random.Random(5), 0, 0
    while tried < times or (not kills and longest > 0.001):
        tried += 1
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                torch.set_num_threads(1)  # threads do not survive a fork
                work()
                status = 0
            finally:
                os._exit(status)
        time.sleep(chance.uniform(0.001, longest))
        os.kill(pid, signal.SIGKILL)
        was_killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        kills += was_killed
        longest = longest if was_killed else longest / 2
    return kills


def test_a_killed_preparation_leaves_nothing_or_all(tmp_path):
    request, whole = made_request(tmp_path), tmp_path / "whole"
    whole.mkdir()
    prepare_table(made_request(whole))
    for _ in range(3):
        kills = kill_at_random(lambda: prepare_table(request), times=3)
        if (tmp_path / "data").exists():
            assert content(tmp_path / "data") == content(whole / "data")
    assert kills
    prepare_table(request)
    assert content(tmp_path / "data") == content(whole / "data")
    assert sorted(path.name for path in tmp_path.iterdir() if "tmp" in path.name) == []


def test_a_full_disk_is_one_line_and_the_earlier_data_stay(small_disk, tmp_path):
    request = made_request(tmp_path)
    request.to = str(small_disk / "data")
    (small_disk / "filler").write_bytes(b"x" * 56_000)
    with pytest.raises(CannotWriteError, match="data: No space left on device"):
        prepare_table(request)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    (small_disk / "filler").unlink()
    prepare_table(request)
    before = content(small_disk / "data")
    room = os.statvfs(small_disk)
    (small_disk / "filler").write_bytes(b"x" * (room.f_bavail * room.f_frsize - 8192))
    request.seed, request.overwrite = 2, True
    with pytest.raises(CannotWriteError, match="what stood there before is unchanged"):
        prepare_table(request)
    assert content(small_disk / "data") == before


@pytest.mark.parametrize(
    "name", ["train.bin", "train.idx", "valid.bin", "valid.idx", "code.json", "dict.txt", "manifest.json"]
)
def test_every_flipped_bit_of_a_prepared_table_is_seen(data, tmp_path, name):
    save_checkpoint(tmp_path / "c.pt", data, 0.0, 1)

    def read():
        manifest = TableManifest.load(data)
        load_code(data, manifest)
        for split in ("train", "valid"):
            split_files(data, split, manifest).read()

    for _ in flipped_bits(data / name, 60):
        with pytest.raises(UserError):
            read()
            TableModel.load(tmp_path / "c.pt", data)
    read()


def test_a_flipped_bit_of_the_schema_changes_nothing_and_is_seen_when_the_table_is_prepared_again(tmp_path):
    """Whoever edits it in its folder does so to give it as --schema: what was learnt stands in code.json."""
    request = made_request(tmp_path)
    prepare_table(request)
    expected = load_code(tmp_path / "data", TableManifest.load(tmp_path / "data")).to_json()
    for _ in flipped_bits(tmp_path / "data" / "schema.json", 20):
        assert load_code(tmp_path / "data", TableManifest.load(tmp_path / "data")).to_json() == expected
        with pytest.raises(UserError, match="holds other prepared data"):
            prepare_table(request)
    assert prepare_table(request).unchanged


@pytest.fixture
def draw(data, tmp_path):
    """``draw(folder)``: 200 rows in units of 20 below a folder."""
    save_checkpoint(tmp_path / "c.pt", data, 0.3, 1)
    model = TableModel.load(tmp_path / "c.pt", data)

    def drawn(folder):
        job = RowJob.of(folder, data, tmp_path / "c.pt", 3, model.prompt_for(None))
        return job.rows(200, None, model, ThisProcess(model=model), 100.0, unit_size=20)

    return drawn


def test_drawing_on_a_full_disk_is_one_line_and_goes_on_when_there_is_room(draw, small_disk, tmp_path):
    expected = draw(tmp_path / "whole")
    (small_disk / "filler").write_bytes(b"x" * 36_000)
    with pytest.raises(CannotWriteError, match="No space left on device"):
        draw(small_disk / "drawn")
    units = {path: path.stat().st_mtime_ns for path in small_disk.rglob("*.jsonl")}
    assert units and not [path for path in small_disk.rglob("*") if "tmp" in path.name]
    (small_disk / "filler").unlink()
    assert draw(small_disk / "drawn") == expected
    assert {path: path.stat().st_mtime_ns for path in units} == units


def test_new_rows_on_a_full_disk_leave_the_earlier_ones(small_disk):
    rows = [["x" * 1000, str(number)] for number in range(100)]
    (small_disk / "rows.csv").write_bytes(b"earlier")
    with pytest.raises(CannotWriteError, match=r"rows\.csv: No space left on device"):
        write_table(small_disk / "rows.csv", ["a", "b"], rows, "csv")
    assert content(small_disk) == {Path("rows.csv"): b"earlier"}


def test_every_flipped_bit_of_drawn_rows_is_seen_and_the_rows_are_made_again(draw, tmp_path, caplog):
    expected = draw(tmp_path / "drawn")
    unit = next((tmp_path / "drawn" / "units").iterdir())
    for _ in flipped_bits(unit, 10):
        caplog.clear()
        assert draw(tmp_path / "drawn") == expected
        assert f"{unit.name}, line " in caplog.text and "it is made again" in caplog.text
    for _ in flipped_bits(tmp_path / "drawn" / "job.json", 25):
        with pytest.raises(UserError, match=r"job\.json"):
            draw(tmp_path / "drawn")


@pytest.fixture
def trained(data, tmp_path):
    """A folder of checkpoints of three epochs."""
    for epoch in (1, 2, 3):
        save_checkpoint(tmp_path / f"checkpoint{epoch}.pt", data, 0.3, epoch)
    save_checkpoint(tmp_path / BEST, data, 0.3, 3)
    return tmp_path


def test_a_killed_averaging_leaves_nothing_or_all(data, trained):
    average_epochs(trained, data)
    expected = (trained / AVERAGED).read_bytes()
    (trained / AVERAGED).unlink()
    assert kill_at_random(lambda: average_epochs(trained, data))
    assert not (trained / AVERAGED).exists() or (trained / AVERAGED).read_bytes() == expected
    average_epochs(trained, data)
    assert (trained / AVERAGED).read_bytes() == expected
    assert [path.name for path in trained.iterdir() if "tmp" in path.name] == []


def test_averaging_on_a_full_disk_keeps_what_was_there(data, trained, small_disk):
    for path in trained.glob("*.pt"):
        (small_disk / path.name).symlink_to(path)
    (small_disk / AVERAGED).write_bytes(b"earlier")
    (small_disk / "filler").write_bytes(b"x" * 50_000)
    with pytest.raises(CannotWriteError, match=f"{AVERAGED}: No space left on device"):
        average_epochs(small_disk, data)
    assert (small_disk / AVERAGED).read_bytes() == b"earlier"


def test_torn_and_damaged_checkpoints_are_not_averaged(data, trained):
    average_epochs(trained, data)
    expected = (trained / AVERAGED).read_bytes()
    for name in ("checkpoint2.pt", BEST):
        whole = (trained / name).read_bytes()
        for size in (0, 100, len(whole) // 2, len(whole) - 1):
            (trained / name).write_bytes(whole[:size])
            with pytest.raises(UserError, match=name):
                average_epochs(trained, data)
        (trained / name).write_bytes(whole)
        for _ in flipped_bits(trained / name, 15):
            try:
                average_epochs(trained, data)
            except UserError as error:
                assert name in str(error)
            else:  # a bit that means nothing, such as one of a time stamp
                assert (trained / AVERAGED).read_bytes() == expected


@pytest.fixture
def table(data, tmp_path):
    """A Table as one that has learnt the data."""
    save_checkpoint(tmp_path / "c.pt", data, 0.3, 1)
    table = Table(random_state=3)
    table._layout = layout_of(pd.DataFrame(mixed_rows(5), columns=MIXED))
    table._open(tmp_path / "c.pt", data)
    return table


def test_a_killed_save_leaves_nothing_or_all(table, tmp_path):
    assert kill_at_random(lambda: table.save(tmp_path / "saved", overwrite=True), longest=0.03)
    table.save(tmp_path / "saved", overwrite=True)
    expected = content(tmp_path / "saved")
    kill_at_random(lambda: table.save(tmp_path / "saved", overwrite=True), longest=0.03)
    again = Table.load(tmp_path / "saved")  # what a kill has moved aside is brought back by the next save
    assert content(tmp_path / "saved") == expected
    pd.testing.assert_frame_equal(again.sample(5), table.sample(5))


def test_a_save_on_a_full_disk_is_one_line(table, small_disk):
    with pytest.raises(CannotWriteError, match="saved: No space left on device"):
        table.save(small_disk / "saved")
    assert list(small_disk.iterdir()) == []


def test_every_flipped_bit_of_a_saved_table_is_seen(table, tmp_path):
    table.save(tmp_path / "saved")
    for path in sorted(path for path in (tmp_path / "saved").rglob("*") if path.is_file()):
        for _ in flipped_bits(path, 25):
            with pytest.raises(UserError, match="saved"):
                Table.load(tmp_path / "saved")
        (tmp_path / "aside").write_bytes(path.read_bytes())
        path.unlink()
        with pytest.raises(UserError, match="saved"):
            Table.load(tmp_path / "saved")
        path.write_bytes((tmp_path / "aside").read_bytes())
    assert Table.load(tmp_path / "saved").sample(1).shape == (1, 7)


@pytest.fixture(scope="module")
def synthesis(tmp_path_factory):
    """``(folder of a finished run, start)``: ``start(to)`` starts the command that made it."""
    folder = tmp_path_factory.mktemp("synthesis")
    write_table(folder / "t.csv", MIXED, mixed_rows(150), "csv")
    words = [sys.executable, str(ROOT / "scripts" / "synthesize.py"), str(folder / "t.csv"), "--rows", "40",
             "--rare", "2", "--type", "note=drop", "--epochs", "2", "--held-out", "0"]  # fmt: skip

    def start(to):
        return subprocess.Popen([*words, "--to", str(to)], env=child_environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip

    process = start(folder / "whole")
    assert "40 rows" in process.communicate()[0] and process.returncode == 0
    return folder / "whole", start


@pytest.mark.slow
def test_a_killed_synthesis_goes_on_to_the_same_rows(synthesis, tmp_path):
    whole, start = synthesis
    expected = (whole / "rows.csv").read_bytes()
    for reached in ("data", "checkpoints/checkpoint1.pt", "drawn"):
        process = start(tmp_path / "killed")
        while not (tmp_path / "killed" / reached).exists() and process.poll() is None:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        rows = tmp_path / "killed" / "rows.csv"
        assert not rows.exists() or rows.read_bytes() == expected
    process = start(tmp_path / "killed")
    process.communicate()
    assert process.returncode == 0 and (tmp_path / "killed" / "rows.csv").read_bytes() == expected
    assert list(Path(tmp_path / "killed").rglob("*tmp*")) == []


@pytest.mark.slow
def test_a_synthesis_that_finds_damage_makes_it_again_or_names_it(synthesis, small_disk):
    whole, start = synthesis
    rows, drawn, best = whole / "rows.csv", whole / "drawn", whole / "checkpoints" / BEST
    expected = rows.read_bytes()

    def run():
        process = start(whole)
        return process.communicate()[0], process.returncode

    (unit,) = drawn.rglob("*.jsonl")
    unit.write_bytes(unit.read_bytes()[:-100])
    averaged = whole / "checkpoints" / AVERAGED
    averaged.write_bytes(averaged.read_bytes()[:-1000])
    rows.unlink()
    told, status = run()
    assert status == 0 and "it is made again" in told and rows.read_bytes() == expected

    drawn.rename(whole / "aside")
    drawn.symlink_to(small_disk)
    (small_disk / "filler").write_bytes(b"x" * 60_000)
    told, status = run()
    assert status == 1 and "No space left on device" in told.split("error: ")[-1] and "Traceback" not in told
    drawn.unlink()
    (whole / "aside").rename(drawn)

    best.write_bytes(best.read_bytes()[:-1000])
    told, status = run()
    assert status == 1 and f"{BEST}: this checkpoint is damaged or cut short" in told
    assert "Traceback" not in told and rows.read_bytes() == expected
