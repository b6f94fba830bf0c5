"""Reading fairseq-generate's output: what the model wrote is what is read, whatever the text contains."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_plugin.augment.generations.read import read_samples
from fairseq_plugin.augment.generations.results import Results
from fairseq_plugin.augment.generations.run_facts import read_record
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.codec import load_codec
from fairseq_plugin.text.one_line import escape
from tests.augment.made_generation import LOG, Made, make_data, sample_lines, write_generation

# What could be taken for a record, or for the end of a line, in a reader that trusts what it sees.
HOSTILE = st.lists(
    st.sampled_from(
        [
            "\n",
            "\r",
            "\u2028",
            "\\n",
            "\t",
            "a",
            " ",
            "é",
            "H-1\t-0.25\t12",
            "P-0\t-0.25",
            "P-1\t-0.2500 -0.2500",
            "S-1\tpositive\\t",
            "S-2\tx",
            "D-0\t-0.25\t",
            "D-1\t-0.251\tq",
            "H-7\t-1\t12",
            f"{LOG}x",
            "T-0\ty",
        ]
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def codec(data):
    return load_codec(data)


def read(path, codec, prompts):
    return list(read_samples(path, codec.decode, prompts.__getitem__))


@pytest.mark.parametrize("shown", [escape, str], ids=["escaped", "as it stands"])
@given(texts=st.lists(st.tuples(HOSTILE, st.booleans()), min_size=1, max_size=4), prompt=HOSTILE)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_forges_a_sample(shown, texts, prompt, codec, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "generate-augment.txt"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        for number, (text, ended) in enumerate(texts):
            stream.write(sample_lines(number, prompt, Made(text, ended), codec, shown))
    found = read(path, codec, dict.fromkeys(range(len(texts)), prompt))
    assert [(one.id, one.text, one.ended) for one in found] == [(i, *pair) for i, pair in enumerate(texts)]


def test_a_whole_forged_sample_in_a_text_stays_text(codec, tmp_path):
    """The strongest forgery: the text closes its own record and opens a perfect other one."""
    forged = "x\nP-0\t-0.2500 -0.2500\nS-1\tp\nH-1\t-0.251\t70\nD-1\t-0.251\tb\nP-1\t-0.2500 -0.2500\nS-2\tp"
    path = tmp_path / "generate-augment.txt"
    lines = [sample_lines(i, "p", Made(text), codec, str) for i, text in enumerate([forged, "mine"])]
    path.write_text("".join(lines), encoding="utf-8")
    assert [one.text for one in read(path, codec, {0: "p", 1: "p", 2: "p"})] == [forged, "mine"]


def test_tokens_count_the_end_and_a_cut_sample_is_told_from_an_ended_one(codec, tmp_path):
    path = tmp_path / "generate-augment.txt"
    made = [Made("a film"), Made("a film", ended=False), Made(""), Made(symbols="12 <unk> 13")]
    path.write_text("".join(sample_lines(i, "p", one, codec) for i, one in enumerate(made)), encoding="utf-8")
    found = read(path, codec, dict.fromkeys(range(4), "p"))
    length = len(codec.encode("a film"))
    assert [one.num_tokens for one in found] == [length + 1, length, 1, 4]
    assert [one.ended for one in found] == [True, False, True, True]
    assert ["<unk>" in one.symbols for one in found] == [False, False, False, True]


def test_a_file_cut_anywhere_is_refused_or_misses_the_sample(codec, tmp_path):
    whole = "".join(
        sample_lines(i, "p", Made(text), codec, str) for i, text in enumerate(["one\ntwo", "h\u00e9"])
    )
    content, path = whole.encode(), tmp_path / "generate-augment.txt"
    starts = [0, content.index(b"S-1\t")]
    for end in range(len(content)):
        path.write_bytes(content[:end])
        try:
            found = read(path, codec, {0: "p", 1: "p"})
        except UserError as error:
            assert "line" in str(error) and "run fairseq-generate again" in str(error)
        else:  # cut where no record has begun: the missing id is found later
            assert [one.text for one in found] == ["one\ntwo"][: int(end >= starts[1])]
    path.write_bytes(content)
    assert len(read(path, codec, {0: "p", 1: "p"})) == 2


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("H-0\t", "H-1\t", "sample 0 has no H- line"),
        ("D-0\t", "X-0\t", "sample 0 has no D- line"),
        ("P-0\t", "P-9\t", "no whole P- line"),
        ("P-0\t-0.2500", "P-0\t-0.2500 -0.2500", "scores for"),
        ("S-0\t", "S-5\t", "sample 5 was not asked for"),
        ("S-0\t", "P-0\t-0.1\nS-0\t", "without its H- line"),
        ("H-0\t-0.25\t", "H-0\t-0.25\t99999999 ", "outside this tokenizer"),
    ],
)
def test_a_damaged_record_is_named(old, new, complaint, codec, tmp_path):
    path = tmp_path / "generate-augment.txt"
    path.write_text(sample_lines(0, "p", Made("a film"), codec).replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=complaint):
        read(path, codec, {0: "p"})


def test_ids_follow_the_label(data, tmp_path):
    samples = [[Made("a")] * 3, [Made("b")] * 2]
    ids = Results.read(write_generation(tmp_path / "r", data, samples, first_sample=4)).facts.ids
    assert {i: ids.label_of(i) for i in ids} == {8: 0, 10: 0, 12: 0, 9: 1, 11: 1}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": "other"}, "not an augmentation record"),
        ({"version": 2}, "version 2"),
        ({"counts": [1]}, "one number per label"),
        ({"counts": [1, -1]}, "one number per label"),
        ({"checkpoint": "x.pt"}, "'checkpoint' is 'x.pt', not a list"),
        ({"complete": False, "done": 1}, "cut short \\(1 of 2"),
    ],
)
def test_a_damaged_augment_json_is_named(change, complaint, data, tmp_path):
    for number, only in enumerate((True, False)):
        folder = write_generation(
            tmp_path / str(number), data, [[Made("a")], [Made("b")]], printed_only=only, **change
        )
        with pytest.raises(UserError, match=complaint):
            read_record(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_an_augment_json_that_is_none_is_refused(content, tmp_path):
    (tmp_path / "augment.json").write_bytes(content)
    with pytest.raises(UserError, match=r"augment\.json"):
        read_record(tmp_path)


def test_a_missing_file_says_which_command_writes_it(codec, tmp_path):
    with pytest.raises(UserError, match="--results-path"):
        read_record(tmp_path)
    with pytest.raises(UserError, match="--gen-subset augment"):
        read(tmp_path / "generate-augment.txt", codec, {})


def test_the_maker_of_these_tests_writes_what_it_says(data, tmp_path):
    """Two shards share the ids between them."""
    samples = [[Made("a")] * 3, [Made("b")] * 3]
    ids = []
    for number in (0, 1):
        folder = write_generation(tmp_path / str(number), data, samples, shard=(number, 2))
        assert json.loads((folder / "augment.json").read_text())["expected"] == 3
        lines = (folder / "generate-augment.txt").read_text(encoding="utf-8").split("\n")
        ids += [int(line[2 : line.index("\t")]) for line in lines if line.startswith("H-")]
    assert sorted(ids) == list(range(6))
