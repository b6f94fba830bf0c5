"""The face for notebooks: DataFrame in, DataFrame out, and the same model after it was saved."""

import inspect
import json
import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest

import fairseq_plugin
from fairseq_plugin.augment.jobs.label_model import load_label_model
from fairseq_plugin.augment.notebook.augmenter import Augmenter
from fairseq_plugin.augment.notebook.frames import Columns
from fairseq_plugin.augment.notebook.trained import Trained
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from scripts.reviews import make_reviews
from tests.conftest import ROOT
from tests.reference.bayes_oracle import log_likelihood, posterior

COLUMNS, LABELS = Columns("review", "stars", text_first=False), {"neg": 0, "pos": 1}


def trained(parts, to, **changed):
    """The small model of all tests of jobs, hot enough for new sentences; its labels are called 0 and 1."""
    drawn = {"seed": 3, "temperature": 1.6, "top_p": 1.0, "max_len": 30}
    request = AugmentRequest(to=to, data=parts.data, path=parts.checkpoint, **drawn | changed)
    return Trained(Stages(request), COLUMNS, LABELS)


@pytest.fixture(scope="module")
def saved(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    trained(parts, folder / "to").save(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def augmenter(saved):
    return Augmenter.load(saved, verbose=False)


def test_the_package_hands_it_out():
    assert fairseq_plugin.Augmenter is Augmenter
    with pytest.raises(AttributeError, match="no attribute 'Augmentor'"):
        getattr(fairseq_plugin, "Augmentor")  # noqa: B009


def test_its_page_names_every_argument():
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    methods = (
        Augmenter,
        *(getattr(Augmenter, name) for name in ("fit", "sample", "score", "verdict", "save", "load")),
    )
    named = {name for method in methods for name in inspect.signature(method).parameters} - {"self"}
    table = page[page.index("| call |") : page.index("## What holds")]
    assert named == {name for name in named if re.search(rf"\b{name}\b", table)}


@pytest.mark.slow
def test_the_example_of_its_page_runs(tmp_path, monkeypatch):
    """As it stands there, but for fewer passes over the rows and fewer new ones."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.S)[1]
    for there, here in (("seed=1", "seed=1, epochs=25, verbose=False"), ("500", "2, most_tries=60")):
        assert there in code
        code = code.replace(there, here)
    made = make_reviews({"train": 300}, 3)["train"]
    frame = pd.DataFrame({"text": [row.text for row in made], "label": [row.label for row in made]})
    names = {"frame": frame}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        exec(compile(code, "docs/python.md", "exec"), names)
    assert names["new"]["label"].value_counts().to_dict() == {"negative": 2, "positive": 2}
    assert isinstance(names["model"], Augmenter) and (tmp_path / "reviews-model").is_dir()


def test_how_many_samples_are_tried_is_the_callers_choice(augmenter):
    with pytest.raises(UserError, match="^most_tries 0 must be from 1 to 1,000"):
        augmenter.sample(3, most_tries=0)
    hard = {"max_words": 8}
    few = len(_kept(augmenter, most_tries=1, filters=hard))
    assert few < len(_kept(augmenter, most_tries=10, filters=hard))


def _kept(augmenter, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return augmenter.sample_rows(20, allow_fewer=True, **options)


def test_exactly_n_of_each_label_come_in_the_users_own_columns(augmenter):
    frame = augmenter.sample(7)
    assert list(frame) == ["stars", "review", "log_probability", "label_probability"]
    assert frame["stars"].value_counts().to_dict() == {0: 7, 1: 7}
    assert frame["review"].is_unique and (frame["log_probability"] < 0).all()


def test_the_same_seed_gives_the_same_rows_and_more_begin_with_the_fewer(saved, augmenter):
    few, more = augmenter.sample(4), augmenter.sample(9)
    for label in (0, 1):
        first = more[more["stars"] == label]["review"].tolist()[:4]
        assert first == few[few["stars"] == label]["review"].tolist()
    pd.testing.assert_frame_equal(Augmenter.load(saved, verbose=False).sample(4), few)
    other = augmenter.sample(4, seed=8)
    assert not set(other["review"]) & set(few["review"])


def test_labels_are_chosen_by_the_users_own_values(augmenter):
    assert augmenter.sample(3, labels=[1])["stars"].tolist() == [1, 1, 1]
    assert [row["stars"] for row in augmenter.sample_rows({0: 1, 1: 2})].count(1) == 2
    for n, labels in ((3, ["good"]), ({2: 1}, None)):
        with pytest.raises(UserError, match=r"there is no label .*; the labels are 0, 1"):
            augmenter.sample(n, labels=labels)
    with pytest.raises(UserError, match="n 2.5 of label 'neg': give a whole number"):
        augmenter.sample(2.5)


def test_a_label_that_falls_short_is_an_error_or_a_warning(parts, tmp_path):
    trained(parts, tmp_path, max_len=8).save(tmp_path / "short")
    short = Augmenter.load(tmp_path / "short", verbose=False)
    with pytest.raises(UserError, match=r"fell short.*max_len.*allow_fewer=True"):
        short.sample(20)
    with pytest.warns(UserWarning, match=r"kept \d+ of 40 asked: fell short") as told:
        frame = short.sample(20, allow_fewer=True)
    assert 0 < len(frame) < 40 and told[0].filename == __file__


def test_scores_are_the_sum_over_tokens_and_bayes_rule_whatever_the_batch(parts, augmenter):
    model = load_label_model(parts.checkpoint, parts.data)
    index = {symbol: number for number, symbol in enumerate(model.symbols)}
    counts = [label.counts["train"] for label in Manifest.load(parts.data).labels]
    rows = [("a warm film", 1), ("no", 0), ("?", 0), ("the plot goes nowhere", 1), ("a warm film", 0)]
    expected = []
    for text, label in rows:
        tokens = [index[str(piece)] for piece in model.codec.encode(text)]
        logs = [log_likelihood(model.gpt2, prompt, tokens) for prompt in model.prompts]
        soft = posterior(logs, counts)
        expected.append([logs[label], soft[label], *soft])
    frame = pd.DataFrame(rows * 30, columns=["review", "stars"], index=range(5, 155))
    found = augmenter.score(frame, soft_labels=True)
    more = ["log_probability", "label_probability", "p_neg", "p_pos"]
    assert found[more].to_numpy() == pytest.approx(np.array(expected * 30), abs=1e-4)
    assert found[["review", "stars"]].equals(frame)
    as_dict = augmenter.score(rows[:1])[0]
    assert as_dict == {"stars": 1, "review": "a warm film"} | {
        name: pytest.approx(value, abs=1e-4) for name, value in zip(more[:2], expected[0])
    }


def test_new_rows_can_be_held_to_the_judge_and_tell_every_label(augmenter):
    frame = augmenter.sample(5, soft_labels=True, filters={"judge_threshold": 0.6})
    assert list(frame)[2:] == ["log_probability", "label_probability", "p_neg", "p_pos"]
    assert (frame["label_probability"] >= 0.6).all() and len(frame) == 10
    assert (frame["p_neg"] + frame["p_pos"]).tolist() == pytest.approx([1] * 10, abs=1e-3)
    with pytest.raises(UserError, match="filters: there is no 'treshold'; there are compare, "):
        augmenter.sample(5, filters={"treshold": 0.6})
    with pytest.raises(UserError, match="^judge_threshold 2 must be"):
        augmenter.sample(5, filters={"judge_threshold": 2})


def test_blank_texts_are_rows_of_nan_as_missing_ones(augmenter):
    frame = pd.DataFrame({"text": ["fine", "", " \t", None], "label": [1.0, 1.0, 0.0, None]}).rename(
        columns=dict(zip(("text", "label"), (COLUMNS.text, COLUMNS.label)))
    )
    with pytest.warns(UserWarning, match="3 of 4 rows have no log probability.*a blank text"):
        found = augmenter.score(frame)
    assert found["log_probability"].isna().tolist() == [False, True, True, True]
    assert found["label_probability"].isna().tolist() == [False, True, True, True]
    with pytest.raises(UserError, match=r"row 1 \(from 0\) has no text or no label"):
        augmenter.verdict(frame)


def test_a_label_that_a_missing_one_made_a_float_is_the_whole_number(augmenter):
    assert augmenter.score([("fine", 1.0)]) == augmenter.score([("fine", 1)])
    assert [row[COLUMNS.label] for row in augmenter.sample_rows({1.0: 2})] == [1, 1]
    with pytest.raises(UserError, match="there is no label 1.5"):
        augmenter.score([("fine", 1.5)])


def test_rows_that_cannot_be_scored_are_nan_and_counted(augmenter):
    with pytest.warns(UserWarning, match="3 of 4 rows have no log probability"):
        found = augmenter.score([("long " * 200, 1), (None, 1), ("no label", None), (" fine ", 1)])
    assert [math.isnan(row["log_probability"]) for row in found] == [True, True, True, False]
    assert found[3]["log_probability"] == augmenter.score([("fine", 1)])[0]["log_probability"]


def copy_of(saved, tmp_path):
    Augmenter.load(saved, verbose=False).save(tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("name", ["checkpoint.pt", "data/train.bin", "augmenter.json"])
def test_an_altered_file_of_a_saved_one_is_named(saved, tmp_path, name):
    path = copy_of(saved, tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(name)):
        Augmenter.load(tmp_path / "copy")


def test_a_file_more_or_less_is_named(saved, tmp_path):
    copy = copy_of(saved, tmp_path)
    (copy / "data" / "extra").write_text("")
    with pytest.raises(UserError, match="data/extra"):
        Augmenter.load(copy)
    (copy / "data" / "extra").unlink()
    (copy / "data" / "dict.txt").unlink()
    with pytest.raises(UserError, match="dict.txt"):
        Augmenter.load(copy)


def test_saving_replaces_nothing_unasked(saved, tmp_path, augmenter):
    copy = copy_of(saved, tmp_path)
    with pytest.raises(UserError, match="exists; give overwrite=True"):
        augmenter.save(copy)
    augmenter.save(copy, overwrite=True)
    before = {path.name: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    assert {path.name: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other things"):
        augmenter.save(tmp_path / "other", overwrite=True)
    with pytest.raises(UserError, match=r"no saved Augmenter: augmenter\.json"):
        Augmenter.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"gamma": 2.0}, r"^gamma 2\.0 must be in"),
        ({"top_p": 0.0}, r"^top_p 0\.0 must be in"),
        ({"max_len": 0}, "^max_len 0 must be"),
        ({"pretrained": "nowhere"}, "^pretrained .*nowhere is not a folder"),
    ],
)
def test_an_argument_out_of_range_is_named(arguments, error):
    with pytest.raises(UserError, match=error):
        Augmenter(**arguments)


def test_without_a_model_it_says_what_to_call(augmenter):
    with pytest.raises(UserError, match=r"call fit\(rows\)"):
        Augmenter().sample(1)
    with pytest.raises(UserError, match="not trained again"):
        augmenter.fit([("a", "b")])


@pytest.mark.slow
def test_a_frame_becomes_a_model_new_rows_and_a_verdict(tmp_path, monkeypatch):
    """From another folder than the repository's; its scores are those of fairseq-eval-lm."""
    monkeypatch.chdir(tmp_path)
    made = make_reviews({"train": 90, "valid": 30}, 3)
    train, valid = (
        pd.DataFrame(
            {"stars": [int(row.label == "positive") for row in rows], "text": [row.text for row in rows]}
        )
        for rows in made.values()
    )
    train.loc[2, "text"] = None
    model = Augmenter(gamma=1, epochs=60, max_len=60, folder="out", verbose=False)
    with pytest.warns(UserWarning, match="rows left out: 1 malformed .the first: row 2 of train") as told:
        assert model.fit(train, label_column="stars", valid=valid) is model
    assert any("pretrained=FOLDER" in str(one.message) for one in told)
    assert {one.filename for one in told if one.category is UserWarning} == {__file__}

    hardly_trained = {"allow_fewer": True, "filters": {"invented_words": "off"}}
    frame = model.sample(3, **hardly_trained)
    assert list(frame)[:3] == ["stars", "text", "log_probability"] and set(frame["stars"]) <= {0, 1}
    log = (tmp_path / "out" / "gamma-1-seed-1" / "steps" / "eval-lm.log").read_text()
    tokens, nll = re.search(r"all labels \| (\d+) tokens \| nll ([\d.]+)", log).groups()
    assert -model.score(valid)["log_probability"].sum() / int(tokens) == pytest.approx(float(nll), abs=1e-5)
    found = model.verdict(valid)
    assert found.outcome and json.dumps(found.to_json())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = Augmenter(gamma=1, epochs=60, max_len=60, folder="out", verbose=False)
        again.fit(train, label_column="stars", valid=valid)
        pd.testing.assert_frame_equal(again.sample(3, **hardly_trained), frame)
        with pytest.raises(UserError, match="has changed since .*give overwrite=True"):
            again.fit(valid, label_column="stars")
    assert read_texts(tmp_path / "out" / "data", "valid")
