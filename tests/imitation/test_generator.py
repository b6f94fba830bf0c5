"""``from fairseq_plugin import TextGenerator``: what is loaded, what it writes, what it refuses."""

import ast
import re
import shutil
import subprocess
import sys

import pytest

from fairseq_plugin import TextGenerator
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.sample_book import read_samples
from tests.conftest import ROOT, child_environment
from tests.pipeline.open_ended import made_text


@pytest.fixture(scope="module")
def generator(text, learnt):
    return TextGenerator.load(learnt.checkpoint, text.folder)


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory, text, learnt, run_script):
    """The same model as a Hugging Face folder."""
    folder = tmp_path_factory.mktemp("exported") / "hf"
    run_script("convert_gpt2.py", "export", learnt.checkpoint, "--data", text.folder, "--to", folder)
    return folder


def test_texts_begin_with_the_prompt_and_the_fewer_are_the_first_of_the_more(generator):
    three = generator.generate("The cat", num=3, max_new=12, top_p=0.9, seed=4)
    assert len(three) == 3 and all(isinstance(one, str) and one.startswith("The cat") for one in three)
    assert generator.generate("The cat", num=2, max_new=12, top_p=0.9, seed=4) == three[:2]
    assert generator.generate("The cat", num=3, max_new=12, top_p=0.9, seed=5) != three
    assert len({*generator.generate("The cat", num=8, max_new=12)}) > 1


def test_greedy_texts_are_those_of_the_hub_interface(generator, text, learnt):
    from fairseq_plugin.models.gpt2 import GPT2LanguageModel

    hub = GPT2LanguageModel.from_pretrained(str(learnt.folder), "checkpoint_best.pt", str(text.folder))
    for prompt in ("The cat", "a king\n"):
        (theirs,) = hub.sample([prompt], beam=1, max_len_b=12)
        (ours,) = generator.generate(prompt, max_new=12, min_new=12, temperature=0)
        assert ours == prompt + theirs


def test_drawn_texts_are_those_of_fairseq_generate(generator, complete, tmp_path):
    (tmp_path / "prompts.txt").write_text("The cat\n")
    complete(
        tmp_path / "out", "--gen-subset", "prompts", "--prompts", tmp_path / "prompts.txt", "--sampling",
        "--sampling-topp", 0.9, "--beam", 3, "--nbest", 3,
    )  # fmt: skip
    theirs = ["".join(sample) for sample in read_samples(tmp_path / "out" / "test_samples.tsv")]
    assert generator.generate("The cat", num=3, top_p=0.9, seed=5, max_new=12, min_new=12) == theirs


def test_every_way_to_decode_is_there(generator):
    beams = generator.generate("The", num=2, num_beams=4, max_new=10)
    assert len(beams) == 2 and beams != generator.generate("The", num=2, max_new=10)
    plain, varied = (
        generator.generate("The", max_new=40, min_new=40, temperature=0, no_repeat_ngram=n)[0] for n in (0, 2)
    )
    assert plain != varied
    assert generator.generate("The", max_new=40, temperature=0, repetition_penalty=5.0)[0] != plain
    assert generator.generate("The", num=2, top_k=1, max_new=10) == 2 * generator.generate(
        "The", temperature=0, max_new=10
    )


def test_prompts_of_any_text_are_kept(generator):
    for prompt in ("", " ", "\n\n", "日本語 ☃", "tab\there \\ \x00", "a" * 20):
        (found,) = generator.generate(prompt, max_new=5)
        assert found.startswith(prompt)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"num": 0}, "num 0 must be at least 1"),
        ({"num": 2, "temperature": 0}, "num 2: temperature 0 gives one text only"),
        ({"num": 5, "num_beams": 2}, "give more beams"),
        ({"temperature": -1}, "temperature must be 0"),
        ({"top_p": 0}, "top-p must be in"),
        ({"max_new": 0}, "max_new must be at least 1"),
        ({"max_new": 10_000}, "leave room for"),
        ({"min_new": 7, "max_new": 5}, "min_new must be in"),
        ({"seed": -1}, "seed must be in"),
        ({"repetition_penalty": 0.5}, "repetition penalty must be in"),
        ({"prompt": 7}, "prompt 7: give a text"),
        ({"prompt": "\ud800"}, "Unicode"),
        ({"prompt": "word " * 5000}, "fills the model's"),
    ],
)
def test_what_cannot_be_meant_is_refused(generator, arguments, told):
    with pytest.raises(UserError, match=told):
        generator.generate(**{"prompt": "The", **arguments})


