"""Rows in units are the rows of one draw, whatever happened to the units."""

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import Processes, ThisProcess
from fairseq_plugin.synthesis.row_job import RowJob
from fairseq_plugin.tables.model import TableModel
from fairseq_plugin.tables.writing import write_table
from tests.tables.made_files import made_data, save_checkpoint
from tests.tables.made_tables import model_of


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.fixture
def job_for(model, tmp_path):
    """``job_for(seed, where)``: a job in one folder; files that only their digests are wanted of."""
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "checkpoint.pt").write_bytes(b"weights")

    def job(seed, where=None):
        prompt = model.prompt_for(where)
        return RowJob.of(tmp_path / "drawn", tmp_path, tmp_path / "checkpoint.pt", seed, prompt)

    return job


def rows(job, model, n, where=None, unit_size=7):
    return job.rows(n, where, model, ThisProcess(model=model), 100.0, unit_size=unit_size)


def test_units_give_the_rows_of_one_draw(model, job_for):
    job = job_for(3)
    assert rows(job, model, 40) == model.sample(40, seed=3)
    assert len(list(job.units.iterdir())) == 6
    assert rows(job, model, 40, unit_size=40).rows == model.sample(40, seed=3).rows


def test_a_condition_is_met_as_in_one_draw(model, job_for):
    where = model.condition("count == 12 and price >= 300")
    assert rows(job_for(1, where), model, 9, where, 20) == model.sample(9, seed=1, where=where)


def test_what_is_done_stays_and_what_is_lost_or_damaged_is_made_again(model, job_for, caplog):
    job = job_for(5)
    before = rows(job, model, 30)
    whole, lost, damaged, *_ = sorted(job.units.iterdir())
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes().replace(b'"rank": 0', b'"rank": 1', 1))
    written = whole.stat().st_mtime_ns
    assert rows(job, model, 30) == before
    assert whole.stat().st_mtime_ns == written and "made again" in caplog.text


def test_a_folder_of_another_draw_is_refused(model, job_for):
    rows(job_for(1), model, 3)
    with pytest.raises(UserError, match="other settings .*seed 1, now 2"):
        rows(job_for(2), model, 3)


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(tmp_path):
    data, checkpoint = made_data(tmp_path), tmp_path / "c.pt"
    save_checkpoint(checkpoint, data, 0.3, 1)
    model = TableModel.load(checkpoint, data)
    where = model.condition("member == 'yes'")
    written = {}
    for name, executor in (("one", ThisProcess(model=model)), ("two", Processes(2))):
        job = RowJob.of(tmp_path / name, data, checkpoint, 3, model.prompt_for(where))
        drawn = job.rows(60, where, model, executor, 100.0, unit_size=7)
        write_table(tmp_path / f"{name}.csv", drawn.names, drawn.rows, "csv")
        written[name] = (tmp_path / f"{name}.csv").read_bytes()
    assert written["one"] == written["two"] and len(drawn.rows) == 60
