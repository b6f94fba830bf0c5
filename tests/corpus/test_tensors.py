"""Token tensors of a release: the ids as they are, or an error that says which is none."""

import json
import pickle

import numpy as np
import pytest
import torch

from fairseq_plugin.corpus import folder, tensors
from fairseq_plugin.corpus.manifest import TextCounts, TextManifest
from fairseq_plugin.corpus.prepare import Request, prepare
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.text.codec import train_bytes_codec
from tests.corpus.made_text import sentences, write
from tests.storage.damage import flipped_bits

END = 300  # of the small tokenizer below; GPT-2's is 50256


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    """A folder of files in GPT-2's form with 300 tokens and the end."""
    to = tmp_path_factory.mktemp("bpe")
    codec = train_bytes_codec(sentences(300), 300)
    vocab = json.loads(codec.files["vocab.json"]) | {"<|endoftext|>": END}
    write(to, "encoder.json", json.dumps(vocab))
    write(to, "vocab.bpe", codec.files["merges.txt"])
    return to


@pytest.fixture
def small(bpe):
    return folder.load_codec(bpe)


def request_for(tmp_path, bpe, value, **changes):
    torch.save(value, tmp_path / "train.pt")
    fields = {"train": str(tmp_path / "train.pt"), "to": str(tmp_path / "out"), "gpt2_bpe": str(bpe)}
    return Request(**(fields | changes))


def ids_of(codec, count=40):
    """Ids of some documents, each with its end."""
    return [token for text in sentences(count) for token in [*codec.encode(text + "\n"), END]]


