"""samples.md: readable by people, unbreakable by texts, neither losing nor repeating an entry."""

import hashlib
import html
import logging
import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fairseq_plugin.errors import UserError
from fairseq_plugin.reports import sample_book
from fairseq_plugin.reports.display import visible
from fairseq_plugin.reports.sample_book import HEAD, SampleBook, entry_text, parse, quote
from fairseq_plugin.storage.sealed import write_sealed
from fairseq_plugin.text.one_line import escape

SHAPES = [
    "# x",
    "> x",
    "- x",
    "1. x",
    "12) x",
    "```",
    "~~~",
    "***",
    "===",
    "---",
    "<b>",
    "</b>",
    "&amp;",
    "[a](b)",
]
SHAPES += [
    "<!-- samples {} -->",
    "-->",
    "| a | b |",
    "\\",
    "\t",
    "\r",
    "\u2028",
    "\ud800",
    "    x",
    "_a_",
    "http://x.y",
]
TEXTS = st.lists(st.sampled_from([*SHAPES, "\n", " ", "word", "é"]) | st.text(max_size=4), max_size=8).map(
    "".join
)


def rendered(markdown):
    """What a reader sees of a block quote, by an independent Markdown reader: ``(bold text, all text)``."""
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    inside = re.fullmatch(r"<blockquote>\n(.*)</blockquote>\n", page, re.S)
    assert inside, page
    assert set(re.findall(r"<(/?\w+)", inside[1])) <= {"p", "/p", "b", "/b", "br"}, page
    bold = "".join(re.findall(r"<b>(.*?)</b>", inside[1], re.S))
    return tuple(plain(html.unescape(part)) for part in (bold, re.sub(r"<.*?>", "", inside[1])))


def plain(text):
    return "".join(text.replace("\xa0", " ").split())


@given(TEXTS, TEXTS)
@example("", "\xa0")
@settings(max_examples=500, deadline=None)
def test_a_reader_sees_just_the_text_and_the_prompt_in_bold(prompt, continuation):
    bold, everything = rendered(quote(prompt, continuation))
    assert everything == (plain(visible_lines(prompt + continuation)) or "(empty)")
    assert bold == plain(visible_lines("\n".join(line for line in prompt.split("\n") if line.strip(" "))))


def visible_lines(text):
    return "\n".join(visible(line) for line in text.split("\n"))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), TEXTS)
@settings(max_examples=200, deadline=None)
def test_no_text_forges_an_entry(samples, words):
    text = entry_text(7, samples, 1, words)
    lines = text.split("\n")
    assert [line for line in lines if line.startswith("#")] == ["## Update 7 · epoch 1"]
    assert not [line for line in lines if line.startswith("<")]
    assert (
        lines.count("") == len(re.findall("\n\n", text)) + 1
    )  # no other blank line: no paragraph of its own


def test_an_entry_reads_well():
    samples = [("First Citizen:\nSpeak", " on, *friend*.\n\nAll:\nWe will."), ("", "Then #1.")]
    text = entry_text(1200, samples, 3, {"temperature": 0.8, "top-p": 0.9}, 4.321)
    assert text == (
        "## Update 1,200 · epoch 3 · validation loss 4.321 bits per token\n\n"
        "Drawn with: temperature 0.8, top-p 0.9\n\n"
        "Sample 1\n\n"
        "> <b>First Citizen:</b>\\\n> <b>Speak</b> on, \\*friend\\*.\n>\n> All:\\\n> We will.\n\n"
        "Sample 2\n\n> Then #1.\n\n"
    )


def write(path, *updates, word="text"):
    book = SampleBook(path)
    for update in updates:
        book.write(update=update, epoch=1, samples=[("a", f" {word} of {update}")])
    return book


def test_entries_follow_each_other(tmp_path):
    path = tmp_path / "run" / "samples.md"
    book = write(path, 10, 20, 30)
    assert [entry.update for entry in book.entries()] == [10, 20, 30]
    assert path.read_text("utf-8").startswith(HEAD)
    assert path.read_text("utf-8").count("text of 20") == 1


@pytest.mark.parametrize("resumed_at", [0, 10, 15, 20, 30])
def test_a_resumed_run_neither_loses_nor_repeats_an_entry(tmp_path, resumed_at):
    """Killed after the samples of update 30; the checkpoint it goes on from is of ``resumed_at``."""
    whole = write(tmp_path / "whole.md", 10, 20, 30, 40).path.read_bytes()
    path = write(tmp_path / "samples.md", 10, 20, 30).path
    SampleBook(path).start(resumed_at)
    write(path, *[update for update in (10, 20, 30, 40) if update > resumed_at])
    assert path.read_bytes() == whole


def test_an_update_that_is_made_again_takes_the_place_of_itself_and_what_followed(tmp_path):
    path = write(tmp_path / "samples.md", 10, 20, 30).path
    write(path, 20, word="new text")
    text = path.read_text("utf-8")
    assert [entry.update for entry in parse(text)[0]] == [10, 20]
    assert "new text of 20" in text and " text of 30" not in text


def test_a_fresh_run_keeps_the_file_of_an_earlier_one_aside(tmp_path):
    path = write(tmp_path / "samples.md", 10, 20).path
    before = path.read_bytes()
    assert SampleBook(path).start(0) == 0
    assert (tmp_path / "samples.earlier-1.md").read_bytes() == before
    assert SampleBook(path).entries() == []


