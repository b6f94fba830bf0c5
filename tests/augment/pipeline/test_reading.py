"""augment.py reads odd files by preparation's own flags, and messages name only flags that it has."""

import re

import pytest

from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.core.gpt2 import GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.reading_flags import ReadingOptions
from fairseq_plugin.labelled.source import MAX_BYTES
from tests.conftest import ROOT
from tests.reference.gpt2_reference import hugging_face_model


@pytest.fixture
def odd(tmp_path):
    """A file without a header, whose quotes are the writers' own, and which has one very long row."""
    path = tmp_path / "odd.txt"
    rows = [f'"{word} {n} is good\t1\n{word} {n} is bad\t0\n' for n in range(30) for word in ("this", "that")]
    path.write_text("".join(rows) + " ".join(map(str, range(1000, 1400))) + "\t1\n")
    return path


READING = {"source_format": "tsv", "header": "no", "quoting": "no"}


def prepared(run_script, path, to, **reading):
    """The stages after the prepare stage's own command has run, and what that printed."""
    stages = Stages(AugmentRequest(to=to, source=path, reading=ReadingOptions(**READING | reading)))
    done = run_script(*stages.prepare().command[1:], check=False)
    return stages, done


@pytest.fixture
def run_command(run_script):
    return lambda script, *words, **options: run_script(script.removeprefix("scripts/"), *words, **options)


def test_what_the_flags_say_reaches_preparation(odd, tmp_path, run_command):
    texts = ("0=bad", "1=good")
    stages, done = prepared(run_command, odd, tmp_path / "out", label_text=texts, held_out=0.2)
    assert done.returncode == 0, done.stderr
    manifest = Manifest.load(stages.data)
    assert (manifest.source.format, manifest.source.header, manifest.source.quoting) == ("tsv", False, False)
    assert [label.text for label in manifest.labels] == ["bad", "good"]
    assert manifest.held_out == 0.2
    assert "1 rejected, longer than --max-row-tokens: line 121" in done.stdout


def test_longer_rows_are_taken_where_they_are_asked_for_and_the_model_has_room_for_them(
    odd, tmp_path, run_command
):
    stages, _ = prepared(run_command, odd, tmp_path / "out", max_row_tokens=2000)
    words = list(stages.train().command)
    longest = max(split.longest for split in Manifest.load(stages.data).splits.values())
    assert longest > 512
    assert words[words.index("--n-positions") + 1] == words[words.index("--max-tokens") + 1] == str(longest)
    short, _ = prepared(run_command, odd, tmp_path / "short")
    assert "--n-positions" not in short.train().command


def test_a_folder_that_was_read_otherwise_is_not_gone_on_with(odd, tmp_path, run_command, one_line_error):
    _, done = prepared(run_command, odd, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    _, again = prepared(run_command, odd, tmp_path / "out", held_out=0.3)
    one_line_error(again, f"{tmp_path / 'out' / 'data'} holds other prepared data", "--overwrite")


def test_rows_longer_than_the_pretrained_models_positions_are_refused_before_they_are_read(odd, tmp_path):
    folder = tmp_path / "gpt2"
    hugging_face_model(
        GPT2Config(vocab_size=30, n_positions=16, n_embd=8, n_layer=1, n_head=1)
    ).save_pretrained(folder)
    request = AugmentRequest(
        to=tmp_path / "out",
        source=odd,
        pretrained=folder,
        reading=ReadingOptions(**READING, max_row_tokens=17),
    )
    with pytest.raises(UserError, match=f"--max-row-tokens 17: {folder} has 16 positions"):
        Stages(request).prepare()


def test_reading_flags_mean_the_same_on_every_command_line(run_script):
    for script in ("augment.py", "prepare_labelled.py"):
        told = run_script(script, "--help").stdout
        assert all(f"--{name.replace('_', '-')}" in told for name in vars(ReadingOptions()))
    assert ReadingOptions(separator="--", max_bytes=MAX_BYTES).words() == ["--separator=--"]


def test_what_reading_advises_augment_has(run_script):
    """But for --codec, which helps where a tokenizer changes texts: none that it trains or is given does."""
    told = run_script("augment.py", "--help").stdout
    room = ROOT / "fairseq_plugin" / "labelled"
    names = ("guess", "records", "rows", "split", "labels", "prepare", "encode", "summary", "request")
    named = {
        flag for name in names for flag in re.findall(r"--[a-z][\w-]+", (room / f"{name}.py").read_text())
    }
    assert named - set(re.findall(r"--[a-z][\w-]+", told)) == {"--codec"}