FORMS = {
    "one dimension": lambda ids: torch.tensor(ids),
    "int32": lambda ids: torch.tensor(ids, dtype=torch.int32),
    "two dimensions": lambda ids: torch.tensor(ids[: len(ids) // 8 * 8]).view(8, -1),
    "list of ints": lambda ids: list(ids),
    "list of tensors": lambda ids: list(torch.tensor(ids).split(13)),
    "a view with strides": lambda ids: torch.tensor(ids).repeat_interleave(2)[::2],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("chunk", [7, 1 << 18])
def test_the_stream_is_the_ids_whatever_the_form(tmp_path, bpe, small, monkeypatch, form, chunk):
    monkeypatch.setattr(tensors, "CHUNK", chunk)
    value = FORMS[form](ids_of(small))
    parts = value if isinstance(value, list) else [value]
    ids = [int(token) for part in parts for token in torch.as_tensor(part).reshape(-1)]
    prepared = prepare(request_for(tmp_path, bpe, value))
    if ids[-1] != END:
        assert "train: the last document has no end token (300); it got one" in prepared.notes
        ids.append(END)
    stream = folder.read_stream(tmp_path / "out", "train")
    assert folder.to_ids(stream, small) == ids
    text = "".join(
        small.decode(part.tolist()) for part in np.split(np.array(ids), np.flatnonzero(np.array(ids) == END))
    )
    split = TextManifest.load(tmp_path / "out").splits["train"]
    assert split == TextCounts(
        documents=ids.count(END), tokens=len(ids), bytes=len(text.encode()), characters=len(text),
        words=len(text.split()), longest=max(np.diff(np.flatnonzero(np.array([END, *ids]) == END))),
    )  # fmt: skip
    assert prepared.manifest.documents == "end-tokens"


def test_a_release_folder_gives_all_its_splits(tmp_path, bpe, small):
    for split, count in (("train", 30), ("valid", 5), ("test", 4)):
        torch.save(torch.tensor(ids_of(small, count)), tmp_path / f"{split}_tokens_bpe_gpt2.pt")
    prepared = prepare(Request(train=str(tmp_path), to=str(tmp_path / "out"), gpt2_bpe=str(bpe)))
    assert {split: counts.documents for split, counts in prepared.manifest.splits.items()} == {
        "train": 30, "valid": 5, "test": 4,
    }  # fmt: skip
    files = prepared.manifest.source["files"]
    assert [stated["path"] for stated in files["valid"]] == ["valid_tokens_bpe_gpt2.pt"]


def test_tensors_and_text_of_the_same_words_give_the_same_stream(tmp_path, bpe, small):
    texts = [text + "\n" for text in sentences(20)]
    prepare(request_for(tmp_path, bpe, torch.tensor(ids_of(small, 20))))
    path = write(tmp_path, "t.txt", "".join(texts))
    prepare(Request(train=path, to=str(tmp_path / "text"), gpt2_bpe=str(bpe), documents="line"))
    assert (tmp_path / "text" / "train.bin").read_bytes() == (tmp_path / "out" / "train.bin").read_bytes()
    first, second = (TextManifest.load(tmp_path / name).splits for name in ("out", "text"))
    assert first == second


def test_a_cut_character_is_counted_as_one(small):
    counter = tensors.TextCounter(small)
    ids = np.array(small.encode("a \U0001f600 b"))
    assert [counter.count(ids[at : at + 1]) for at in range(len(ids))][-1][2] == 1
    counter, total = tensors.TextCounter(small), np.zeros(3, dtype=int)
    for token in ids:
        total += counter.count(np.array([token]))
    assert total.tolist() == [8, 5, 3]


WRONG = {
    "floats": (
        torch.tensor([1.5, 2.0]),
        r"position 0: the tensor is float32, the first value is 1.5: token ids are integers",
    ),
    "booleans": (torch.tensor([True]), "the tensor is bool"),
    "negative": (
        torch.tensor([1, 2, -3]),
        r"train.pt, position 2: -3 is not an id of GPT-2's BPE, which has 0 .. 300",
    ),
    "too large": (torch.tensor([[1, 2], [3, 301]]), r"row 1, column 1: 301 is not an id"),
    "too large in a list": ([1, 2, 9999], "position 2: 9999 is not an id"),
    "too large in an entry": (
        [torch.tensor([1]), torch.tensor([2, 301])],
        "entry 1, position 1: 301 is not an id",
    ),
    "float in a list": ([1, 2.0], r"position 1: 2.0 \(float\) is not a token id"),
    "bool in a list": ([1, True], r"position 1: True \(bool\) is not a token id"),
    "huge in a list": ([1, 10**30], r"position 1: 10+ \(int\) is not a token id"),
    "text in a list": (["the"], r"position 0: 'the' \(str\) is not a token id"),
    "mixed list": ([torch.tensor([1]), 2], r"entry 1: 2 \(int\) is not a token id"),
    "float entry": ([torch.tensor([1]), torch.tensor([2.0])], "entry 1: position 0: the tensor is float32"),
    "three dimensions": (
        torch.zeros(2, 2, 2, dtype=torch.long),
        r"a tensor of shape \(2, 2, 2\) is not a stream",
    ),
    "no dimension": (torch.tensor(3), r"a tensor of shape \(\) is not a stream"),
    "dict": ({"tokens": torch.tensor([1])}, "holds a dict, not token ids"),
    "empty": (torch.tensor([], dtype=torch.long), "holds no tokens: the train split would be empty"),
    "empty list": ([], "holds no tokens: the train split would be empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_ids_is_refused_where_it_stands(tmp_path, bpe, monkeypatch, name):
    value, message = WRONG[name]
    with pytest.raises(UserError, match=message):
        prepare(request_for(tmp_path, bpe, value))
    assert sorted(child.name for child in tmp_path.iterdir()) == ["train.pt"]


def test_a_wrong_id_far_inside_is_named(tmp_path, bpe):
    value = [1] * 600_000
    value[555_555] = 301
    for form in (value, torch.tensor(value)):
        with pytest.raises(UserError, match="position 555555: 301 is not an id"):
            prepare(request_for(tmp_path, bpe, form))


class Canary:
    def __reduce__(self):
        return (print, ("the canary ran",))


def test_nothing_in_a_tensor_file_is_run(tmp_path, bpe, capsys):
    path = tmp_path / "train.pt"
    refused = r"train.pt is not a file of tensors that loads without running code"
    torn = "train.pt: this file of tensors is damaged or cut short"
    contents = {pickle.dumps(Canary(), protocol=2): refused, b"PK\x03\x04 torn": torn, b"": refused}
    for content, message in (contents | {b"\x80\x02.": refused}).items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            prepare(Request(train=str(path), to=str(tmp_path / "out"), gpt2_bpe=str(bpe)))
    torch.save({"x": Canary()}, path)
    with pytest.raises(UserError, match="without running code"):
        prepare(Request(train=str(path), to=str(tmp_path / "out"), gpt2_bpe=str(bpe)))
    assert "canary" not in capsys.readouterr().out


CONTRADICTIONS = {
    "--split": ({"split": (0.5, 0.5)}, "--split cuts text; token tensors come split"),
    "--documents": ({"documents": "line"}, "--documents line does not apply to token tensors"),
    "--codec": (
        {"codec": "bytes", "vocab_size": 300, "gpt2_bpe": None},
        "token tensors hold GPT-2's ids; use --codec gpt2",
    ),
    "text": ({"valid": "train.txt"}, r"token tensors \(.pt\) and text cannot be mixed"),
    "missing": ({"valid": "no.pt"}, "--valid no.pt: no such file"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_flags_that_do_not_go_with_tensors(tmp_path, bpe, name):
    changes, message = CONTRADICTIONS[name]
    with pytest.raises(UserError, match=message):
        prepare(request_for(tmp_path, bpe, torch.tensor([1, END]), **changes))
    torch.save(torch.tensor([1, END]), tmp_path / "train_tokens_bpe_gpt2.pt")
    with pytest.raises(UserError, match="is a folder of token tensors of all splits: leave out --valid"):
        prepare(Request(train=str(tmp_path), valid="x.pt", to=str(tmp_path / "out"), gpt2_bpe=str(bpe)))


def test_a_tokenizer_without_an_end_cannot_read_tensors(tmp_path, small):
    vocab = json.loads(small.files["encoder.json"])
    del vocab["<|endoftext|>"]
    (tmp_path / "bpe").mkdir()
    write(tmp_path / "bpe", "encoder.json", json.dumps(vocab))
    write(tmp_path / "bpe", "vocab.bpe", small.files["vocab.bpe"])
    with pytest.raises(UserError, match=r"has no <\|endoftext\|>, which ends documents of tensors"):
        prepare(request_for(tmp_path, tmp_path / "bpe", torch.tensor([1])))


def test_no_flipped_bit_of_a_tensor_file_goes_unnoticed(tmp_path, bpe, small):
    request = request_for(tmp_path, bpe, torch.tensor(ids_of(small, 5)))
    whole = tensors.load_file(tmp_path / "train.pt")
    unnoticed = 0
    for _ in flipped_bits(tmp_path / "train.pt", 200):
        try:
            found = tensors.load_file(tmp_path / "train.pt")
        except UserError as error:
            assert "train.pt" in str(error)
        else:  # a bit that belongs to no number: a time in the archive, say
            unnoticed += not torch.equal(found.content, whole.content)
    assert unnoticed == 0
    assert prepare(request).manifest.source["files"]["train"][0]["sha256"] == sha256(tmp_path / "train.pt")


def test_torchs_old_format_is_read_and_says_that_nothing_vouches_for_it(tmp_path, bpe, small):
    request = request_for(tmp_path, bpe, torch.tensor([1, END]))
    ids = ids_of(small)
    torch.save(torch.tensor(ids), tmp_path / "train.pt", _use_new_zipfile_serialization=False)
    prepared = prepare(request)
    assert folder.to_ids(folder.read_stream(tmp_path / "out", "train"), small) == ids
    (note,) = [note for note in prepared.notes if "old format" in note]
    assert "no checksums" in note and sha256(tmp_path / "train.pt") in note
