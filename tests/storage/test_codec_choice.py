"""Both scripts that prepare data choose the tokenizer alike: flags that contradict each other are refused."""

import pytest

from fairseq_plugin.corpus.prepare import Request as TextRequest
from fairseq_plugin.corpus.prepare import prepare as prepare_text
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.prepare import Request as LabelledRequest
from fairseq_plugin.labelled.prepare import prepare as prepare_labelled
from tests.labelled.made_data import table, write

REFUSED = {
    "another kind": ({"codec": "words"}, "--codec words: choose gpt2, bytes or sentencepiece"),
    "gpt2 without files": ({}, "--codec gpt2 needs --gpt2-bpe DIR"),
    "gpt2 with a size": (
        {"gpt2_bpe": "x", "vocab_size": 300}, "--vocab-size 300 contradicts --codec gpt2"),
    "bytes with files": ({"codec": "bytes", "gpt2_bpe": "x"}, "--gpt2-bpe x contradicts --codec bytes"),
    "bytes with a model": (
        {"codec": "bytes", "sentencepiece_model": "m"}, "--sentencepiece-model m contradicts"),
    "a model and a size": (
        {"codec": "sentencepiece", "sentencepiece_model": "m", "vocab_size": 300},
        "--vocab-size is for a model"),
    "no size": ({"codec": "bytes"}, "--codec bytes needs --vocab-size N"),
    "neither": ({"codec": "sentencepiece"}, "--vocab-size N or --sentencepiece-model FILE"),
    "negative": ({"codec": "bytes", "vocab_size": -1}, "--vocab-size -1 is too small"),
    "small": ({"codec": "bytes", "vocab_size": 255}, "--vocab-size 255 is too small"),
    "absurd": (
        {"codec": "bytes", "vocab_size": 10**30}, "--vocab-size 10+ is too large: give at most 1,000,000"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_both_alike(tmp_path, name):
    changes, message = REFUSED[name]
    path = write(tmp_path, "train.tsv", table(9))
    messages = set()
    for prepare, request in ((prepare_text, TextRequest), (prepare_labelled, LabelledRequest)):
        with pytest.raises(UserError, match=message) as caught:
            prepare(request(train=path, to=str(tmp_path / "out"), **changes))
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert [child.name for child in tmp_path.iterdir()] == ["train.tsv"]
