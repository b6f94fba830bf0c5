"""From files to a prepared folder: nothing lost, the same on any number of cores, nothing half-written."""

import json
import random
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.corpus import encode, folder, writing
from fairseq_plugin.corpus.manifest import TextCounts, TextManifest
from fairseq_plugin.corpus.prepare import prepare
from fairseq_plugin.corpus.summary import format_summary
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from tests.corpus.made_text import llama_like_model, prepare_text, request_for, sentences, wiki, write
from tests.corpus.test_documents import documents_oracle
from tests.labelled.made_data import load_script
from tests.text.random_texts import random_text, random_texts

ODD_TEXT = "\ufeffa\r\nb\rc\x00d\u2028e\n\n \n\u2581f </s> <|endoftext|> don't\x0c\n = g = \nh \U0001f600 i"


def files_of(path):
    return {child.name: child.read_bytes() for child in path.iterdir()}


def test_a_folder_holds_everything_and_reads_back(tmp_path):
    paths = {split: write(tmp_path, f"{split}.txt", wiki(count, seed=count)) for split, count in
             (("train", 20), ("valid", 4), ("test", 3))}  # fmt: skip
    prepared = prepare(request_for(tmp_path, paths["train"], valid=paths["valid"], test=paths["test"]))
    data = tmp_path / "prepared"
    manifest = TextManifest.load(data)
    assert manifest == prepared.manifest
    assert {child.name for child in data.iterdir()} == {
        "dict.txt", "codec.json", "vocab.json", "merges.txt", "manifest.json",
        *(f"{split}{end}" for split in paths for end in (".bin", ".idx")),
    }  # fmt: skip
    codec = folder.load_codec(data)
    for split, path in paths.items():
        text = Path(path).read_text("utf-8")
        assert folder.read_text(data, split) == text
        articles = documents_oracle(text, "wikitext")
        expected = [[*folder.to_indices(codec.encode(article), codec).tolist(), 2] for article in articles]
        assert folder.read_stream(data, split).tolist() == list(chain.from_iterable(expected))
        assert manifest.splits[split] == TextCounts(
            documents=len(articles), tokens=sum(map(len, expected)), bytes=len(text.encode()),
            characters=len(text), words=len(text.split()), longest=max(map(len, expected)),
        )  # fmt: skip
        content = Path(path).read_bytes()
        assert manifest.source["files"][split] == [
            {"path": f"{split}.txt", "sha256": sha256(path), "bytes": len(content)}
        ]
        folder.check_split(data, split, deep=True)
    assert (manifest.codec, manifest.documents, manifest.vocabulary) == ("bytes", "wikitext", 304)


def test_the_dictionary_is_in_order_of_ids_and_counts_train(tmp_path):
    from fairseq.data import Dictionary

    _, data = prepare_text(tmp_path, wiki(5))
    dictionary = Dictionary.load(str(data / "dict.txt"))
    assert len(dictionary) == 304
    assert dictionary.symbols[4:] == [str(number) for number in range(300)]
    counts = np.bincount(folder.read_stream(data, "train"), minlength=304)
    assert dictionary.count[4:] == counts[4:].tolist()


@pytest.mark.parametrize("documents", ["file", "blank-lines", "line", "wikitext"])
@pytest.mark.parametrize("codec", [("bytes", 256), ("bytes", 280), ("sentencepiece", 400)])
def test_the_text_is_the_files_bytes(tmp_path, documents, codec):
    texts = [wiki(4), "\n\n" + ODD_TEXT, *random_texts(40, seed=3), "\n".join(sentences(30))]
    text = "\n\n".join(texts)
    _, data = prepare_text(tmp_path, text, documents=documents, codec=codec[0], vocab_size=codec[1])
    assert folder.read_text(data, "train").encode() == (tmp_path / "train.txt").read_bytes()
    found = TextManifest.load(data).splits["train"]
    assert found.documents == len(documents_oracle(text, documents))
    assert (found.words, found.characters) == (len(text.split()), len(text))


