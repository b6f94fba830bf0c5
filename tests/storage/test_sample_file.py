"""Generated samples on disk: every one that was written is counted, and no damage is read as a sample."""

import json
import random

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sample_file import (
    SampleLine,
    SampleWriter,
    finished_path,
    newest_sample_file,
    part_paths,
    read_sample_file,
)
from fairseq_plugin.storage.sealed import is_sealed, write_sealed

FACTS = {"seed": 5, "labels": ["a", "é"], "settings": {"beam": 1}, "started": "2026-01-01", "data": "here"}
LINES = [SampleLine(i, 0, f"{i} 17 <unk> {i * i}", i % 3 > 0, -1.5 * i) for i in range(20)]


def writer_of(folder, lines, expected=20, **changed):
    writer = SampleWriter(folder, "augment", FACTS | changed, expected)
    for line in lines:
        writer.add([[line]])
    return writer


def test_what_was_written_is_read(tmp_path):
    writer_of(tmp_path, LINES).finish(seconds=0.5)
    found = newest_sample_file(tmp_path, "augment")
    assert found.lines == LINES and found.facts == FACTS and (found.expected, found.seconds) == (20, 0.5)
    assert found.num_samples == 20 and found.lines[1].num_tokens == 5 and found.lines[0].num_tokens == 4
    last = json.loads(found.path.read_text().splitlines()[-1])
    assert (last["samples"], last["tokens"]) == (20, sum(line.num_tokens for line in LINES))
    assert [path.name for path in tmp_path.iterdir()] == ["augment.samples.jsonl"]


def test_nothing_is_written_before_the_first_sample(tmp_path):
    writer_of(tmp_path, [])
    assert list(tmp_path.iterdir()) == [] and newest_sample_file(tmp_path, "augment") is None


def test_200_flipped_bits_are_all_seen(tmp_path):
    writer_of(tmp_path, LINES).finish(seconds=0.5)
    path, chance, unseen = finished_path(tmp_path, "augment"), random.Random(3), []
    whole = path.read_bytes()
    for _ in range(200):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        try:
            read_sample_file(path)
            unseen.append((place, bit))
        except UserError as error:
            assert path.name in str(error)
    assert unseen == []


def test_a_finished_file_cut_anywhere_is_refused_and_a_part_gives_its_whole_lines(tmp_path):
    writer_of(tmp_path, LINES[:4], expected=4).finish(seconds=0.5)
    path, part = finished_path(tmp_path, "augment"), tmp_path / "augment.part-1.jsonl"
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(0, len(whole) - 1, 3):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"augment\.samples\.jsonl"):
            read_sample_file(path)
        if size >= ends[0]:
            part.write_bytes(whole[:size])
            assert len(read_sample_file(part).lines) == min(4, sum(end <= size for end in ends) - 1)


def test_a_line_lost_doubled_or_moved_is_seen(tmp_path):
    writer_of(tmp_path, LINES).finish(seconds=0.5)
    path = finished_path(tmp_path, "augment")
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (lines[:5] + lines[6:], lines[:5] + lines[4:], lines[:5] + [lines[6], lines[5]] + lines[7:]):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(UserError, match="line"):
            read_sample_file(path)


def test_a_cut_run_is_counted_and_leaves_the_finished_one_as_it_was(tmp_path):
    writer_of(tmp_path, LINES).finish(seconds=0.5)
    before = finished_path(tmp_path, "augment").read_bytes()
    writer_of(tmp_path, LINES[:7], seed=6)
    with pytest.raises(UserError, match=r"part-1\.jsonl holds 7 of 20 samples.*or remove that file"):
        newest_sample_file(tmp_path, "augment")
    assert finished_path(tmp_path, "augment").read_bytes() == before


def test_parts_go_when_a_generation_holds_all_that_they_asked_for(tmp_path):
    writer_of(tmp_path, LINES[:3])
    writer_of(tmp_path, LINES[:9], seed=6)
    writer_of(tmp_path, LINES, started="2026-02-02", data="/elsewhere/here").finish(seconds=1.0)
    assert [path.name for path in part_paths(tmp_path, "augment")] == ["augment.part-2.jsonl"]


def test_a_full_disk_loses_nothing_that_was_written(small_disk):
    writer_of(small_disk, LINES).finish(seconds=0.5)
    before = finished_path(small_disk, "augment").read_bytes()
    writer = SampleWriter(small_disk, "augment", FACTS | {"seed": 6}, 10**6)
    with pytest.raises(UserError, match=r"cannot write .*augment\.part-1\.jsonl: No space left"):
        for batch in range(10**4):
            writer.add([[SampleLine(10 * batch + i, 0, "7 " * 50, True, -1.0)] for i in range(10)])
    assert finished_path(small_disk, "augment").read_bytes() == before
    assert read_sample_file(small_disk / "augment.part-1.jsonl").num_samples == 10 * batch > 0


def test_200_flipped_bits_of_a_sealed_record_are_all_seen(tmp_path):
    path, chance = tmp_path / "augment.json", random.Random(4)
    write_sealed(path, {**FACTS, "seconds": 1e-05, "text": '\u2028 \\ " é'})
    whole = path.read_bytes()
    assert is_sealed(json.loads(whole), whole)
    for _ in range(200):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        flipped = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
        try:
            content = json.loads(flipped.decode())
        except ValueError:
            continue
        assert not is_sealed(content, flipped)