def test_going_on_writes_nothing_where_nothing_is_dropped(tmp_path):
    path = write(tmp_path / "samples.md", 10, 20).path
    before = path.stat()
    assert SampleBook(path).start(20) == 2
    assert path.stat().st_ino == before.st_ino
    assert SampleBook(tmp_path / "none" / "samples.md").start(0) == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("text of 10", "my own words"),
        lambda text: text + "A note of mine.\n",
        lambda text: text[:-20],
        lambda text: text.replace('"update": 10', '"update": 11', 1) + "x",
        lambda text: "Somebody's diary\n",
        lambda text: text.replace("{", "[" * 5000, 1),
        lambda text: "",
    ],
)
def test_a_file_that_was_changed_is_kept_aside_with_a_warning(tmp_path, change, caplog):
    path = write(tmp_path / "samples.md", 10, 20).path
    path.write_text(change(path.read_text("utf-8")), encoding="utf-8")
    theirs = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        write(path, 30)
    assert (tmp_path / "samples.edited-1.md").read_bytes() == theirs
    assert "kept as samples.edited-1.md" in caplog.text
    entries, untouched = parse(path.read_text("utf-8"))
    assert untouched and entries[-1].update == 30
    assert all(f"text of {entry.update}" in entry.text or entry.update == 11 for entry in entries)


def test_bytes_that_are_no_text_are_kept_aside_byte_for_byte(tmp_path):
    path = write(tmp_path / "samples.md", 10).path
    path.write_bytes(path.read_bytes() + b"\xff\xfe\x00")
    theirs = path.read_bytes()
    write(path, 20)
    write(path, 30)
    assert (tmp_path / "samples.edited-1.md").read_bytes() == theirs
    assert [entry.update for entry in SampleBook(path).entries()] == [10, 20, 30]
    assert len(list(tmp_path.iterdir())) == 2


def test_kept_files_never_take_each_others_place(tmp_path):
    path = tmp_path / "samples.md"
    for number in (1, 2, 3):
        path.write_text(f"diary {number}", encoding="utf-8")
        write(path, 10)
    kept = sorted(tmp_path.glob("samples.edited-*.md"))
    assert [one.read_text("utf-8") for one in kept] == ["diary 1", "diary 2", "diary 3"]


def test_texts_reach_tensorboard_and_a_resumed_run_repeats_none(tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    for updates in ((10, 20, 30), (20, 30, 40)):  # killed after 30, went on from the checkpoint of 10
        monkeypatch.setattr(sample_book, "_writers", {})
        for update in updates:
            assert sample_book.write_tensorboard(tmp_path, update, [("a", f" *{update}*")])
        for writer in sample_book._writers.values():
            writer.close()
    events = EventAccumulator(str(tmp_path / "samples"))
    events.Reload()
    found = events.Tensors("sample 1/text_summary")
    assert [event.step for event in found] == [10, 20, 30, 40]
    assert found[0].tensor_proto.string_val[0].decode() == quote("a", " *10*")


def test_without_tensorboard_there_is_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sample_book, "_writers", {})
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    assert not sample_book.write_tensorboard(tmp_path / "logs", 10, [("a", "b")])
    assert not sample_book.write_tensorboard(tmp_path / "logs", 20, [("a", "b")])
    assert caplog.text.count("pip install tensorboard") == 1
    assert not (tmp_path / "logs").exists()


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
@settings(max_examples=100, deadline=None)
def test_samples_of_a_table_come_back_as_they_were(tmp_path_factory, samples):
    path = tmp_path_factory.getbasetemp() / "test_samples.tsv"
    samples = [tuple(text.replace("\ud800", "") for text in sample) for sample in samples]
    path.write_text(
        "".join("\t".join(map(escape, sample)) + "\n" for sample in samples), encoding="utf-8", newline=""
    )
    assert sample_book.read_samples(path) == samples


def test_a_table_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"test_samples\.tsv cannot be read"):
        sample_book.read_samples(tmp_path / "test_samples.tsv")
    (tmp_path / "test_samples.tsv").write_text("a\tb\nno tab\n")
    with pytest.raises(UserError, match="line 2 is not a sample"):
        sample_book.read_samples(tmp_path / "test_samples.tsv")


def test_a_page_of_samples_has_a_heading_per_group(tmp_path):
    groups = [("temperature 0.5", [("a", " b"), ("", "# c")]), ("1. _x_", [])]
    sample_book.write_page(tmp_path / "page.md", "In the style of <b>", groups)
    lines = (tmp_path / "page.md").read_text("utf-8").split("\n")
    assert [line for line in lines if line.startswith("#")] == [
        "# In the style of \\<b\\>",
        "## temperature 0.5",
        "## 1. \\_x\\_",
    ]
    assert "> <b>a</b> b" in lines and "> \\# c" in lines


def test_200_flipped_bits_of_a_table_beside_its_record_are_all_seen(tmp_path):
    path, chance = tmp_path / "test_samples.tsv", random.Random(8)
    whole = "".join(f"the prompt {i}\tand how it goes on, \\n {i * i}\n" for i in range(20)).encode()
    path.write_bytes(whole)
    digest = hashlib.sha256(whole).hexdigest()
    write_sealed(tmp_path / "completions.json", {"files": {"test_samples.tsv": digest}})
    assert len(sample_book.read_samples(path)) == 20
    for _ in range(200):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"test_samples\.tsv"):
            sample_book.read_samples(path)
