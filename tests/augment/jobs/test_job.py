"""A job makes the same samples wherever and whenever it runs, and refuses what is of another job."""

import dataclasses
import json
import re
import shutil

import pytest
import torch

from fairseq_plugin.augment.jobs.job import Settings, open_job
from fairseq_plugin.augment.jobs.label_model import load_label_model
from fairseq_plugin.core.int8 import why_not_int8
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.units import ForeignUnit, Unit, cut_into_units
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from tests.augment.made_generation import make_data
from tests.augment.made_job import train_model


def samples(job, units):
    model = job.load_model()
    for unit in units:
        list(job.make([unit], model))
    return {line.id: line for unit in units for line in job.read(unit).lines}


def test_a_sample_is_the_same_in_any_unit(parts, tmp_path):
    whole = samples(parts.open(tmp_path / "a"), [Unit(0, 0, 60), Unit(0, 1, 60)])
    units = [*cut_into_units(0, 0, 60, 7), *cut_into_units(1, 0, 60, 11)]
    assert samples(parts.open(tmp_path / "b"), units[::-1]) == whole
    assert len({line.symbols for line in whole.values()}) > 20


def test_units_that_are_made_together_read_what_they_share_once(parts, tmp_path):
    alone, together, passes = parts.open(tmp_path / "a"), parts.open(tmp_path / "b"), []
    units = [*cut_into_units(0, 0, 60, 20), *cut_into_units(1, 0, 60, 25)]
    expected, model = samples(alone, units), together.load_model()
    model.gpt2.register_forward_hook(lambda *_: passes.append(1))
    assert sorted(together.make(units, model)) == sorted(units)
    assert {line.id: line for unit in units for line in together.read(unit).lines} == expected
    num_together = len(passes)
    for unit in units:
        together.read(unit)
        unit.path(together.units).unlink()
        list(together.make([unit], model))
    assert num_together < (len(passes) - num_together) / 2


def test_a_sample_is_what_the_decoder_gives_for_its_id_alone(parts, tmp_path):
    job = parts.open(tmp_path / "a")
    found, model = samples(job, [Unit(0, 1, 9)]), job.load_model()
    request = DecodingRequest(parts.settings.method(), end=EOS, max_new=30, seed=3)
    for sample_id, line in found.items():
        [[one]] = decode(model.gpt2, [model.prompts[1]], [sample_id], request)
        assert line.symbols.split() == [model.symbols[index] for index in one.tokens.tolist()]
        assert line.ended == one.ended and abs(line.score - float(one.scores.double().sum())) < 1e-5


def test_what_all_samples_of_a_unit_share_is_read_once(parts, tmp_path):
    alike = dataclasses.replace(parts.settings, sampling_topk=1)
    job, passes = dataclasses.replace(parts, settings=alike).open(tmp_path / "a"), []
    model = job.load_model()
    model.gpt2.register_forward_hook(lambda *_: passes.append(1))
    list(job.make([Unit(0, 0, 500)], model))
    assert len({line.symbols for line in job.read(Unit(0, 0, 500)).lines}) == 1
    assert len(passes) <= 30  # one text of at most 30 tokens


@pytest.mark.skipif(why_not_int8("cpu") is not None, reason="no int8 products here")
def test_int8_is_a_setting_of_the_job_and_its_samples_are_as_firm(parts, tmp_path):
    eight = dataclasses.replace(parts, settings=dataclasses.replace(parts.settings, compute_dtype="int8"))
    whole = samples(eight.open(tmp_path / "a"), [Unit(0, 0, 40)])
    assert samples(eight.open(tmp_path / "b"), cut_into_units(0, 0, 40, 7)) == whole
    assert json.loads((tmp_path / "a" / "job.json").read_text())["settings"]["compute_dtype"] == "int8"
    with pytest.raises(UserError, match="--compute-dtype int8: int8 products are for CPUs"):
        load_label_model(parts.checkpoint, parts.data, "cuda", "int8")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 4}, "seed 3, now 4"),
        ({"temperature": 0.9}, "temperature 1.3, now 0.9"),
        ({"max_len_b": 31}, "max_len_b 30, now 31"),
        ({"sampling_topk": 5}, "sampling_topk -1, now 5"),
    ],
)
def test_a_job_of_other_settings_is_refused_by_name(parts, tmp_path, changed, named):
    parts.open(tmp_path / "a")
    other = dataclasses.replace(parts.settings, **changed)
    with pytest.raises(UserError, match=named):
        open_job(tmp_path / "a", parts.data, parts.checkpoint, other)


