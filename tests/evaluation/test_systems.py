"""Checkpoints and Hugging Face folders give the same model, and what does not belong together is refused."""

import math

import numpy as np
import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.perplexity import stream_perplexity
from fairseq_plugin.evaluation.split_text import load_split
from fairseq_plugin.evaluation.systems import load_system, name_systems
from fairseq_plugin.pretrained.export import export_checkpoint
from fairseq_plugin.pretrained.vocabulary import fingerprint
from tests.evaluation.made_text import tiny_gpt2, write_folder

SIZES = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 64, "layer_norm_epsilon": 1e-5}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, text):
    """A checkpoint as fairseq's trainer writes one."""
    weights = {f"decoder.gpt2.{name}": value for name, value in tiny_gpt2(text, seed=9).state_dict().items()}
    # As checkpoints were before they knew the tokenizer.
    weights["decoder.dictionary_fingerprint"] = torch.tensor(fingerprint(text.symbols)[:3])
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint_best.pt"
    torch.save({"args": None, "cfg": {"model": {"_name": "gpt2", **SIZES}}, "model": weights}, path)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory, checkpoint, folder):
    path = tmp_path_factory.mktemp("exported") / "model"
    export_checkpoint(checkpoint, folder, path)
    return path


def test_a_checkpoint_is_the_model_that_was_saved(text, checkpoint):
    own = stream_perplexity(tiny_gpt2(text, seed=9), text.stream, 64)
    assert stream_perplexity(load_system("x", checkpoint, text).gpt2, text.stream, 64) == own


def test_a_hugging_face_folder_is_the_same_model(text, checkpoint, exported):
    first, second = (load_system("x", path, text) for path in (checkpoint, exported))
    assert stream_perplexity(first.gpt2, text.stream, 64) == pytest.approx(
        stream_perplexity(second.gpt2, text.stream, 64), rel=1e-6
    )
    assert first.sha256 != second.sha256


@pytest.mark.parametrize(("window", "context"), [(64, 0), (30, 10)])
def test_transformers_finds_the_same_perplexity_on_the_exported_weights(
    text, checkpoint, exported, window, context
):
    from transformers import GPT2LMHeadModel

    theirs = GPT2LMHeadModel.from_pretrained(exported).eval()
    end = theirs.config.eos_token_id
    stream = text.stream[:500]
    ids = [end, *(end if index == 2 else int(text.symbols[index]) for index in stream)]
    total = 0.0
    for start in range(0, len(stream), window - context):
        last, first = min(start + window - context, len(stream)), max(0, start - context)
        with torch.no_grad():
            logits = theirs(torch.tensor([ids[first:last]])).logits[0].double().log_softmax(-1)
        for place in range(start, last):
            total -= logits[place - first, ids[place + 1]].item()
    nll, num_tokens = stream_perplexity(load_system("x", checkpoint, text).gpt2, stream, window, context)
    assert math.exp(nll / num_tokens) == pytest.approx(math.exp(total / len(stream)), rel=1e-4)


def test_another_dictionary_is_refused(tmp_path, checkpoint, exported):
    other = load_split(write_folder(tmp_path / "other", vocab_size=290), "test")
    with pytest.raises(UserError, match="dictionary|embedding"):
        load_system("x", checkpoint, other)
    with pytest.raises(UserError, match="CHECKPOINT.*(another tokenizer|end token)"):
        load_system("x", exported, other)


def test_a_damaged_checkpoint_is_refused(tmp_path, text, checkpoint):
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "checkpoint_best.pt").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load_system("x", tmp_path / "checkpoint_best.pt", text)
    with pytest.raises(UserError, match="there is no checkpoint"):
        load_system("x", tmp_path / "none.pt", text)


def test_names_come_from_the_path_or_from_the_user(tmp_path):
    found = name_systems(["runs/mle/checkpoint_best.pt", "sg=runs/sg/checkpoint_best.pt", "models/gpt2"])
    assert [name for name, _ in found] == ["mle/checkpoint_best", "sg", "gpt2"]
    assert found[1][1] == "runs/sg/checkpoint_best.pt"
    (tmp_path / "a=b.pt").touch()
    assert name_systems([str(tmp_path / "a=b.pt")])[0][1] == str(tmp_path / "a=b.pt")


@pytest.mark.parametrize("given", [["a/x.pt", "a/x.pt"], ["a=x.pt", "a=y.pt"], ["human=x.pt"], ["=x.pt"]])
def test_names_that_cannot_be_told_apart_are_refused(given):
    with pytest.raises(UserError, match="NAME="):
        name_systems(given)


def test_ids_words_and_indices_come_back(text):
    stream = text.stream[:200].tolist()
    ids = text.ids(stream)
    assert text.indices(ids) == [index for index in stream if index != 2]
    documents = "".join(text.codec.decode(ids)).split()
    assert text.words(np.array(stream)) == documents
    assert text.words([2]) == [] and text.words([]) == []
    with pytest.raises(UserError, match="another tokenizer"):
        text.indices([10**6])


def test_a_document_end_ends_a_word(text):
    a, b = text.indices(text.codec.encode("ab"))[:1], text.indices(text.codec.encode("b"))[:1]
    assert len(text.words([*a, *b])) == 1 and len(text.words([*a, 2, *b])) == 2
