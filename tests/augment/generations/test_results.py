"""What a results folder holds: our own verified file if there is one, else an older version's print."""

import random

import pytest

from fairseq_plugin.augment.generations.results import Results
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.text.codec import load_codec
from tests.augment.made_generation import GOOD, Made, make_data, write_generation


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


def texts_in(folder, data):
    manifest = Manifest.load(data)
    prompts = [label.text + manifest.separator for label in manifest.labels]
    results = Results.read(folder)
    return {sample.id: sample for sample in results.samples(load_codec(data).decode, prompts)}


def test_both_files_give_the_same_samples(data, tmp_path):
    samples = [
        [Made("a"), Made("cut", ended=False), Made("")],
        [Made(symbols="5 <unk> 6"), Made("two\nlines")],
    ]
    ours = write_generation(tmp_path / "ours", data, samples)
    printed = write_generation(tmp_path / "printed", data, samples, printed_only=True)
    assert texts_in(ours, data) == texts_in(printed, data) and len(texts_in(ours, data)) == 5
    assert Results.read(ours).verified and not Results.read(printed).verified
    assert Results.read(ours).facts.counts == Results.read(printed).facts.counts == [3, 2]


def test_a_print_that_was_emptied_or_altered_changes_no_sample(data, tmp_path):
    folder = write_generation(tmp_path / "r", data, GOOD)
    before = texts_in(folder, data)
    (folder / "generate-augment.txt").write_text("")
    assert texts_in(folder, data) == before
    (folder / "generate-augment.txt").unlink()
    assert texts_in(folder, data) == before


@pytest.mark.parametrize("name", ["augment.samples.jsonl", "augment.json"])
def test_200_flipped_bits_are_all_seen(name, data, tmp_path):
    folder = write_generation(tmp_path / "r", data, GOOD)
    path, chance = folder / name, random.Random(5)
    whole = path.read_bytes()
    for _ in range(200):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        with pytest.raises(UserError, match=name):
            texts_in(folder, data)


def test_a_record_without_its_samples_is_refused(data, tmp_path):
    folder = write_generation(tmp_path / "r", data, GOOD)
    (folder / "augment.samples.jsonl").unlink()
    with pytest.raises(UserError, match=r"augment\.samples\.jsonl is missing"):
        Results.read(folder)


def test_samples_do_not_need_the_record(data, tmp_path):
    folder = write_generation(tmp_path / "r", data, GOOD)
    before = texts_in(folder, data)
    (folder / "augment.json").unlink()
    assert texts_in(folder, data) == before