@pytest.mark.parametrize("documents", ["file", "blank-lines", "line"])
def test_a_model_that_adds_a_space_to_every_text_adds_none_within_one(tmp_path, monkeypatch, documents):
    model = llama_like_model(tmp_path)
    monkeypatch.setattr("fairseq_plugin.text.segments.SEGMENT", 50)
    text = "\n\n".join([" ".join(sentences(9, seed)) + "\n " + sentences(1, seed)[0] for seed in range(9)])
    _, data = prepare_text(
        tmp_path, text, documents=documents, codec="sentencepiece", sentencepiece_model=model, vocab_size=None
    )
    assert folder.read_text(data, "train") == text


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), split=st.booleans(), workers=st.integers(1, 3), job=st.integers(1, 400))
def test_any_text_and_any_cutting_gives_the_same_folder(
    tmp_path_factory, monkeypatch, seed, split, workers, job
):
    """Small pieces, jobs and blocks against everything at once."""
    tmp_path = tmp_path_factory.mktemp("any")
    generator = random.Random(seed)
    text = "\n".join([random_text(generator) for _ in range(30)] + ["end"])
    request = request_for(
        tmp_path, write(tmp_path, "t.txt", text), vocab_size=260, split=(0.5, 0.5) if split else None
    )
    prepare(request)
    whole = files_of(tmp_path / "prepared")
    monkeypatch.setattr("fairseq_plugin.text.segments.SEGMENT", 10)
    monkeypatch.setattr(encode, "JOB", job)
    monkeypatch.setattr("fairseq_plugin.corpus.reading.BLOCK", 1 + job)
    request.to, request.workers = str(tmp_path / "cut"), workers
    prepare(request)
    monkeypatch.undo()
    assert files_of(tmp_path / "cut") == whole
    splits = TextManifest.load(tmp_path / "cut").splits
    assert "".join(folder.read_text(tmp_path / "cut", name) for name in splits) == text


def test_long_documents_stand_in_several_items(tmp_path, monkeypatch):
    assert writing.item_lengths(3) == [3]
    assert writing.item_lengths(8192) == [8192]  # never </s> alone
    assert writing.item_lengths(8193) == [8191, 2]
    assert writing.item_lengths(2 * 8191) == [8191, 8191]
    assert writing.item_lengths(2 * 8191 + 1) == [8191, 8192]
    monkeypatch.setattr(writing, "PIECE", 101)
    monkeypatch.setattr(encode, "JOB", 300)
    _, data = prepare_text(tmp_path, wiki(10, per_article=20))
    sizes, stream = folder.item_sizes(data, "train"), folder.read_stream(data, "train")
    assert sizes.sum() == len(stream) and sizes.max() <= 102 and len(sizes) > 20
    item_ends = np.cumsum(sizes)
    assert set(np.flatnonzero(stream == 2) + 1) <= set(item_ends)
    assert folder.read_text(data, "train") == (tmp_path / "train.txt").read_text("utf-8")


def test_a_folder_of_files_is_read_in_the_order_of_names(tmp_path):
    (tmp_path / "in").mkdir()
    for name, text in (
        ("b.txt", "second\n"),
        ("a.txt", "first"),
        ("c.txt", ""),
        ("d.md", "no"),
        ("e.txt", "third"),
    ):
        write(tmp_path / "in", name, text)
    prepared = prepare(request_for(tmp_path, tmp_path / "in"))
    stream, codec = (
        folder.read_stream(tmp_path / "prepared", "train"),
        folder.load_codec(tmp_path / "prepared"),
    )
    ends = np.flatnonzero(stream == 2) + 1
    texts = [folder.text_of(document, codec) for document in np.split(stream, ends[:-1])]
    assert texts == ["first", "second\n", "third"]
    assert "train: 1 empty files left out, the first is c.txt" in prepared.notes
    assert "train: 1 things besides *.txt left out, the first is d.md" in prepared.notes


