"""From files to a prepared folder: counts, what is refused and how, and nothing half-written."""

import json
import threading

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled import binary
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import prepare
from fairseq_plugin.labelled.rows import read_rows
from fairseq_plugin.labelled.split import sentence_key
from fairseq_plugin.labelled.summary import format_summary
from tests.labelled.made_data import (
    SIZES,
    load_script,
    prepare_reviews,
    request_for,
    table,
    write,
    write_reviews,
)

FILES = {
    "dict.txt", "codec.json", "vocab.json", "merges.txt", "manifest.json",
    *(f"{split}{end}" for split in SIZES for end in (".bin", ".idx", ".labels.npy", ".rows.npy")),
}  # fmt: skip


def test_a_folder_holds_everything_and_reads_back(tmp_path):
    prepared, folder = prepare_reviews(tmp_path)
    manifest = Manifest.load(folder)
    assert manifest == prepared.manifest
    assert {path.name for path in folder.iterdir()} == FILES
    for split in SIZES:
        rows, _ = read_rows(tmp_path / f"{split}.tsv", manifest.source)
        found = binary.read_texts(folder, split)
        assert [(manifest.labels[label].name, text) for label, text in found] == [
            (row.label, row.text) for row in rows
        ]
        lines = binary.load_array(folder / f"{split}.rows.npy")
        assert lines.tolist() == [row.line for row in rows]
        assert (
            manifest.splits[split].rows
            == SIZES[split]
            == sum(label.counts[split] for label in manifest.labels)
        )


def test_the_dictionary_is_in_order_and_counts_train(tmp_path):
    prepared, folder = prepare_reviews(tmp_path)
    lines = [line.split(" ") for line in (folder / "dict.txt").read_text("utf-8").split("\n")[:-1]]
    assert [symbol for symbol, _ in lines] == [str(n) for n in range(300)]
    tokens = np.concatenate(binary.read_items(folder, "train"))
    assert [int(count) for _, count in lines] == np.bincount(tokens, minlength=304)[4:].tolist()
    assert prepared.manifest.vocabulary == 304
    split = prepared.manifest.splits["train"]
    lengths = [len(item) for item in binary.read_items(folder, "train")]
    assert (split.tokens, split.longest) == (sum(lengths), max(lengths))


def test_sst2_gives_exactly_its_rows(tmp_path, shared_data):
    sst2 = shared_data / "sst2"
    request = request_for(
        tmp_path, sst2 / "train.tsv", valid=str(sst2 / "dev.tsv"), codec="gpt2", vocab_size=None,
        gpt2_bpe=str(shared_data / "gpt2-bpe"), label_texts={"0": "negative", "1": "positive"},
    )  # fmt: skip
    prepared = prepare(request)
    manifest, folder = prepared.manifest, tmp_path / "prepared"
    assert {split: entry.rows for split, entry in manifest.splits.items()} == {
        "train": 67_349,
        "valid": 872,
    }
    assert {label.text: label.counts["train"] for label in manifest.labels} == {
        "negative": 29_780, "positive": 37_569,
    }  # fmt: skip
    assert manifest.repeats["two_labels"] == 5
    assert manifest.repeats["valid_in_train"] == 0
    assert not any(any(reasons.values()) for reasons in manifest.rejected.values())
    # mean 12.4 and longest 65 with the end; the prompt adds two tokens
    assert manifest.splits["train"].lengths.mean == pytest.approx(12.4 + 2, abs=0.05)
    assert manifest.splits["train"].longest == 65 + 2
    assert (manifest.vocabulary, manifest.source.suffix) == (50_260, " ")
    texts = binary.read_texts(folder, "valid")
    lines = (sst2 / "dev.tsv").read_bytes().decode().split("\n")[1:-1]
    assert [f"{text} \t{manifest.labels[label].name}" for label, text in texts] == lines
    again = prepare(request)
    assert again.unchanged


def test_a_held_out_part_is_made_when_no_file_is_given(tmp_path):
    paths = write_reviews(tmp_path)
    manifest = prepare(request_for(tmp_path, paths["train"], held_out=0.2)).manifest
    folder = tmp_path / "prepared"
    train, valid = (binary.read_texts(folder, split) for split in ("train", "valid"))
    assert len(train) + len(valid) == SIZES["train"]
    assert len(valid) == pytest.approx(0.2 * SIZES["train"], abs=3)
    assert not {sentence_key(text) for _, text in train} & {sentence_key(text) for _, text in valid}
    assert (manifest.held_out, manifest.repeats["valid_in_train"]) == (0.2, 0)