def test_a_hugging_face_folder_writes_the_same(generator, hugging_face):
    theirs = TextGenerator.load(hugging_face)
    for options in ({"temperature": 0}, {"num": 3, "top_p": 0.9, "seed": 2}):
        assert theirs.generate("The cat", max_new=12, **options) == generator.generate(
            "The cat", max_new=12, **options
        )
    with pytest.raises(UserError, match="Hugging Face folder"):
        theirs.save(hugging_face.parent / "saved")


def test_what_was_saved_is_the_same_and_damage_is_seen(generator, tmp_path):
    generator.save(tmp_path / "saved")
    assert TextGenerator.load(tmp_path / "saved").generate("The", max_new=9) == generator.generate(
        "The", max_new=9
    )
    with pytest.raises(UserError, match="exists"):
        generator.save(tmp_path / "saved")
    generator.save(tmp_path / "saved", overwrite=True)
    path = tmp_path / "saved" / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        TextGenerator.load(tmp_path / "saved")


def test_a_checkpoint_finds_its_text(text, learnt, tmp_path):
    found = TextGenerator.load(learnt.checkpoint)  # the checkpoint names the folder
    assert found.generate("The", max_new=5) == TextGenerator.load(learnt.folder).generate("The", max_new=5)


def test_what_is_no_model_is_named(tmp_path, text, learnt, reviews):
    with pytest.raises(UserError, match="there is no"):
        TextGenerator.load(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no model: expected textgenerator.json"):
        TextGenerator.load(tmp_path)
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="a.pt"):
        TextGenerator.load(tmp_path / "a.pt", text.folder)
    with pytest.raises(UserError, match="labelled rows"):
        TextGenerator.load(learnt.checkpoint, reviews.folder)
    with pytest.raises(UserError, match="not prepared text"):
        TextGenerator.load(learnt.checkpoint, tmp_path)


def test_importing_the_package_reads_nothing_of_it():
    said = "import sys, fairseq_plugin; print('fairseq_plugin.imitation' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, text=True, env=child_environment(), cwd=ROOT
    )
    assert done.stdout.split()[-1] == "False", done.stderr[-2000:]


def test_a_text_that_cannot_be_learnt_is_named(tmp_path, capfd):
    folder = tmp_path / "out"
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "line.txt").write_text("one line, and no more")
    (tmp_path / "bytes.txt").write_bytes(bytes(range(256)) * 50)
    for name, told in (
        ("none.txt", "there is no file"),
        ("empty.txt", "empty"),
        ("line.txt", "split|valid"),
        ("bytes.txt", "not UTF-8"),
    ):
        with pytest.raises(UserError, match=told):
            TextGenerator.train(tmp_path / name, to=folder, verbose=False)
    with pytest.raises(UserError, match="^minutes 0 must be"):
        TextGenerator.train(tmp_path / "line.txt", minutes=0, to=folder)
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_the_block_of_the_documents_runs(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "python.md").read_text("utf-8").split("## Texts")[1]
    block = re.search(r"^```python\n(.*?)^```", page, re.M | re.S)[1]
    assert "TextGenerator.train(" in block and "TextGenerator.load(" in block
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(made_text(400))
    tree = ast.parse(re.sub(r"minutes=\d+", "minutes=0.05", block))
    names = {}
    exec(compile(tree, "python.md", "exec"), names)  # our own page
    assert len(names["texts"]) == 3 and all(text.startswith("It was") for text in names["texts"])
    shutil.rmtree(tmp_path / "book-model")
