"""``scripts/collect.py``: from what fairseq-generate wrote to a set a classifier trains on."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.augment.augmented_set import Options
from fairseq_plugin.augment.generations.collect import collect
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import read_rows
from fairseq_plugin.text.codec import load_codec
from tests.augment.made_generation import (
    ANY_WORDS,
    EXPECTED,
    GOOD,
    TRAIN,
    Made,
    every_reason,
    make_data,
    write_generation,
)
from tests.augment.made_job import train_model

PLAIN = Options(**ANY_WORDS, report=False, binary=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


def rows_of(folder, data, name="train.tsv"):
    """Text and label of every row, read as the source was."""
    rows, rejected = read_rows(folder / name, Manifest.load(data).source)
    assert not rejected
    return [(row.text, row.label) for row in rows]


def test_every_sample_is_kept_or_counted_under_one_reason(data, tmp_path):
    results = write_generation(tmp_path / "r", data, every_reason(data))
    record = collect([results], data, tmp_path / "out", PLAIN).to_json()
    counts = record["counts"]
    assert counts["reasons"] == EXPECTED
    assert (counts["generated"], counts["kept"], counts["rejected"]) == (19, 4, 15)
    assert {name: own["kept"] for name, own in counts["labels"].items()} == {"neg": 1, "pos": 3}
    kept = [("a film to skip", "neg"), ("a fine film", "pos"), ("grand", "pos"), ("a tale", "pos")]
    assert rows_of(tmp_path / "out", data) == kept


PIECES = st.lists(
    st.sampled_from(
        [
            "a ",
            "film",
            " ",
            "\t",
            "\n",
            "\r",
            "H-7\t-1\t12",
            "\u2028",
            "<b>",
            '"',
            "a joy",
            "\ufeff",
            "a dull and lifeless mess",
        ]
    ),
    max_size=4,
).map("".join)
ROWS = st.lists(st.builds(Made, PIECES, st.booleans()), max_size=6)


@given(st.tuples(ROWS, ROWS), st.booleans(), st.sampled_from(["exact", "folded"]), st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_is_out_plus_rejected_for_any_generation(data, tmp_path_factory, samples, raw, compare, shards):
    folder = tmp_path_factory.mktemp("any")
    shown = {"shown": str} if raw else {}
    runs = [
        write_generation(folder / str(n), data, samples, shard=(n, shards), printed_only=raw, **shown)
        for n in range(shards)
    ]
    options = Options(**ANY_WORDS, compare=compare, report=False, binary=False)
    try:
        record = collect(runs, data, folder / "out", options).to_json()
    except UserError as error:
        assert "none of the" in str(error) and not (folder / "out").exists()
        return
    counts = record["counts"]
    rows = rows_of(folder / "out", data)
    assert counts["generated"] == sum(map(len, samples))
    assert counts["kept"] == len(rows) == record["files"]["train.tsv"]["rows"]
    assert counts["kept"] + sum(counts["reasons"].values()) == counts["generated"]
    given_texts = {
        (made.text.strip(), label)
        for row, label in zip(samples, ("neg", "pos"))
        for made in row
        if made.ended
    }
    assert set(rows) <= given_texts and len(set(rows)) == len(rows)


def test_the_file_is_in_the_sources_own_form(data, tmp_path):
    collect([write_generation(tmp_path / "r", data, GOOD)], data, tmp_path / "out", PLAIN)
    content = (tmp_path / "out" / "train.tsv").read_bytes().decode()
    lines = content.split("\n")
    assert lines[0] == "sentence\tlabel" and lines[-1] == ""
    assert lines[1] == "a new bad film \tneg"  # GLUE's space before the tab is back
    assert "\r" not in content and len(lines) == 1 + 5 + 1


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_forms_that_can_hold_a_line_break_keep_it(form, tmp_path):
    rows = [{"id": i, "review": f"text {i}, so", "stars": label} for i, (_, label) in enumerate(TRAIN)]
    if form == "csv":
        lines = ["id,review,stars", *(f'{row["id"]},"{row["review"]}",{row["stars"]}' for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    (tmp_path / f"all.{form}").write_text("\n".join(lines) + "\n")
    source = {"train": str(tmp_path / f"all.{form}"), "valid": None, "test": None, "held_out": 0.25}
    data = make_data(tmp_path, text_column="review", label_column="stars", **source)
    made = [[Made('two\nlines, "quoted"\tand more')], [Made("plain")]]
    record = collect([write_generation(tmp_path / "r", data, made)], data, tmp_path / "out", PLAIN).to_json()
    assert rows_of(tmp_path / "out", data, f"train.{form}") == [
        ('two\nlines, "quoted"\tand more', "neg"),
        ("plain", "pos"),
    ]
    assert record["counts"]["rejected"] == 0
    if form == "csv":
        assert (tmp_path / "out" / "train.csv").read_text().startswith("id,review,stars\n,")


def test_shards_give_the_same_file_as_one_run_and_duplicates_are_found_across_them(data, tmp_path):
    samples = every_reason(data)
    one = write_generation(tmp_path / "one", data, samples)
    three = [write_generation(tmp_path / f"s{n}", data, samples, shard=(n, 3)) for n in (2, 0, 1)]
    collected = [collect([one], data, tmp_path / "a", PLAIN), collect(three, data, tmp_path / "b", PLAIN)]
    records = [record.to_json() for record in collected]
    assert records[0]["counts"] == records[1]["counts"] and records[1]["counts"]["reasons"] == EXPECTED
    assert (tmp_path / "a" / "train.tsv").read_bytes() == (tmp_path / "b" / "train.tsv").read_bytes()
    assert records[1]["seconds"] == 7.5 and records[1]["tokens"] == records[0]["tokens"]


def test_a_later_run_goes_on_where_an_earlier_one_stopped(data, tmp_path):
    early = write_generation(tmp_path / "early", data, GOOD)
    late = write_generation(
        tmp_path / "late", data, [[Made("later")], [Made("a joy"), Made("and more")]], first_sample=10
    )
    record = collect([late, early], data, tmp_path / "out", PLAIN).to_json()
    assert record["counts"]["generated"] == 8 and record["counts"]["reasons"]["duplicate"] == 1
    assert rows_of(tmp_path / "out", data)[-2:] == [("later", "neg"), ("and more", "pos")]


def test_the_same_input_gives_the_same_bytes(data, tmp_path):
    results = write_generation(tmp_path / "r", data, every_reason(data))
    for name in "ab":
        collect([results], data, tmp_path / name)
    for path in sorted((tmp_path / "a").rglob("*")):
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        if path.name == "manifest.json":
            left, right = (json.loads(p.read_text()) for p in (path, twin))
            assert left.pop("time").keys() == right.pop("time").keys() == {"collected", "collect_seconds"}
            assert left.pop("sha256") != "" != right.pop("sha256")
            assert left == right
        elif path.is_file():
            assert path.read_bytes() == twin.read_bytes(), path


def test_the_manifest_tells_where_everything_comes_from(data, tmp_path):
    results = write_generation(tmp_path / "r", data, GOOD)
    collect([results], data, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert record["checkpoint"] == [{"path": "checkpoints/checkpoint_best.pt", "sha256": "c" * 64}]
    assert record["data"]["manifest_sha256"] == sha256(data / "manifest.json")
    assert record["files"]["train.tsv"]["sha256"] == sha256(tmp_path / "out" / "train.tsv")
    assert record["runs"][0]["sha256"] == sha256(results / "augment.samples.jsonl")
    stated = json.loads((results / "augment.json").read_text())
    assert record["settings"] == stated["settings"] and record["seed"] == 7
    tokens = sum(len(load_codec(data).encode(made.text)) + 1 for row in GOOD for made in row)
    assert record["tokens"] == tokens and record["tokens_per_second"] == pytest.approx(tokens / 2.5, abs=0.05)
    assert record["versions"]["numpy"] == np.__version__


def test_real_rows_are_joined_before_the_new_ones(data, tmp_path):
    results = write_generation(tmp_path / "r", data, GOOD)
    options = Options(**ANY_WORDS, join_train=True, report=False, binary=False)
    record = collect([results], data, tmp_path / "out", options).to_json()
    rows = rows_of(tmp_path / "out", data)
    assert rows[:12] == TRAIN and len(rows) == 17
    assert rows[12:] == rows_of(tmp_path / "out", data, "synthetic.tsv")
    assert {name: own["real"] for name, own in record["files"].items()} == {
        "train.tsv": 12,
        "synthetic.tsv": 0,
    }


def test_a_shuffled_file_holds_the_same_rows_in_a_seeded_order(data, tmp_path):
    results = write_generation(tmp_path / "r", data, GOOD)
    orders = []
    for name, shuffle in (("a", True), ("b", True), ("c", False)):
        collect(
            [results],
            data,
            tmp_path / name,
            Options(**ANY_WORDS, join_train=True, shuffle=shuffle, report=False, binary=False),
        )
        orders.append(rows_of(tmp_path / name, data))
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[2])


def test_copies_are_kept_on_request(data, tmp_path):
    results = write_generation(tmp_path / "r", data, every_reason(data))
    options = Options(**ANY_WORDS, keep_copies=("train",), report=False, binary=False)
    counts = collect([results], data, tmp_path / "out", options).to_json()["counts"]
    assert (
        counts["reasons"]["copy_of_train"] == 0
        and counts["reasons"]["copy_of_test"] == 1
        and counts["kept"] == 6
    )


def test_fairseqs_own_classifier_task_reads_the_binary_form(data, tmp_path):
    from fairseq.tasks.sentence_prediction import SentencePredictionConfig, SentencePredictionTask

    collect(
        [write_generation(tmp_path / "r", data, GOOD)],
        data,
        tmp_path / "out",
        Options(**ANY_WORDS, report=False),
    )
    shape = {"num_classes": 2, "max_positions": 64, "regression_target": False}
    config = SentencePredictionConfig(data=str(tmp_path / "out" / "binary"), no_shuffle=True, seed=1, **shape)
    task = SentencePredictionTask.setup_task(config)
    codec, found = load_codec(data), []
    task.load_dataset("train")
    for index in range(len(task.datasets["train"])):
        item = task.datasets["train"][index]
        symbols = task.source_dictionary.string(item["net_input.src_tokens"]).split()
        label = task.label_dictionary[int(item["target"]) + task.label_dictionary.nspecial]
        found.append((codec.decode(map(int, symbols)), label))
    assert found == rows_of(tmp_path / "out", data)
    task.load_dataset("valid")
    assert len(task.datasets["valid"]) == 3


@pytest.mark.slow
def test_fairseqs_own_classifier_trains_on_the_binary_form(data, tmp_path, run_stock):
    collect(
        [write_generation(tmp_path / "r", data, GOOD)],
        data,
        tmp_path / "out",
        Options(**ANY_WORDS, join_train=True, report=False),
    )
    flags = (
        "--task sentence_prediction --criterion sentence_prediction --arch roberta_base --encoder-layers 1 "
        "--encoder-embed-dim 16 --encoder-ffn-embed-dim 16 --encoder-attention-heads 2 --num-classes 2 "
        "--init-token 0 --max-positions 64 --optimizer adam --lr 1e-3 --cpu --max-update 3 --batch-size 4 "
        "--no-save --disable-validation"
    )
    words = [*flags.split(), "--save-dir", tmp_path / "c"]
    done = run_stock("fairseq-train", tmp_path / "out" / "binary", *words, user_dir=None, cwd=tmp_path)
    assert "num_updates 3" in done.stdout + done.stderr


def test_the_report_shows_hostile_samples_as_text(data, tmp_path):
    made = [
        [Made("<script>alert(1)</script>"), Made("x\n</p>")],
        [Made('"><img src=//x.example>'), Made("a fine film")],
    ]
    collect(
        [write_generation(tmp_path / "r", data, made)],
        data,
        tmp_path / "out",
        Options(**ANY_WORDS, binary=False),
    )
    content = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt;" in content
        and "<script" not in content
        and "<img" not in content
    )


def test_the_training_log_beside_the_checkpoint_is_drawn(data, tmp_path):
    log = "\n".join(
        json.dumps({"num_updates": n, "loss": 9 - n / 10, "ppl": 2.0 ** (9 - n / 10)}) for n in range(1, 9)
    )
    (tmp_path / "train.log").write_text(log)
    results = write_generation(tmp_path / "r", data, GOOD, checkpoint=[str(tmp_path / "checkpoint_best.pt")])
    collect([results], data, tmp_path / "out", Options(**ANY_WORDS, binary=False))
    assert "Loss in bits per token" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_the_script_tells_what_was_kept_and_why_not(data, tmp_path, run_script):
    results = write_generation(tmp_path / "r", data, every_reason(data))
    done = run_script(
        "collect.py", results, "--data", data, "--to", tmp_path / "out", "--keep-copies", "train", "valid",
        "--invented-words", "off", "--near-duplicates", "off",
    )  # fmt: skip
    assert "generated 19   kept 7" in done.stdout and "2  duplicate: repeats" in done.stdout
    names = {"train.tsv", "manifest.json", "report.html", "binary"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_labels_that_the_model_doubts_are_rejected_and_a_missing_model_is_named(data, tmp_path):
    results = write_generation(tmp_path / "r", data, GOOD)
    options = Options(**ANY_WORDS, judge_threshold=0.5, report=False, binary=False)
    with pytest.raises(UserError, match=r"checkpoint_best.pt that wrote the samples is not there; .*--path"):
        collect([results], data, tmp_path / "out", options)
    model = train_model(data, tmp_path / "model.pt")
    record = collect([results], data, tmp_path / "out", options, path=model)
    texts = [(label, made.text) for label, row in enumerate(GOOD) for made in row]
    judged = BayesJudge.load(model, data).predict([text for _, text in texts])
    kept = {text for (label, text), own in zip(texts, judged) if label == own}
    assert {text for text, _ in rows_of(tmp_path / "out", data)} == kept
    assert record.counts.total.reasons["doubtful_label"] == len(texts) - len(kept)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "--path .*: add --judge-threshold or --keep-best, or leave it out"),
        ({"teacher": "rules:f", "keep_best": 0.5}, "--path .*--teacher; give one of the two"),
    ],
)
def test_a_model_that_no_rule_asks_is_not_passed_over_in_silence(data, tmp_path, options, error):
    results = write_generation(tmp_path / "r", data, every_reason(data))
    asked = Options(**ANY_WORDS, **options, report=False, binary=False)
    with pytest.raises(UserError, match=error):
        collect([results], data, tmp_path / "out", asked, path=tmp_path / "model.pt")
    assert not (tmp_path / "out").exists()