def test_whitespace_is_stripped_or_kept_as_asked(tmp_path):
    content = "sentence\tlabel\n" + "".join(f" text {n} \t{n % 2}\n" for n in range(200))
    path = write(tmp_path, "x.tsv", content)
    manifest = prepare(request_for(tmp_path, path, valid=path)).manifest
    assert manifest.source.suffix == " "
    assert binary.read_texts(tmp_path / "prepared", "train")[0] == (0, "text 0")
    prepare(request_for(tmp_path, path, valid=path, keep_whitespace=True, overwrite=True))
    assert binary.read_texts(tmp_path / "prepared", "train")[0] == (0, " text 0 ")


def test_repeats_are_counted(tmp_path):
    train = write(tmp_path, "t.tsv", "sentence\tlabel\na x\t1\na x\t1\na x\t0\nb x\t0\nb x\t0\n")
    valid = write(tmp_path, "v.tsv", "sentence\tlabel\na x\t1\nc x\t0\n")
    manifest = prepare(request_for(tmp_path, train, valid=valid)).manifest
    assert manifest.repeats == {"duplicates": 2, "two_labels": 1, "valid_in_train": 1}


def test_rows_are_rejected_by_reason_and_line_and_add_up(tmp_path):
    long = "much " * 400
    content = table(30) + f"\t1\n{long}\t0\na\tb\t1\nlast one\t1\n"
    path = write(tmp_path, "x.tsv", content)
    prepared = prepare(request_for(tmp_path, path, valid=write(tmp_path, "v.tsv", table(4)), max_tokens=100))
    rejected = prepared.manifest.rejected["train"]
    assert rejected == {"empty": [32], "too_long": [33], "malformed": [34], "inexact": [], "too_large": []}
    kept = prepared.manifest.splits["train"].rows
    assert kept + sum(map(len, rejected.values())) == prepared.manifest.source_files["train"].rows == 34
    summary = format_summary(prepared, "there")
    for words in ("line 32", "line 33 (", "line 34 (3 columns", "31", "written: there"):
        assert words in summary


def test_labels_that_differ_in_case_alone_stay_apart_and_are_named(tmp_path):
    rows = [f"sentence {n}\t{label}" for n, label in enumerate(["Good", "good", "bad", "BAD ", "other"] * 8)]
    path = write(tmp_path, "x.tsv", "\n".join(["text\tlabel", *rows, ""]))
    summary = format_summary(prepare(request_for(tmp_path, path)), "there")
    assert "labels 'Good' and 'good' differ in case and blanks alone" in summary
    assert summary.count("WARNING") == 2 and "'other'" not in summary


def test_a_row_the_tokenizer_would_alter_is_rejected(tmp_path):
    import sentencepiece

    rows = [f"sentence number {n}" for n in range(200)]
    with (tmp_path / "given.model").open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*rows, "0\t1\tnegative"]), model_writer=stream, vocab_size=40,
            hard_vocab_limit=False, user_defined_symbols=["|"], minloglevel=2,
        )  # fmt: skip
    train = write(tmp_path, "t.tsv", table(20) + "two  spaces\t1\nanother ☃\t0\n")
    request = request_for(
        tmp_path, train, valid=train, codec="sentencepiece", vocab_size=None, separator="|",
        sentencepiece_model=str(tmp_path / "given.model"),
    )  # fmt: skip
    prepared = prepare(request)
    assert prepared.manifest.rejected["train"]["inexact"] == [22, 23]
    assert "altered by the tokenizer: line 22" in format_summary(prepared, "x")


def snapshot(folder):
    return {path.name: sha256(path) for path in folder.iterdir()} if folder.is_dir() else None


