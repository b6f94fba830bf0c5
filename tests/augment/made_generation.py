"""What fairseq-generate would have written, made by hand: for tests of everything that reads it."""

import json
from pathlib import Path

from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import Request, prepare
from fairseq_plugin.storage.sample_file import SampleLine, SampleWriter
from fairseq_plugin.storage.sealed import write_sealed
from fairseq_plugin.text.codec import load_codec
from fairseq_plugin.text.one_line import escape

LOG = "2026-01-01 00:00:00 | INFO | fairseq_cli.generate | "


TRAIN = [
    ("a warm and funny film", "pos"),
    ("the cast is a joy to watch", "pos"),
    ("a bright tale told with wit", "pos"),
    ("one of the best of the year", "pos"),
    ("a smart and moving drama", "pos"),
    ("it has heart and good songs", "pos"),
    ("a dull and lifeless mess", "neg"),
    ("the plot goes nowhere at all", "neg"),
    ("a cold film with no wit", "neg"),
    ("one of the worst of the year", "neg"),
    ("too long and far too loud", "neg"),
    ("it has no heart and bad jokes", "neg"),
]
VALID = [
    ("a funny and bright drama", "pos"),
    ("a loud and lifeless film", "neg"),
    ("the songs are a joy", "pos"),
]
TEST = [("the jokes go nowhere", "neg"), ("a tale with heart", "pos")]


def make_data(folder, label_text=None, suffix=" ", **changed):
    """Prepare a tiny TSV data set in GLUE's form and return the prepared folder, ``folder/data``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        lines = ["sentence\tlabel", *(f"{text}{suffix}\t{label}" for text, label in rows)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = {split: str(folder / f"{split}.tsv") for split in ("train", "valid", "test")}
    texts = label_text or {"pos": "positive", "neg": "negative"}
    wishes = {"to": str(folder / "data"), "codec": "bytes", "vocab_size": 300, "label_texts": texts}
    prepare(Request(**files | wishes | changed))
    return folder / "data"


class Made:
    """One sample to be written: a text (or symbols as they stand), ended or cut."""

    def __init__(self, text="", ended=True, symbols=None):
        self.text, self.ended, self.symbols = text, ended, symbols


def sample_lines(sample_id, prompt, made, codec, shown=escape):
    """The four lines of one sample, as ``fairseq_cli/generate.py`` prints them; ``shown`` displays D-."""
    symbols = made.symbols if made.symbols is not None else " ".join(map(str, codec.encode(made.text)))
    ids = [int(symbol) for symbol in symbols.split() if symbol.isdecimal()]
    num_scores = len(symbols.split()) + made.ended
    score = -0.25 - sample_id / 1000
    scores = " ".join(["-0.2500"] * num_scores)
    return (
        f"S-{sample_id}\t{escape(prompt)}\nH-{sample_id}\t{score}\t{symbols}\n"
        f"D-{sample_id}\t{score}\t{shown(codec.decode(ids))}\nP-{sample_id}\t{scores}\n"
    )


def write_generation(
    folder, data, samples, shard=(0, 1), first_sample=0, shown=escape, printed_only=False, **changed
):
    """Write what a run leaves in its results folder.

    Args:
        folder: results folder to make.
        data: a prepared data folder.
        samples: one list of :class:`Made` per label.
        shard: this folder gets every ``shard[1]``-th sample from ``shard[0]`` on.
        shown: how D- shows a text: escaped, or as it stands.
        printed_only: as an older version left it: what fairseq prints, and a record without digests.
        changed: facts of the run that shall differ.
    """
    folder, manifest, codec = Path(folder), Manifest.load(data), load_codec(data)
    folder.mkdir(parents=True)
    num_labels = len(manifest.labels)
    everything = [
        ((first_sample + k) * num_labels + label, label, made)
        for label, row in enumerate(samples)
        for k, made in enumerate(row)
    ][shard[0] :: shard[1]]
    with open(folder / "generate-augment.txt", "w", encoding="utf-8", newline="") as stream:
        stream.write(f"{LOG}{{'seed': 7}}\n")
        for sample_id, label, made in everything:
            prompt = manifest.labels[label].text + manifest.separator
            stream.write(sample_lines(sample_id, prompt, made, codec, shown))
        stream.write(f"{LOG}NOTE: hypothesis and token scores are output in base 2\n")
    facts = {
        "data": str(data),
        "manifest_sha256": sha256(Path(data) / "manifest.json"),
        "checkpoint": ["checkpoints/checkpoint_best.pt"],
        "checkpoint_sha256": ["c" * 64],
        "seed": 7,
        "settings": {
            "sampling": True,
            "sampling_topk": -1,
            "sampling_topp": 0.9,
            "temperature": 1.0,
            "beam": 1,
            "nbest": 1,
            "max_len_b": 64,
            "min_len": 1,
            "sampler": "keyed",
        },
        "labels": [label.name for label in manifest.labels],
        "counts": [len(row) for row in samples],
        "first_sample": first_sample,
        "shard": list(shard),
        "started": "2026-01-01T00:00:00+00:00",
    } | changed
    end = {
        "complete": True,
        "expected": len(everything),
        "done": len(everything),
        "tokens": 0,
        "seconds": 2.5,
    }
    record = {"format": "augment", "version": 1, **facts, **end} | changed
    if printed_only:
        (folder / "augment.json").write_text(json.dumps(record), encoding="utf-8")
        return folder
    writer = SampleWriter(folder, "augment", facts, len(everything))
    writer.add([sample_line(sample_id, made, codec)] for sample_id, _, made in everything)
    writer.finish(seconds=2.5)
    write_sealed(folder / "augment.json", record)
    return folder


def sample_line(sample_id, made, codec):
    """A sample as our own file holds it."""
    symbols = made.symbols if made.symbols is not None else " ".join(map(str, codec.encode(made.text)))
    return SampleLine(sample_id, 0, symbols, made.ended, -0.25)


GOOD = [
    [Made("a new bad film"), Made("a grim tale")],
    [Made("a new fine film"), Made("a joy"), Made("best of all")],
]


def half_a_character(data):
    """Symbols that are the first byte of a character alone."""
    return str(load_codec(data).encode("\u00e9")[0])


def every_reason(data):
    """Samples of label 0 (neg) and 1 (pos): one or more for every reason, four to keep."""
    neg = [
        Made("a film to skip"),
        Made("cut in the mid", ended=False),
        Made(""),
        Made("  "),
        Made("tab\there"),
        Made("line\nbreak"),
        Made(symbols="5 <unk> 6"),
        Made(symbols=half_a_character(data)),
        Made("a dull and lifeless mess"),
        Made("a loud and lifeless film"),
        Made("the jokes go nowhere"),
        Made("a film to skip"),
        Made("so so"),
    ]
    pos = [
        Made("a fine film"),
        Made(" a fine film "),
        Made("so so"),
        Made("grand"),
        Made("a warm and funny film"),
        Made("a tale"),
    ]
    return [neg, pos]


# Options of tests about something else: so few real sentences hold too few words for most samples.
ANY_WORDS = {"invented_words": "off", "near_duplicates": None}

EXPECTED = {
    "special": 1,
    "not_ended": 1,
    "empty": 2,
    "broken": 1,
    "control_characters": 0,
    "unwritable": 2,
    "too_short": 0,
    "too_long": 0,
    "copy_of_test": 1,
    "copy_of_valid": 1,
    "copy_of_train": 2,
    "conflict": 2,
    "duplicate": 2,
}
