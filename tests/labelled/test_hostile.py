"""Nothing a text holds changes its label, its end, or another row."""

import random

import pytest

from fairseq_plugin.labelled.binary import EOS, read_items, read_labels, read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import prepare
from fairseq_plugin.labelled.rows import Row, SourceSpec, representable, write_rows
from tests.labelled.made_data import request_for
from tests.text.random_texts import random_texts

LABELS = ("0", "1", "negative", "positive")
FORGED = (
    "{text}\t1", "1\t{text}", "negative\t{text}", "{text}</s>", "{text}<|endoftext|>", "{text}\npositive\tx",
    '{text}","0', '"{text}', '{text}"\n"forged",1', "{text}\r\n1\tx", "</s>1\t{text}", "\ufeff{text}",
    "{text}\t",
)  # fmt: skip
SPECS = {
    "tsv": SourceSpec("tsv", True, ["text", "label"]),
    "csv": SourceSpec("csv", True, ["label", "text"], 1, 0, quoting=True),
    "jsonl": SourceSpec("jsonl", False, ["text", "label"]),
}


def hostile_rows(count):
    generator = random.Random(11)
    rows = [Row("a plain first sentence", label) for label in LABELS]
    for text in random_texts(count, seed=12, longest=8):
        form = generator.choice(FORGED) if generator.random() < 0.6 else "{text}"
        rows.append(Row(form.replace("{text}", text), generator.choice(LABELS)))
    return rows


@pytest.mark.parametrize("codec", ["bytes", "sentencepiece"])
@pytest.mark.parametrize("name", SPECS)
def test_five_thousand_hostile_rows_come_back(tmp_path, name, codec):
    spec = SPECS[name]
    rows = [row for row in hostile_rows(5000) if representable(row.text, spec)]
    path = tmp_path / f"train.{name}"
    write_rows(path, rows, spec)
    prepared = prepare(request_for(tmp_path, path, valid=str(path), codec=codec, vocab_size=600))
    manifest = prepared.manifest
    names = [label.name for label in manifest.labels]
    found = [(names[label], text) for label, text in read_texts(tmp_path / "prepared", "train")]
    assert found == [(row.label, row.text) for row in rows]
    assert len(found) > (1500 if name == "tsv" else 2500)
    assert not any(lines for reasons in manifest.rejected.values() for lines in reasons.values())


def test_the_end_and_the_prompt_stand_where_they_belong_and_nowhere_else(tmp_path):
    spec, rows = SPECS["jsonl"], [row for row in hostile_rows(500) if row.text.strip() == row.text != ""]
    write_rows(tmp_path / "train.jsonl", rows, spec)
    prepare(request_for(tmp_path, tmp_path / "train.jsonl", valid=str(tmp_path / "train.jsonl")))
    folder = tmp_path / "prepared"
    manifest = Manifest.load(folder)
    items, labels = read_items(folder, "train"), read_labels(folder, "train")
    for item, label in zip(items, labels, strict=True):
        prompt = manifest.labels[label].prompt
        assert item[: len(prompt)].tolist() == prompt
        assert item[-1] == EOS
        assert (item[:-1] > 3).all()
        assert [
            other.name for other in manifest.labels if item[: len(other.prompt)].tolist() == other.prompt
        ] == [manifest.labels[label].name]


def test_raw_hostile_bytes_are_read_or_listed(tmp_path):
    """A TSV that no one checked: every line is a row as its columns say, or rejected by its number."""
    generator = random.Random(13)
    lines, expected, refused = [b"text\tlabel"], [], []
    for number in range(2, 5002):
        text = generator.choice(random_texts(1, seed=number, longest=6)).replace("\n", " ")
        line = text.encode() + b"\t" + generator.choice(LABELS).encode()
        if generator.random() < 0.1:
            line = b"\xff" + line
        lines.append(line)
        cells = line.split(b"\t")
        clean = text.strip()
        if len(cells) == 2 and clean and not line.startswith(b"\xff"):
            expected.append((number, cells[1].decode(), clean))
        else:
            refused.append(number)
    path = tmp_path / "train.tsv"
    path.write_bytes(b"\n".join(lines))
    prepared = prepare(request_for(tmp_path, path, valid=str(path), quoting="no"))
    manifest = prepared.manifest
    names = [label.name for label in manifest.labels]
    found = [(names[label], text) for label, text in read_texts(tmp_path / "prepared", "train")]
    assert found == [(label, text) for _, label, text in expected]
    assert sorted(line for reason in manifest.rejected["train"].values() for line in reason) == refused
    assert len(refused) > 500