# files to write, changed fields, words of the message
REFUSED = {
    "missing file": ({}, {"train": "no.tsv"}, "cannot read .*no.tsv"),
    "missing valid": ({"t.tsv": table(9)}, {"valid": "no.tsv"}, "cannot read .*no.tsv"),
    "no rows": ({"t.tsv": ""}, {}, "holds no rows"),
    "only rejected rows": ({"t.tsv": "sentence\tlabel\n \t1\n\t0\n"}, {}, "no usable row .2 empty"),
    "unknown column": ({"t.tsv": table(9)}, {"text_column": "body"}, "--text-column body"),
    "labels are texts": ({"t.tsv": table(40, [f"label {n}" for n in range(40)])}, {},
                         "40 different labels in 40 rows"),
    "unknown label text": ({"t.tsv": table(9)}, {"label_texts": {"2": "x"}}, "no label '2'; it has '0', '1'"),
    "equal label texts": ({"t.tsv": table(9)}, {"label_texts": {"0": "1"}}, "cannot be told"),
    "label text begins another": ({"t.tsv": table(9, ("ab", "abc"))}, {"separator": "c"}, "separator 'c'"),
    "label with separator": ({"t.tsv": table(9)}, {"label_texts": {"0": "a\tb"}}, "separator"),
    "empty label text": ({"t.tsv": table(9)}, {"label_texts": {"0": " "}}, "may not be empty"),
    "empty separator": ({"t.tsv": table(9)}, {"separator": ""}, "--separator is empty"),
    "unknown label in valid": ({"t.tsv": table(9), "v.tsv": table(3, ("0", "2"))}, {"valid": "v.tsv"},
                               "v.tsv line 3: label '2' is not in train"),
    "empty valid": ({"t.tsv": table(9), "v.tsv": "sentence\tlabel\n\t1\n"}, {"valid": "v.tsv"},
                    "v.tsv holds no usable"),
    "all too long": ({"t.tsv": table(30)}, {"max_tokens": 4},
                     "no training row of label '0' .*[0-9]+ too_long.*; raise --max-row-tokens, or mend"),
    "max tokens": ({"t.tsv": table(9)}, {"max_tokens": 2}, "--max-row-tokens 2"),
    "held out": ({"t.tsv": table(9)}, {"held_out": 1.5}, "--held-out 1.5"),
    "codec": ({"t.tsv": table(9)}, {"codec": "words"}, "--codec words"),
    "gpt2 without files": ({"t.tsv": table(9)}, {"codec": "gpt2", "vocab_size": None}, "--gpt2-bpe DIR"),
    "gpt2 files missing": ({"t.tsv": table(9)}, {"codec": "gpt2", "gpt2_bpe": "nowhere", "vocab_size": None},
                           "no tokenizer at nowhere"),
    "vocabulary missing": ({"t.tsv": table(9)}, {"vocab_size": None}, "--vocab-size N"),
    "vocabulary small": ({"t.tsv": table(9)}, {"vocab_size": 10}, "--vocab-size 10"),
    "model missing": ({"t.tsv": table(9)},
                      {"codec": "sentencepiece", "sentencepiece_model": "no.model", "vocab_size": None},
                      "cannot read .*no.model"),
    "target is a file": ({"t.tsv": table(9), "prepared": "x"}, {}, "is a file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, monkeypatch, name):
    files, changes, words = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    for path, content in files.items():
        write(tmp_path, path, content)
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=words):
        prepare(request_for(tmp_path, changes.pop("train", "t.tsv"), **changes))
    assert snapshot(tmp_path) == before


def test_a_label_that_stands_once_is_told_with_its_line(tmp_path):
    path = write(tmp_path, "t.tsv", "heading\tgrade\n" + table(30).split("\n", 1)[1])
    request = request_for(tmp_path, path, text_column="0", label_column="1", valid=path)
    assert any("'grade' is in one row only (line 1)" in note for note in prepare(request).notes)


def test_one_label_only_is_told(tmp_path):
    path = write(tmp_path, "t.tsv", table(9, ("same",)))
    assert any(
        "every row has the label 'same'" in note for note in prepare(request_for(tmp_path, path)).notes
    )


def test_the_same_again_is_left_alone_and_other_data_needs_overwrite(tmp_path):
    _, folder = prepare_reviews(tmp_path)
    before, stamp = snapshot(folder), (folder / "train.bin").stat().st_mtime_ns
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert prepare_reviews(tmp_path)[0].unchanged
    assert (folder / "train.bin").stat().st_mtime_ns == stamp
    (folder / "notes.txt").unlink()
    with pytest.raises(UserError, match="--overwrite"):
        prepare_reviews(tmp_path, separator=" : ")
    assert snapshot(folder) == before
    prepare_reviews(tmp_path, separator=" : ", overwrite=True)
    assert Manifest.load(folder).separator == " : "
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_overwrite_spares_a_folder_that_is_not_ours(tmp_path):
    (tmp_path / "prepared").mkdir()
    write(tmp_path / "prepared", "thesis.txt", "mine")
    with pytest.raises(UserError, match="other things than prepared data"):
        prepare_reviews(tmp_path, overwrite=True)
    assert snapshot(tmp_path / "prepared").keys() == {"thesis.txt"}


def test_a_failure_while_writing_leaves_the_old_folder(tmp_path, monkeypatch):
    _, folder = prepare_reviews(tmp_path)
    before = snapshot(folder)

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fairseq_plugin.labelled.prepare.write_dictionary", full_disk)
    with pytest.raises(OSError, match="No space"):
        prepare_reviews(tmp_path, separator=" : ", overwrite=True)
    assert snapshot(folder) == before
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_command_prints_what_it_did(run_script, tmp_path):
    paths = write_reviews(tmp_path)
    done = run_script(
        "prepare_labelled.py", paths["train"], "--valid", paths["valid"], "--to", tmp_path / "a b" / "out",
        "--codec", "bytes", "--vocab-size", "300", "--label-text", "negative=bad", "--separator", "\\t",
        "--workers", "1",
    )  # fmt: skip
    for words in ("negative (bad)", "300", "train:", "valid: 0 rows", "304 dictionary entries", "written: "):
        assert words in done.stdout
    manifest = json.loads((tmp_path / "a b" / "out" / "manifest.json").read_text("utf-8"))
    assert (manifest["format"], manifest["version"], manifest["separator"]) == ("labelled", 2, "\t")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no.tsv"], "cannot read no.tsv"),
        (["t.tsv", "--label-text", "0"], "--label-text 0: expected NAME=TEXT"),
        (["t.tsv", "--label-text", "0=a", "--label-text", "0=b"], "--label-text 0 is given twice"),
        (["t.tsv", "--workers", "0"], "--workers 0"),
        (["t.tsv", "--text-column", "body"], "--text-column body"),
    ],
)
def test_the_command_ends_with_one_line(tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "t.tsv", table(9))
    with pytest.raises(SystemExit, match=f"^error: .*{told}"):
        load_script("prepare_labelled.py").main(
            [*words, "--to", "out", "--codec", "bytes", "--vocab-size", "300"]
        )
    assert not (tmp_path / "out").exists()


