"""An exported folder: its card tells how to sample, and others can read its files."""

import os

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.export import export_checkpoint
from fairseq_plugin.pretrained.model_card import CardData, sampling_line, validation_perplexity
from scripts.convert_gpt2 import prompts_of
from tests.corpus.made_text import prepare_text
from tests.labelled.made_data import prepare_reviews
from tests.pretrained.conftest import SIZES, write_checkpoint

STATE = {
    "cfg": {
        "model": {"_name": "gpt2", **SIZES},
        "criterion": {"_name": "scale_grad", "gamma": 0.2},
        "optimizer": {"_name": "fused_adamw", "weight_decay": 0.01},
        "optimization": {"lr": [5e-4]},
        "common": {"seed": 7, "bf16": False},
        "checkpoint": {"best_checkpoint_metric": "loss"},
    },
    "optimizer_history": [{"num_updates": 1234}],
    "extra_state": {"val_loss": 5.0},
}


@pytest.fixture
def exported(tmp_path, network, data):
    path = write_checkpoint(tmp_path / "trained.pt", network, data, **STATE)
    export_checkpoint(path, data, tmp_path / "hf", ["positive\t", "very `odd`\n# label\t"])
    return tmp_path / "hf"


def test_the_card_names_data_settings_perplexity_and_prompts(exported):
    card = (exported / "README.md").read_text()
    for words in (
        "library_name: transformers", "2 layers x 16", "- data: data", "- criterion: scale_grad, gamma 0.2",
        "- optimization: lr [0.0005]", "- common: seed 7\n", "- updates: 1,234",
        "- validation perplexity: 32.00 per token",
        r"    '<|endoftext|>positive\t'",
    ):  # fmt: skip
        assert words in card
    assert r"    '<|endoftext|>very `odd`\n# label\t'" in card  # a label cannot write into the card


def test_prompts_are_those_of_the_datas_labels(tmp_path):
    for name in ("reviews", "text", "neither"):
        (tmp_path / name).mkdir()
    _, reviews = prepare_reviews(tmp_path / "reviews")
    _, text = prepare_text(tmp_path / "text", "a text\nof lines\n" * 50)
    assert prompts_of(reviews) == ["negative\t", "positive\t"]
    assert prompts_of(text) == prompts_of(tmp_path / "neither") == []
    manifest = reviews / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    with pytest.raises(UserError, match=r"manifest\.json"):
        prompts_of(reviews)


def test_a_checkpoint_that_tells_little_gets_a_short_card(tmp_path, checkpoint, data):
    export_checkpoint(checkpoint, data, tmp_path / "hf")
    card = (tmp_path / "hf" / "README.md").read_text()
    assert "perplexity" not in card and "Every text begins after `<|endoftext|>`" in card


@pytest.mark.parametrize(
    "metric, value, criterion, expected",
    [
        ("loss", 5.0, "cross_entropy", 32.0),
        ("ppl", 5.0, "cross_entropy", 5.0),
        ("loss", 5.0, "label_smoothed_cross_entropy", None),
        ("accuracy", 5.0, "cross_entropy", None),
        ("loss", float("nan"), "cross_entropy", None),
        ("loss", None, "cross_entropy", None),
    ],
)
def test_a_perplexity_is_told_only_where_it_is_one(metric, value, criterion, expected):
    config = {"checkpoint": {"best_checkpoint_metric": metric}, "criterion": {"_name": criterion}}
    assert validation_perplexity({"cfg": config, "extra_state": {"val_loss": value}}) == expected


def test_the_cards_line_samples(exported, monkeypatch, capsys):
    line = sampling_line(CardData("data", ["positive\t"]))
    assert f"    {line}\n" in (exported / "README.md").read_text()
    monkeypatch.chdir(exported)
    exec(line.replace("max_new_tokens=60", "max_new_tokens=5"))
    assert "positive\t" in capsys.readouterr().out


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_mode_that_the_umask_gives(tmp_path, checkpoint, data, mask):
    before = os.umask(mask)
    try:
        export_checkpoint(checkpoint, data, tmp_path / "hf")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "hf").iterdir()}
    assert modes == dict.fromkeys(modes, 0o666 & ~mask)
    assert (tmp_path / "hf").stat().st_mode & 0o777 == 0o777 & ~mask
