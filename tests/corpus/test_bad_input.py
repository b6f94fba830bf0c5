"""Bad text, bad flags, damaged folders: an error that names the thing and the mend, and nothing written."""

import json
import shutil

import numpy as np
import pytest

from fairseq_plugin.corpus import folder
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.corpus.prepare import prepare
from fairseq_plugin.errors import UserError
from tests.corpus.made_text import prepare_text, request_for, wiki, write
from tests.labelled.made_data import prepare_reviews
from tests.storage.damage import state_again

FLAGS = {
    "--split 0.5,0.6": ({"split": (0.5, 0.6)}, "--split 0.5,0.6: the shares sum to 1.1, not to 1"),
    "--split 1": ({"split": (1.0,)}, "--split 1: give two or three shares"),
    "--split 1,0": ({"split": (1.0, 0.0)}, "--split 1,0: give two or three shares between 0 and 1"),
    "--split nan": ({"split": (float("nan"), 0.5)}, "--split nan,0.5: give two or three shares"),
    "--split and --valid": ({"split": (0.5, 0.5), "valid": "v"}, "--split cuts TRAIN into all splits"),
    "--documents": ({"documents": "page"}, "--documents page: choose auto, file, blank-lines"),
    "--codec": ({"codec": "words"}, "--codec words: choose gpt2, bytes or sentencepiece"),
    "no --vocab-size": ({"vocab_size": None}, "--codec bytes needs --vocab-size N"),
    "small --vocab-size": ({"vocab_size": 255}, "--vocab-size 255 is too small"),
    "no --gpt2-bpe": ({"codec": "gpt2", "vocab_size": None}, "--codec gpt2 needs --gpt2-bpe DIR"),
    "gpt2 --vocab-size": ({"codec": "gpt2", "gpt2_bpe": "x"}, "--vocab-size 300 contradicts --codec gpt2: "),
    "bytes --gpt2-bpe": ({"gpt2_bpe": "x"}, "--gpt2-bpe x contradicts --codec bytes: it is for gpt2"),
    "bytes --sentencepiece-model": ({"sentencepiece_model": "m"}, "--sentencepiece-model m contradicts"),
    "both models": ({"codec": "sentencepiece", "sentencepiece_model": "m"}, "--vocab-size is for a model"),
    "missing model": (
        {"codec": "sentencepiece", "sentencepiece_model": "none.model", "vocab_size": None}, "none.model"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAGS)
def test_flags_that_cannot_be_or_contradict(tmp_path, name):
    changes, message = FLAGS[name]
    path = write(tmp_path, "train.txt", wiki(3))
    if "valid" in changes:
        changes = changes | {"valid": path}
    with pytest.raises(UserError) as caught:
        prepare(request_for(tmp_path, path, **changes))
    assert message in str(caught.value)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["train.txt"]


def refused(folder, message, train="train.txt", **changes):
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=message):
        prepare(request_for(folder, folder / train, **changes))
    assert sorted(folder.rglob("*")) == before


def test_missing_and_empty_files(tmp_path):
    refused(tmp_path, r"TRAIN .*train.txt: no such file or folder")
    write(tmp_path, "train.txt", "text\n")
    refused(tmp_path, r"--valid .*nowhere.txt: no such file", valid=str(tmp_path / "nowhere.txt"))
    write(tmp_path, "empty.txt", "")
    refused(tmp_path, r"--valid .*empty.txt: the file is empty", valid=str(tmp_path / "empty.txt"))
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", "a.md", "text")
    refused(tmp_path, r"TRAIN .*folder: the folder holds no \*.txt; .*--pattern", train="folder")
    write(tmp_path / "folder", "a.txt", "")
    refused(tmp_path, r"all 1 files \(\*.txt\) of the folder are empty", train="folder")


def test_an_empty_split(tmp_path):
    write(tmp_path, "train.txt", "one\ntwo")
    refused(
        tmp_path,
        "the valid split is empty: --split 0.9,0.05,0.05 cuts between lines",
        split=(0.9, 0.05, 0.05),
    )
    write(tmp_path, "train.txt", wiki(3))
    refused(tmp_path, "the valid split is empty: --split 0.9,0.1 cuts between documents", split=(0.9, 0.1))
    refused(tmp_path, "the test split is empty", split=(0.4, 0.4, 0.2), documents="wikitext")


@pytest.mark.parametrize("where", [0, 3, (1 << 20) - 1, 1 << 20, (1 << 20) + 7])
@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xe4\xb8"])
def test_bytes_that_are_not_utf8_are_found_where_they_stand(tmp_path, where, wrong):
    """Beside the border of two blocks too."""
    content = (b"some words\n" * 100_000)[:where] + wrong + b"(and more)\n" * 3
    write(tmp_path, "train.txt", content)
    refused(
        tmp_path,
        rf"is not UTF-8: line {where // 11 + 1}, byte {where % 11 + 1} is 0x{wrong[0]:02x}; .*iconv",
        documents="file",
        vocab_size=256,
    )