def test_the_command_fails_without_a_traceback(run_script, one_line_error, tmp_path):
    words = ("no.tsv", "--to", "out", "--gpt2-bpe", "x")
    done = run_script("prepare_labelled.py", *words, cwd=tmp_path, check=False)
    one_line_error(done, "cannot read no.tsv")


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_appears_or_changes_while_a_command_works_stays(tmp_path, overwrite):
    path = write(tmp_path, "t.tsv", table(3000))
    if overwrite:
        prepare(request_for(tmp_path, write(tmp_path, "old.tsv", table(30))))
    to, began = tmp_path / "prepared", threading.Event()

    def other_program():
        began.wait()
        to.mkdir(exist_ok=True)
        (to / "notes.txt").write_text("mine")

    other = threading.Thread(target=other_program)
    other.start()
    request = request_for(tmp_path, path, overwrite=overwrite)
    request.label_texts = Told(began, other)
    with pytest.raises(UserError, match="has changed since|holds other prepared data|has appeared"):
        prepare(request)
    assert (to / "notes.txt").read_text() == "mine"
    assert not [child for child in tmp_path.iterdir() if child.name.startswith(".")]


class Told(dict):
    """Label texts that are read in the middle of the work: then the other program writes."""

    def __init__(self, began, other):
        super().__init__()
        self.began, self.other = began, other

    def get(self, name, default=None):
        self.began.set()
        self.other.join()
        return super().get(name, default)


def test_a_header_in_unknown_words_does_not_become_a_class(tmp_path):
    path = write(
        tmp_path,
        "t.csv",
        "текст,метка\n" + "".join(f"слово {n},{'да' if n % 2 else 'нет'}\n" for n in range(40)),
    )
    with pytest.raises(UserError, match="first row 'текст', 'метка' may or may not be a header"):
        prepare(request_for(tmp_path, path))
    report = prepare(request_for(tmp_path, path, text_column="текст", label_column="метка"))
    assert [label.name for label in report.manifest.labels] == ["да", "нет"]