def test_a_pattern_takes_other_names_and_folders_below_but_nothing_hidden_or_linked(tmp_path):
    place = tmp_path / "in" / "chapter" / "deep"
    place.mkdir(parents=True)
    (tmp_path / "in" / ".git").mkdir()
    for path, text in (("a.md", "A"), ("chapter/b.py", "B"), ("chapter/deep/c.md", "C"), ("d.txt", "no")):
        write(tmp_path / "in", path, text)
    write(tmp_path / "in", ".git/e.md", "no")
    (tmp_path / "in" / "f.md").symlink_to("a.md")
    prepare(request_for(tmp_path, tmp_path / "in", pattern="*.md, *.py"))
    assert folder.read_text(tmp_path / "prepared", "train") == "ABC"


def test_too_few_files_for_the_shares_are_cut_between_lines(tmp_path):
    (tmp_path / "in").mkdir()
    lines = [f"line {n}\n" for n in range(60)]
    for name, part in (("a.txt", lines[:30]), ("b.txt", lines[30:])):
        write(tmp_path / "in", name, "".join(part))
    prepare(request_for(tmp_path, tmp_path / "in", split=(0.9, 0.1)))
    train, valid = (folder.read_text(tmp_path / "prepared", split) for split in ("train", "valid"))
    assert train + valid == "".join(lines) and 40 <= len(valid) <= 60 and valid.startswith("line ")


def test_a_split_by_shares(tmp_path):
    prepared, data = prepare_text(tmp_path, "\n".join(sentences(200)), split=(0.8, 0.1, 0.1))
    texts = [folder.read_text(data, split) for split in ("train", "valid", "test")]
    assert "".join(texts) == "\n".join(sentences(200))
    assert all(text.endswith("\n") for text in texts[:2])
    assert prepared.manifest.source["split"] == {"train": 0.8, "valid": 0.1, "test": 0.1}
    assert len(texts[0]) / sum(map(len, texts)) == pytest.approx(0.8, abs=0.02)