def test_a_character_that_the_files_end_cuts(tmp_path):
    write(tmp_path, "train.txt", "word é".encode()[:-1])
    refused(tmp_path, "train.txt is not UTF-8: line 1, byte 6 is 0xc3", vocab_size=256)


def test_a_tokenizer_that_would_alter_the_text(tmp_path):
    import sentencepiece

    from tests.corpus.made_text import sentences

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(300)), model_prefix=str(tmp_path / "given"), vocab_size=200,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    write(tmp_path, "train.txt", "a film\nof two  spaces\n")
    refused(
        tmp_path, r"^train: the text 'of two  spaces' would be altered by this sentencepiece tokenizer",
        codec="sentencepiece", sentencepiece_model=str(tmp_path / "given.model"), vocab_size=None,
    )  # fmt: skip


def test_a_place_that_must_not_be_written(tmp_path):
    path = write(tmp_path, "train.txt", wiki(2))
    write(tmp_path, "prepared", "a file")
    with pytest.raises(UserError, match="is a file or a link; name a folder"):
        prepare(request_for(tmp_path, path))
    (tmp_path / "prepared").unlink()
    (tmp_path / "prepared").mkdir()
    write(tmp_path / "prepared", "letter.txt", "mine")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="holds other things than prepared data"):
            prepare(request_for(tmp_path, path, overwrite=overwrite))
    assert (tmp_path / "prepared" / "letter.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return prepare_text(tmp_path_factory.mktemp("whole"), wiki(4), split=(0.5, 0.5))[1]


@pytest.fixture
def data(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "data")


def test_labelled_rows_are_told_from_text(tmp_path):
    with pytest.raises(
        UserError, match=r"holds labelled rows.*--task conditional_augmentation.*prepare_text\.py"
    ):
        TextManifest.load(prepare_reviews(tmp_path)[1])


MANIFESTS = {
    "": "damaged",
    "[]": "not a manifest of prepared text",
    '{"format": "other"}': "not a manifest of prepared text",
    '{"format": "text", "version": 3}': "version 3",
    '{"format": "text", "version": 1}': "damaged",
    "[" * 100_000: "damaged",
}


@pytest.mark.parametrize("content", MANIFESTS, ids=lambda content: content[:24])
def test_a_foreign_or_damaged_manifest(data, content):
    (data / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=MANIFESTS[content]):
        TextManifest.load(data)


def test_a_manifest_with_any_field_missing(data):
    stated = json.loads((data / "manifest.json").read_text("utf-8"))
    for key in stated:
        (data / "manifest.json").write_text(
            json.dumps({k: v for k, v in stated.items() if k != key}), "utf-8"
        )
        with pytest.raises(UserError, match=r"manifest\.json"):
            TextManifest.load(data)


def test_a_missing_folder_manifest_or_split(data, tmp_path):
    with pytest.raises(UserError, match=r"no folder .*prepare_text\.py"):
        folder.read_stream(tmp_path / "nowhere", "train")
    with pytest.raises(UserError, match="has no split 'test'; it has train, valid"):
        folder.read_stream(data, "test")
    (data / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"has no manifest\.json.*prepare_text\.py"):
        folder.read_stream(data, "train")


@pytest.mark.parametrize("name", ["valid.bin", "valid.idx"])
def test_a_cut_or_missing_file(data, name):
    content = (data / name).read_bytes()
    for cut in (0, 1, len(content) // 2, len(content) - 1):
        (data / name).write_bytes(content[:cut])
        with pytest.raises(UserError, match=name):
            folder.read_stream(data, "valid")
    (data / name).unlink()
    with pytest.raises(UserError, match=name):
        folder.read_stream(data, "valid")


def test_files_of_another_split_or_strange_tokens(data):
    for end in (".bin", ".idx"):
        shutil.copy(data / f"train{end}", data / f"valid{end}")
    state_again(data)
    with pytest.raises(UserError, match=r"valid\.idx is damaged"):
        folder.read_stream(data, "valid")
    tokens = np.fromfile(data / "train.bin", dtype=np.uint16)
    for value, message in ((3, "token 5 is 3"), (60_000, "token 5 is 60000"), (2, "document ends")):
        changed = tokens.copy()
        changed[5] = value
        changed.tofile(data / "train.bin")
        state_again(data)
        with pytest.raises(UserError, match=rf"train\.bin is damaged: .*{message}"):
            folder.read_stream(data, "train")


def test_a_flipped_bit_is_seen_by_the_deep_check(data):
    content = bytearray((data / "train.bin").read_bytes())
    content[40] ^= 1
    (data / "train.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"train\.bin is not the file that was prepared"):
        folder.check_split(data, "train", deep=True)


def test_indices_that_stand_for_no_id(data):
    codec = folder.load_codec(data)
    assert folder.to_ids(folder.to_indices([0, 5, 299], codec), codec) == [0, 5, 299]
    assert folder.to_indices([0, 5], codec).tolist() == [4, 9]
    for wrong in (0, 1, 2, 3, 304, -1):
        with pytest.raises(UserError, match=f"dictionary index {wrong} stands for no id"):
            folder.to_ids([7, wrong], codec)
