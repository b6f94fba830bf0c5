"""The files that ``scripts/collect.py`` writes, read by the user's next tools."""

import csv
import json

import pytest

from fairseq_plugin.augment.augmented_set import Options, read_synthetic
from fairseq_plugin.augment.generations.collect import collect
from tests.augment.made_generation import ANY_WORDS, GOOD, TRAIN, Made, make_data, write_generation
from tests.pipeline.test_collect import PLAIN, rows_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl"])
def test_joined_real_rows_keep_every_column_as_it_was(form, tmp_path):
    rows = [
        {"id": f"r-{i}", "review": text, "stars": label, "by": "x=y"} for i, (text, label) in enumerate(TRAIN)
    ]
    cut = {"tsv": "\t", "csv": ","}.get(form)
    lines = [cut.join(row.values()) if cut else json.dumps(row) for row in rows]
    lines = [cut.join(rows[0]), *lines] if cut else lines
    (tmp_path / f"all.{form}").write_text("\n".join(lines) + "\n")
    held = {"train": str(tmp_path / f"all.{form}"), "valid": None, "test": None, "held_out": 0.25}
    data = make_data(tmp_path, text_column="review", label_column="stars", **held)
    results = write_generation(tmp_path / "r", data, GOOD)
    options = Options(**ANY_WORDS, join_train=True, report=False, binary=False)
    record = collect([results], data, tmp_path / "out", options)
    written = (tmp_path / "out" / f"train.{form}").read_text().split("\n")[:-1]
    num_real = record.files[f"train.{form}"].real
    first = 1 if cut else 0
    assert num_real > 5 and set(written[first : first + num_real]) <= set(lines)
    assert len(written) == first + num_real + 5
    for line in written[first + num_real :]:
        others = (
            [line.split(cut)[i] for i in (0, 3)] if cut else [json.loads(line).get(k) for k in ("id", "by")]
        )
        assert others == ([""] * 2 if cut else [None] * 2)
    assert record.other_columns == "real rows keep theirs; synthetic rows have none"


def test_formulas_are_marked_for_spreadsheets_on_request_and_read_without_the_mark(data, tmp_path):
    made = [[Made("=1+1"), Made("'=x"), Made("plain")], [Made("-5 stars"), Made("@me"), Made("+1")]]
    results = write_generation(tmp_path / "r", data, made)
    plain = collect([results], data, tmp_path / "plain", PLAIN)
    options = Options(**ANY_WORDS, report=False, binary=False, spreadsheet_safe=True)
    record = collect([results], data, tmp_path / "safe", options)
    assert plain.files["train.tsv"].marked == 0 and record.files["train.tsv"].marked == 5
    texts = [text for text, _ in rows_of(tmp_path / "safe", data)]
    assert texts == ["'=1+1", "'-5 stars", "''=x", "'@me", "plain", "'+1"]
    given_texts = [text for text, _ in rows_of(tmp_path / "plain", data)]
    assert [row.text for row in read_synthetic(tmp_path / "safe").rows] == given_texts


def test_the_next_tools_read_the_same_rows(data, tmp_path):
    made = [
        [Made('a "quoted" film'), Made("'tis \u2028 fine"), Made("esc \x1b[31m")],
        [Made("cr \r lf"), Made("=x")],
    ]
    results = write_generation(tmp_path / "r", data, made)
    record = collect([results], data, tmp_path / "out", PLAIN)
    assert record.counts.total.reasons["control_characters"] == 2 and record.counts.total.kept == 3
    rows = rows_of(tmp_path / "out", data)
    path = tmp_path / "out" / "train.tsv"
    with open(path, encoding="utf-8") as stream:
        lines = [line.removesuffix("\n").split("\t") for line in stream.readlines()[1:]]
    assert [(text.strip(), label) for text, label in lines] == rows
    with open(path, encoding="utf-8", newline="") as stream:
        cells = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    assert [(text.strip(), label) for text, label in cells] == rows


def test_what_an_older_version_printed_is_collected_and_the_summary_says_that_nothing_vouches_for_it(
    data, tmp_path, run_script
):
    results = write_generation(tmp_path / "r", data, GOOD, printed_only=True)
    done = run_script("collect.py", results, "--data", data, "--to", tmp_path / "out", "--no-report")
    assert "generated 5   kept 5" in done.stdout and "no checksum" in done.stdout


ODD = ['say "x"', '"open', "=1+1", "-2", "'q", "a,b", "x \u2028 y", "x\x85y", "None", "007", "1e5", "true"]
ODD += ["two\nlines"]
CELLS = ['q"u', "l\rcr", "esc\x1b", "=f", "NA", "", "u\u2028v", "'m", " sp ", "1", "007", "a,b"]


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl"])
def test_pandas_reads_joined_rows_with_all_their_columns(form, safe, tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not a dependency; install it to run this")
    reals = [(f"00{i}", text, label, by) for i, ((text, label), by) in enumerate(zip(TRAIN, CELLS))]
    reals += [("0a", 'real "q" cr\rin "it', "pos", "x"), ("0b", "real esc\x1bx", "neg", "y")]
    names, source = ("id", "review", "stars", "by"), tmp_path / f"all.{form}"
    with open(source, "w", encoding="utf-8", newline="") as stream:
        if form == "csv":
            csv.writer(stream, lineterminator="\n").writerows([names, *reals])
        elif form == "tsv":
            stream.writelines("\t".join(row) + "\n" for row in [names, *reals])
        else:
            stream.writelines(json.dumps(dict(zip(names, row))) + "\n" for row in reals)
    held = {"train": str(source), "valid": None, "test": None, "held_out": 0.15}
    data = make_data(tmp_path, text_column="review", label_column="stars", **held)
    results = write_generation(tmp_path / "r", data, [[Made(text) for text in ODD], [Made("z")]])
    options = Options(**ANY_WORDS, join_train=True, report=False, binary=False, spreadsheet_safe=safe)
    record = collect([results], data, tmp_path / "out", options)
    path = tmp_path / "out" / f"train.{form}"
    if form == "jsonl":
        frame = pandas.read_json(path, lines=True, dtype=False).fillna("")
    else:
        tsv = {"sep": "\t", "quoting": csv.QUOTE_NONE, "lineterminator": "\n"} if form == "tsv" else {}
        frame = pandas.read_csv(path, dtype=str, keep_default_na=False, **tsv)
    found = [tuple(row) for row in frame[list(names)].itertuples(index=False)]
    num_real = record.files[path.name].real
    first = {row[0]: row for row in reals}
    assert num_real >= 10
    assert found[:num_real] == [first[row[0]] for row in found[:num_real]]
    new = [row[1] for row in found[num_real:]]
    given = ["'" + text if safe and text[0] in "=-" else text for text in [*ODD, "z"]]
    assert len(new) >= 10 and set(new) <= set(given) and {row[0] for row in found[num_real:]} == {""}
