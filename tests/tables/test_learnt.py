"""Rows come back from a prepared folder; those with rare values do not, and nobody stumbles over them."""

from fairseq_plugin.tables.learnt import learnt_rows
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.observed import observed_cells
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.writing import write_table


def made(folder, rare):
    rows = [[city, str(10 + place % 7)] for place, city in enumerate(["Rome", "Oslo"] * 20 + ["Ulm"])]
    write_table(folder / "t.csv", ["city", "n"], rows, "csv")
    types = {"city": "category"}
    prepare_table(TableRequest(str(folder / "t.csv"), str(folder / "data"), rare=rare, types=types))
    data = folder / "data"
    return rows, load_code(data, TableManifest.load(data)), data


def test_all_rows_come_back(tmp_path):
    rows, code, data = made(tmp_path, rare=1)
    found = list(learnt_rows(code, data, ("train", "valid", "test")))
    assert sorted(found) == sorted(rows)
    mixed = list(learnt_rows(code, data, ("train", "valid"), seed=3))
    assert mixed != found and sorted(mixed) == sorted(rows)


def test_rows_with_a_rare_value_are_left_out_also_where_pairs_are_observed(tmp_path):
    rows, code, data = made(tmp_path, rare=5)
    common = [row for row in rows if row[0] != "Ulm"]
    assert sorted(learnt_rows(code, data, ("train", "valid"))) == sorted(common)
    assert observed_cells(code, data, (0, 1)) <= set(map(tuple, common))
