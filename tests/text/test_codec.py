"""Text survives: every codec gives back exactly what it was given, or says that it cannot."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.codec import (
    gpt2_codec,
    load_codec,
    load_sentencepiece,
    train_bytes_codec,
    train_sentencepiece,
)
from scripts.reviews import make_reviews
from tests.text.random_texts import LOOKALIKES, ODD, random_texts

KINDS = ("gpt2", "bytes", "sentencepiece", "gpt2_real")


@pytest.fixture(scope="session")
def sentences():
    return [row.text for row in make_reviews({"train": 2000}, seed=3)["train"]]


@pytest.fixture(scope="session")
def bytes_codec(sentences):
    return train_bytes_codec(sentences, 400)


@pytest.fixture(scope="session")
def small_gpt2(bytes_codec, tmp_path_factory):
    """A codec from files of GPT-2's form: <|endoftext|> is the last entry."""
    folder = tmp_path_factory.mktemp("gpt2")
    vocab = json.loads(bytes_codec.files["vocab.json"])
    vocab["<|endoftext|>"] = len(vocab)
    (folder / "encoder.json").write_text(json.dumps(vocab), encoding="utf-8")
    (folder / "vocab.bpe").write_bytes(bytes_codec.files["merges.txt"])
    return gpt2_codec(folder / "encoder.json", folder / "vocab.bpe")


@pytest.fixture(scope="session")
def sentencepiece_codec(sentences):
    return train_sentencepiece(sentences, 500)


@pytest.fixture(params=KINDS)
def codec(request):
    if request.param == "gpt2_real":
        return load_codec(request.getfixturevalue("shared_data") / "gpt2-bpe")
    return request.getfixturevalue("small_gpt2" if request.param == "gpt2" else f"{request.param}_codec")


def test_ten_thousand_random_texts_come_back(codec):
    texts = [*random_texts(10_000, seed=1), *ODD, *LOOKALIKES, "", " ", "  a  ", "\u2581" * 3]
    encoded = codec.encode_batch(texts)
    assert [codec.decode(ids) for ids in encoded] == texts
    assert all(0 <= token < codec.num_ids for ids in encoded for token in ids)
    assert codec.end_id is None or not any(codec.end_id in ids for ids in encoded)


@settings(max_examples=300, deadline=None)
@given(text=st.text())
@pytest.mark.parametrize("kind", ["bytes_codec", "sentencepiece_codec"])
def test_any_text_comes_back(request, kind, text):
    codec = request.getfixturevalue(kind)
    assert codec.decode(codec.encode(text)) == text


def test_every_sequence_of_ids_decodes(codec):
    generator = random.Random(2)
    for token in range(min(codec.num_ids, 2000)):
        assert isinstance(codec.decode([token]), str)
    for _ in range(500):
        codec.decode([generator.randrange(codec.num_ids) for _ in range(generator.randrange(30))])
    if codec.end_id is not None:
        assert codec.decode([codec.end_id]) == ""


@pytest.mark.parametrize("wrong", [-1, "num_ids", 10**9])
def test_an_id_out_of_range_is_refused(codec, wrong):
    with pytest.raises(UserError, match="outside this tokenizer"):
        codec.decode([0, codec.num_ids if wrong == "num_ids" else wrong])


def test_a_cut_character_decodes_to_the_replacement_character(bytes_codec):
    ids = bytes_codec.encode("\U0001f600")
    assert len(ids) == 4
    assert bytes_codec.decode(ids[:3]) == "\ufffd"


def test_special_symbols_are_ordinary_text(codec):
    for text in ("</s>", "<|endoftext|>", "<s>", "<unk>", "<0x0A>"):
        ids = codec.encode(text)
        assert len(ids) > 1
        assert codec.decode(ids) == text


def test_a_lone_surrogate_is_refused(codec):
    assert codec.try_encode_batch(["fine", "half \ud83d"])[1] is None
    with pytest.raises(UserError, match="lone surrogate"):
        codec.encode("half \ud83d")


def test_one_and_many_give_the_same_ids(codec):
    texts = random_texts(200, seed=4)
    assert [codec.encode(text) for text in texts] == codec.encode_batch(texts)
    assert codec.encode_batch([]) == []


def test_saved_and_loaded_gives_the_same_ids(codec, tmp_path):
    codec.save(tmp_path)
    loaded = load_codec(tmp_path)
    texts = random_texts(500, seed=5)
    assert (loaded.kind, loaded.num_ids, loaded.end_id) == (codec.kind, codec.num_ids, codec.end_id)
    assert loaded.encode_batch(texts) == codec.encode_batch(texts)
    assert load_codec(tmp_path / "codec.json").kind == codec.kind


def test_a_changed_tokenizer_file_is_refused(codec, tmp_path):
    codec.save(tmp_path)
    name = next(iter(codec.files))
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is not the file"):
        load_codec(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=name):
        load_codec(tmp_path)


@pytest.mark.parametrize(
    "meta",
    [
        "",
        "[]",
        "{}",
        '{"version": 1, "kind": "other", "files": {}}',
        '{"version": 9, "kind": "bytes", "files": {}}',
    ],
)
def test_a_damaged_description_is_refused(meta, bytes_codec, tmp_path):
    bytes_codec.save(tmp_path)
    (tmp_path / "codec.json").write_text(meta, encoding="utf-8")
    with pytest.raises(UserError, match=r"codec\.json"):
        load_codec(tmp_path)