def test_a_tokenizer_learns_from_train_alone(tmp_path):
    text = "\n".join(sentences(300))
    kept = text[: len(text) // 2]
    first, _ = prepare_text(tmp_path, kept + "\n" + "zyx" * 2000 + "\nend", split=(0.4, 0.6))
    vocabulary = folder.load_codec(tmp_path / "prepared").files["vocab.json"]
    assert first.manifest.vocabulary == 304
    assert b"zyx" not in vocabulary and b"yx" not in vocabulary


def test_a_tokenizer_learns_from_a_bounded_sample(tmp_path, monkeypatch):
    from fairseq_plugin.corpus import tokenizer

    monkeypatch.setitem(tokenizer.SAMPLES, "bytes", 2000)
    monkeypatch.setattr("fairseq_plugin.text.segments.SEGMENT", 500)
    text = "\n".join(sentences(400))
    prepared, data = prepare_text(tmp_path, text)
    assert any("tokenizer trained on" in note and "of train" in note for note in prepared.notes)
    assert folder.read_text(data, "train") == text


def test_the_same_again_leaves_the_folder_untouched(tmp_path):
    prepared, data = prepare_text(tmp_path, wiki(3))
    before = {child.name: child.stat().st_mtime_ns for child in data.iterdir()}
    again, _ = prepare_text(tmp_path, wiki(3))
    assert again.unchanged and not prepared.unchanged
    assert {child.name: child.stat().st_mtime_ns for child in data.iterdir()} == before
    assert "already there, unchanged" in format_summary(again, data)


def test_other_data_is_replaced_only_when_told(tmp_path):
    _, data = prepare_text(tmp_path, wiki(3))
    before = files_of(data)
    for changes in ({}, {"documents": "line"}, {"vocab_size": 270}):
        text = wiki(3) if changes else wiki(4)
        with pytest.raises(UserError, match="holds other prepared data; pass --overwrite"):
            prepare_text(tmp_path, text, **changes)
        assert files_of(data) == before
    prepare_text(tmp_path, wiki(4), overwrite=True)
    assert folder.read_text(data, "train") == wiki(4)
    assert [child.name for child in tmp_path.iterdir() if child.name.startswith(".")] == []


def test_a_failure_while_writing_leaves_the_old_folder(tmp_path, monkeypatch):
    _, data = prepare_text(tmp_path, wiki(3))
    before = files_of(data)

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    for name in (
        "fairseq_plugin.storage.items.ItemWriter.add",
        "fairseq_plugin.corpus.prepare.write_dictionary",
    ):
        monkeypatch.setattr(name, full_disk)
        with pytest.raises(OSError, match="No space"):
            prepare_text(tmp_path, wiki(4), overwrite=True)
        monkeypatch.undo()
        assert files_of(data) == before
        assert sorted(child.name for child in tmp_path.iterdir()) == ["prepared", "train.txt"]


def test_memory_does_not_grow_with_the_text(monkeypatch):
    """However long the text, only a few jobs are read ahead of what is written."""

    class Codec:
        def try_encode_batch(self, texts, continued=None):
            return [[1] * len(text) for text in texts]

    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield "train", "word " * 2000, read == 1

    monkeypatch.setattr(encode, "JOB", 20_000)
    monkeypatch.setattr("fairseq_plugin.text.segments.SEGMENT", 1000)
    results = encode.encode_in_order(encode.make_jobs(endless(), "\n "), Codec(), np.arange(9), workers=2)
    for number, _ in zip(range(1, 200), results, strict=False):
        assert read <= 8 * (number + 6)
    results.close()


def test_the_command_prints_what_it_did(tmp_path, run_script):
    path = write(tmp_path, "wiki.txt", wiki(10))
    done = run_script(
        "prepare_text.py", path, "--split", "0.8,0.1,0.1", "--to", tmp_path / "out", "--codec", "bytes",
        "--vocab-size", 300, "--workers", 2,
    )  # fmt: skip
    lines = done.stdout.split("\n")
    assert lines[0] == 'documents: as in WikiText: from " = Title = " to the next (--documents auto)'
    assert lines[3].split() == [
        "split",
        "documents",
        "tokens",
        "words",
        "characters",
        "tokens/word",
        "longest",
    ]
    splits = TextManifest.load(tmp_path / "out").splits
    assert [line.split()[0] for line in lines[4:7]] == list(splits)
    for line, split in zip(lines[4:7], splits.values(), strict=True):
        documents, tokens, words, characters, per_word, longest = line.replace(",", "").split()[1:]
        assert [int(documents), int(tokens), int(words), int(characters), int(longest)] == [
            split.documents,
            split.tokens,
            split.words,
            split.characters,
            split.longest,
        ]
        assert float(per_word) == pytest.approx((split.tokens - split.documents) / split.words, abs=6e-4)
    assert lines[8] == f"written: {tmp_path / 'out'}"
    assert done.stderr == ""


def test_the_command_does_not_import_fairseq(tmp_path, monkeypatch, run_script):
    """It takes seconds and is not needed; a fairseq that fails at import is not even noticed."""
    (tmp_path / "fairseq").mkdir()
    write(tmp_path / "fairseq", "__init__.py", "raise SystemExit('imported')")
    path = write(tmp_path, "t.txt", "some text\n" * 20)
    run_script(
        "prepare_text.py", path, "--to", tmp_path / "out", "--codec", "bytes", "--vocab-size", 256,
        env={"PYTHONPATH": tmp_path},
    )  # fmt: skip


def test_main_gives_one_line_for_a_user_error(tmp_path, capsys):
    main = load_script("prepare_text.py").main
    with pytest.raises(SystemExit, match=r"^error: --split 0\.9,x: expected numbers with commas"):
        main([write(tmp_path, "t.txt", "a"), "--to", str(tmp_path / "out"), "--split", "0.9,x"])
    with pytest.raises(SystemExit, match=r"^error: --workers 0 must be at least 1"):
        main([write(tmp_path, "t.txt", "a"), "--to", str(tmp_path / "out"), "--workers", "0"])
    assert capsys.readouterr().out == ""


def test_a_manifest_is_json_in_the_stated_form(tmp_path):
    _, data = prepare_text(tmp_path, wiki(2))
    stated = json.loads((data / "manifest.json").read_text("utf-8"))
    assert list(stated) == [
        "format",
        "version",
        "codec",
        "vocabulary",
        "documents",
        "splits",
        "source",
        "files",
        "digest",
    ]
    assert (stated["format"], stated["version"]) == ("text", 2)
