"""The whole evaluation: tables, files, and what it refuses."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation import run
from fairseq_plugin.evaluation.columns import Column
from fairseq_plugin.evaluation.completion import Protocol
from fairseq_plugin.evaluation.run import Request, evaluate
from fairseq_plugin.evaluation.table import markdown, number
from tests.evaluation.made_text import system
from tests.storage.made_print import printed

SHORT = Protocol(prefix_tokens=10, new_tokens=12, max_prefixes=25)


@pytest.fixture
def made_systems(monkeypatch):
    """Names on the command line are models that were never on disk."""

    def load(name, path, text, device, dtype):
        return system(text, name, seed=len(name))

    monkeypatch.setattr(run, "load_system", load)


def request_for(folder, **changes):
    given = {"checkpoints": ["a", "bb"], "data": str(folder), "protocol": SHORT, "resamples": 100} | changes
    return Request(**given)


def test_results_stand_in_json_and_markdown(folder, made_systems, tmp_path):
    request = request_for(folder, decoding="greedy,top-k=5", to=str(tmp_path / "to"))
    found = evaluate(request)
    stated = json.loads((tmp_path / "to" / "results.json").read_text())
    systems = stated["completion"]["systems"]
    assert list(systems) == ["a greedy", "bb greedy", "a top-k=5", "bb top-k=5", "human"]
    assert list(stated["single_token"]["systems"]) == ["a", "bb", "human"]
    for scores in systems.values():
        cell = scores["metrics"]["seq-rep-1"]
        assert cell["low"] <= cell["value"] <= cell["high"]
        assert (
            scores["metrics"]["tokens"] == {"value": 300}
            and scores["metrics"]["continuations"]["value"] == 25
        )
        assert "low" not in scores["metrics"]["uniq-seq"]
    pairs = {(pair["first"], pair["second"]) for pair in stated["completion"]["differences"]}
    assert pairs == {("a greedy", "bb greedy"), ("a top-k=5", "bb top-k=5")}
    assert (
        found.completion.columns[0].values["seq-rep-4"]
        == systems["a greedy"]["metrics"]["seq-rep-4"]["value"]
    )
    table = (tmp_path / "to" / "results.md").read_text()
    assert " a greedy |" in table and "| bb top-k=5 - a top-k=5 |" in table
    assert len(list((tmp_path / "to" / "completions").iterdir())) == 4
    first = (tmp_path / "to" / "results.json").read_bytes()
    evaluate(request)
    assert (tmp_path / "to" / "results.json").read_bytes() == first


def test_saved_continuations_read_as_a_file_give_the_same_numbers(folder, made_systems, tmp_path):
    found = evaluate(request_for(folder, checkpoints=["a"], mode="completion", to=str(tmp_path)))
    (file,) = (tmp_path / "completions").iterdir()
    again = evaluate(request_for(folder, checkpoints=[], continuations=[f"f={file}"]))
    assert again.completion.columns[0].values == found.completion.columns[0].values
    alone = evaluate(
        Request(continuations=[f"f={file}"], codec_path=str(folder), resamples=0)
    ).completion.columns
    assert [column.name for column in alone] == ["f"]
    assert alone[0].values == found.completion.columns[0].values


def test_of_a_file_of_the_same_prefixes_only_those_of_the_protocol_count(folder, tmp_path):
    lines = [printed(number, f"{number + 5} {number + 6} 7") for number in range(144)]
    (tmp_path / "generate-test.txt").write_text("".join(lines))
    stated = {"subset": "test", "complete": True, "expected": 144, "prefix_tokens": 10}
    (tmp_path / "completions.json").write_text(json.dumps(stated))
    request = request_for(
        folder, checkpoints=[], continuations=[f"g={tmp_path / 'generate-test.txt'}"], resamples=0
    )
    column, human = evaluate(request).completion.columns
    assert column.values["continuations"] == human.values["continuations"] == 25
    assert "119 continuations of other prefixes" in column.notes[-1]
    (tmp_path / "completions.json").write_text(
        json.dumps(stated | {"prefix_tokens": 20})
    )  # of other prefixes
    assert evaluate(request).completion.columns[0].values["continuations"] == 144


def test_texts_without_a_tokenizer_have_words_only(tmp_path, folder):
    (tmp_path / "a.txt").write_text("a b a b\nthe cat the dog\n")
    (column,) = evaluate(Request(continuations=[str(tmp_path / "a.txt")], resamples=0)).completion.columns
    assert column.values["seq-rep-1 (words)"] == pytest.approx((0.5 + 0.25) / 2)
    assert "tokens" not in column.values and "--codec-path" in column.notes[0]
    request = Request(continuations=[str(tmp_path / "a.txt")], codec_path=str(folder), resamples=0)
    (column,) = evaluate(request).completion.columns
    assert column.values["tokens"] > 0 and "encoded anew" in column.notes[0]


def test_ids_without_a_tokenizer_have_tokens_only(tmp_path, folder):
    (tmp_path / "a.jsonl").write_text('{"continuation": [5, 5, 5, 5]}\n')
    (column,) = evaluate(Request(continuations=[str(tmp_path / "a.jsonl")], resamples=0)).completion.columns
    assert column.values["seq-rep-1"] == 0.75 and "words" not in column.values
    (tmp_path / "b.jsonl").write_text('{"continuation": [999999]}\n')
    with pytest.raises(UserError, match="another tokenizer"):
        evaluate(Request(continuations=[str(tmp_path / "b.jsonl")], codec_path=str(folder)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"checkpoints": []}, "nothing to evaluate"),
        ({"data": None}, "--data"),
        ({"split": "dev"}, "train, valid, test"),
        ({"batch_size": -1}, "--batch-size"),
        ({"resamples": -1}, "--resamples"),
        ({"window": 100}, "--window 64 or less"),
        ({"context": 64}, "--context 64"),
        ({"protocol": Protocol(1000, 500), "mode": "completion"}, "too few for one prefix"),
        ({"protocol": Protocol(50, 100), "mode": "completion"}, "exceed the 64 positions of a"),
        ({"decoding": "beem=3", "mode": "completion"}, "--decoding beem=3"),
        ({"checkpoints": [], "continuations": ["x.txt"], "mode": "single-token"}, "needs a checkpoint"),
        ({"mauve": "none", "mode": "completion"}, "no folder none"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(folder, made_systems, changes, words):
    with pytest.raises(UserError) as error:
        evaluate(request_for(folder, **changes))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ({"decoding": "beem=3"}, "beem=3"),
        ({"continuations": ["no.txt"]}, "no file no.txt"),
        ({"continuations": ["a greedy=b.txt"]}, "two columns would be called 'a greedy'"),
    ],
)
def test_a_slip_of_the_pen_shows_before_the_work(folder, monkeypatch, slip, words):
    monkeypatch.setattr(run, "load_system", None)  # nothing is loaded, let alone scored
    with pytest.raises(UserError, match=words):
        evaluate(request_for(folder, mode="both", **slip))


def test_mauve_stands_in_the_table(folder, made_systems, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "Features", lambda folder, text, device, batch: lambda texts: features(texts))

    def features(texts):
        import numpy as np

        return np.array([np.bincount(np.array(indices) % 8, minlength=8) for indices in texts], dtype=float)

    found = evaluate(request_for(folder, mode="completion", mauve="somewhere"))
    assert 0 < found.completion.columns[0].values["mauve"] <= 1
    assert "mauve" not in found.completion.columns[-1].values


def test_numbers_are_shown_as_they_are():
    assert number("ppl", 12345.678) == "12,345.68" and number("rep-4", 0.00004) == "0.0000"
    assert number("x", None) == "–" and number("uniq", 12345) == "12,345"
    assert number("x", -0.00001) == "0.0000"
    column = Column("a|b", values={"ppl": 2.0}, intervals={"ppl": (1.0, 3.0)})
    lines = markdown([column, Column("c")])
    assert "a\\|b" in lines[0] and "2.00 [1.00, 3.00]" in lines[2] and "–" in lines[2]
    assert len({len(line) for line in lines}) == 1