def test_nothing_to_load_is_told(tmp_path):
    with pytest.raises(UserError, match="no tokenizer at"):
        load_codec(tmp_path / "missing")
    with pytest.raises(UserError, match="holds no tokenizer"):
        load_codec(tmp_path)
    (tmp_path / "x.model").write_bytes(b"garbage")
    with pytest.raises(UserError, match="not a sentencepiece model"):
        load_codec(tmp_path / "x.model")
    (tmp_path / "empty.model").write_bytes(b"")
    with pytest.raises(UserError, match="not a sentencepiece model"):
        load_codec(tmp_path / "empty.model")


def test_hugging_face_file_names_load_too(small_gpt2, tmp_path):
    (tmp_path / "vocab.json").write_bytes(small_gpt2.files["encoder.json"])
    (tmp_path / "merges.txt").write_bytes(small_gpt2.files["vocab.bpe"])
    codec = load_codec(tmp_path)
    assert (codec.kind, codec.end_id) == ("gpt2", small_gpt2.end_id)
    assert codec.encode("a good film") == small_gpt2.encode("a good film")


def _without_byte(vocab):
    last = next(token for token, number in vocab.items() if number == len(vocab) - 1)
    vocab[last] = vocab.pop("!")


DAMAGE = {
    "not a JSON vocabulary": lambda vocab: "{",
    "not a vocabulary": lambda vocab: "[1]",
    "ids are not exactly": lambda vocab: json.dumps({**vocab, "x1": len(vocab) + 5}),
    "of the 256 bytes": lambda vocab: (_without_byte(vocab), json.dumps(vocab))[1],
    "stands for no byte": lambda vocab: json.dumps({**vocab, "<a special>": len(vocab)}),
    "merges do not fit": lambda vocab: json.dumps({chr_: n for n, chr_ in enumerate(list(vocab)[:256])}),
}


@pytest.mark.parametrize("words", DAMAGE)
def test_a_damaged_vocabulary_is_refused(words, small_gpt2, tmp_path):
    vocab = json.loads(small_gpt2.files["encoder.json"])
    ordered = dict(sorted(vocab.items(), key=lambda item: item[1]))
    (tmp_path / "encoder.json").write_text(DAMAGE[words](ordered), encoding="utf-8")
    (tmp_path / "vocab.bpe").write_bytes(small_gpt2.files["vocab.bpe"])
    with pytest.raises(UserError, match=words):
        load_codec(tmp_path)


def test_a_damaged_merges_line_is_named(small_gpt2, tmp_path):
    (tmp_path / "encoder.json").write_bytes(small_gpt2.files["encoder.json"])
    (tmp_path / "vocab.bpe").write_bytes(b"#version: 0.2\na b c\n")
    with pytest.raises(UserError, match="line 2"):
        load_codec(tmp_path)


@pytest.mark.parametrize("train", [train_bytes_codec, train_sentencepiece])
def test_training_twice_gives_the_same_files(train, sentences):
    assert train(sentences, 450).files == train(sentences, 450).files


@pytest.mark.parametrize("train", [train_bytes_codec, train_sentencepiece])
def test_a_vocabulary_too_small_is_refused(train, sentences):
    with pytest.raises(UserError, match="--vocab-size"):
        train(sentences, 100)


def test_a_trained_codec_is_shorter_than_bytes(bytes_codec, sentences):
    assert bytes_codec.num_ids == 400
    tokens = sum(map(len, bytes_codec.encode_batch(sentences)))
    assert tokens < 0.6 * sum(len(text.encode()) for text in sentences)


def given_model(sentences, folder, **options):
    """A sentencepiece model with the library's own settings, as a user may bring one."""
    import sentencepiece

    path = folder / "given.model"
    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=stream, vocab_size=350,
            hard_vocab_limit=False, minloglevel=2, **options,
        )  # fmt: skip
    return load_sentencepiece(path)


def test_a_given_model_refuses_what_it_would_alter(sentences, tmp_path):
    codec = given_model(sentences, tmp_path)  # nmt_nfkc, squeezed spaces, unknown characters
    encoded = codec.try_encode_batch(
        ["the film is good", "two  spaces", "ﬁne", "\u4f60", "tab\there", "a\u2581b"]
    )
    assert encoded[0] is not None and codec.decode(encoded[0]) == "the film is good"
    assert encoded[1:] == [None] * 5
    with pytest.raises(UserError, match="would be altered by this sentencepiece tokenizer"):
        codec.encode("two  spaces")


def test_a_given_model_with_byte_pieces_and_a_leading_space_is_exact(sentences, tmp_path):
    codec = given_model(
        sentences, tmp_path, byte_fallback=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False,
    )  # fmt: skip
    assert codec.decode(codec.encode("film")) == "film"
    texts = random_texts(2000, seed=6)
    exact = 0
    for text, ids in zip(texts, codec.try_encode_batch(texts), strict=True):
        assert (ids is None) == ("\u2581" in text)
        if ids is not None:
            assert codec.decode(ids) == text
            exact += 1
    assert exact > 1000


def test_what_was_met_before_changes_no_ids(sentences, monkeypatch):
    """Words are remembered while they are few; a codec that forgets at once gives the same."""
    texts = [*random_texts(300, seed=9), *sentences[:300]] * 2
    remembering, forgetful = train_bytes_codec(sentences, 400), train_bytes_codec(sentences, 400)
    encoded = [remembering.encode(text) for text in texts]
    monkeypatch.setattr("fairseq_plugin.text.byte_level.MOST_KNOWN", 0)
    assert [forgetful.encode(text) for text in texts] == encoded
    assert forgetful.encode_batch(texts) == encoded
    assert not forgetful._known and remembering._known
