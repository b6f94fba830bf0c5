"""Units cover every sample once, and a unit's file is whole, of its own job, or not used."""

import itertools

import pytest

from fairseq_plugin.augment.label_counts import SampleIds
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.units import (
    ForeignUnit,
    Unit,
    cut_into_units,
    read_unit,
    share_of,
    write_unit,
)
from fairseq_plugin.storage.sample_file import SampleLine

UNIT = Unit(first=4, label=1, count=3)


def lines(unit=UNIT):
    return [SampleLine(i, 0, f"{i} 7", i % 2 == 0, -0.5 * i) for i in unit.ids(num_labels=3)]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_units_hold_the_ids_of_a_generation_once_each(size):
    ids = SampleIds((10, 0, 7), first=5)
    units = [unit for label, count in enumerate(ids.counts) for unit in cut_into_units(label, 5, count, size)]
    found = [sample_id for unit in units for sample_id in unit.ids(3)]
    assert sorted(found) == sorted(ids) and len(set(found)) == len(found)
    assert all(1 <= unit.count <= size for unit in units)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 5, 8])
def test_every_unit_is_the_share_of_one_rank(num_ranks):
    units = cut_into_units(0, 0, 23, 2)
    shares = [share_of(units, rank, num_ranks) for rank in range(num_ranks)]
    assert sorted(itertools.chain.from_iterable(shares)) == units
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 2  # the last unit is shorter, and anyone's


def test_ranks_that_find_different_units_done_agree_on_whose_each_is():
    units = [unit for label in range(2) for unit in cut_into_units(label, 40, 23, 2)]
    for rank in range(3):
        assert share_of(units[5:], rank, 3) == [
            unit for unit in share_of(units, rank, 3) if unit in units[5:]
        ]


def test_a_unit_reads_back_equal(tmp_path):
    write_unit(tmp_path, UNIT, "job", lines(), 1.5)
    found = read_unit(tmp_path, UNIT, "job", num_labels=3)
    assert found.lines == lines() and found.seconds == 1.5
    assert [path.name for path in tmp_path.iterdir()] == [UNIT.path(tmp_path).name]


def test_the_unit_of_another_job_is_refused(tmp_path):
    write_unit(tmp_path, UNIT, "job", lines(), 1.5)
    with pytest.raises(ForeignUnit, match="another job"):
        read_unit(tmp_path, UNIT, "other", num_labels=3)


def test_every_altered_byte_and_every_cut_is_seen(tmp_path):
    write_unit(tmp_path, UNIT, "job", lines(), 1.5)
    path = UNIT.path(tmp_path)
    content = path.read_bytes()
    for place in range(0, len(content) - 1, 3):  # the last line feed holds nothing
        altered = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for damaged in (content[:place], altered):
            path.write_bytes(damaged)
            with pytest.raises(UserError):
                read_unit(tmp_path, UNIT, "job", num_labels=3)