def test_a_job_of_another_model_or_other_data_is_refused(parts, tmp_path):
    parts.open(tmp_path / "a")
    other = train_model(parts.data, tmp_path / "other.pt", num_updates=1)
    with pytest.raises(UserError, match="checkpoint_sha256"):
        open_job(tmp_path / "a", parts.data, other, parts.settings)
    data = make_data(tmp_path / "made", label_text={"pos": "good", "neg": "bad"})
    with pytest.raises(UserError, match="manifest_sha256"):
        open_job(tmp_path / "a", data, parts.checkpoint, parts.settings)
    with pytest.raises(UserError, match="other labels|another dictionary"):
        open_job(tmp_path / "b", data, parts.checkpoint, parts.settings).load_model()


def test_units_copied_from_another_job_are_refused(parts, tmp_path):
    unit = Unit(0, 0, 5)
    samples(parts.open(tmp_path / "a"), [unit])
    other = dataclasses.replace(parts.settings, seed=9)
    job = dataclasses.replace(parts, settings=other).open(tmp_path / "b")
    shutil.copy(unit.path(tmp_path / "a" / "units"), job.units)
    with pytest.raises(ForeignUnit, match="another job"):
        job.read(unit)


def test_a_unit_that_was_cut_short_is_set_aside(parts, tmp_path):
    job, unit = parts.open(tmp_path / "a"), Unit(0, 0, 5)
    samples(job, [unit])
    assert job.is_done(unit)
    path = unit.path(job.units)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=re.escape(str(path))):
        job.read(unit)
    job.set_aside(unit)
    job.set_aside(unit)  # as another rank may have done
    assert not job.is_done(unit) and path.with_name(f"{path.name}.damaged").is_file()


def test_a_damaged_job_file_and_a_folder_of_other_things_are_refused(parts, tmp_path):
    parts.open(tmp_path / "a")
    path = tmp_path / "a" / "job.json"
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 4'))
    with pytest.raises(UserError, match="damaged"):
        parts.open(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="other things"):
        parts.open(tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["notes.txt"]


def test_a_checkpoint_that_changes_after_the_job_began_is_refused(parts, tmp_path):
    checkpoint = shutil.copy(parts.checkpoint, tmp_path / "model.pt")
    job = open_job(tmp_path / "a", parts.data, checkpoint, parts.settings)
    train_model(parts.data, checkpoint, num_updates=1)
    with pytest.raises(UserError, match="changed since the job began"):
        job.load_model()


def test_damaged_logits_stop_the_job_and_name_the_samples(parts, tmp_path):
    job = parts.open(tmp_path / "a")
    model = job.load_model()
    with torch.no_grad():
        model.gpt2.ln_f.weight[0] = float("nan")
    unit = Unit(3, 1, 4)
    with pytest.raises(UserError, match=r"sample.*\b7\b"):
        list(job.make([unit], model))
    assert not job.is_done(unit)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 1e9}, {"sampling_topp": 1.5}, {"sampling_topk": 0}, {"max_len_b": 0}, {"seed": -1}],
)
def test_settings_out_of_range_name_the_flag(wrong):
    with pytest.raises(UserError, match="--"):
        Settings(**wrong)


def test_the_job_file_states_what_the_samples_depend_on(parts, tmp_path):
    parts.open(tmp_path / "a")
    stated = json.loads((tmp_path / "a" / "job.json").read_text())
    assert {"manifest_sha256", "checkpoint_sha256", "seed", "settings", "labels", "sha256"} <= stated.keys()
    assert stated["labels"] == ["neg", "pos"]
