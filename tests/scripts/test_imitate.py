"""imitate.sh: one command from one text file to its style; again, to go on."""

import re

import pytest

from fairseq_plugin.storage.lock import FolderLock
from scripts.imitate import main
from scripts.reviews import make_reviews


@pytest.fixture
def text(tmp_path):
    """Somebody's text: reviews, a few with what is special in shells, Markdown and our escapes."""
    path = tmp_path / "my reviews.txt"
    lines = [row.text for row in make_reviews({"train": 300, "valid": 1, "test": 1}, 1)["train"]]
    lines[5::40] = [r"a $HOME `ls` *bold* <b> \n \ % “quoted” line"] * len(lines[5::40])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_text_becomes_a_style_and_again_goes_on(ready, shell, text, tmp_path, speaks_for_itself):
    words = (
        text,
        "--to",
        tmp_path / "out",
        "--minutes",
        0.2,
        "--prompt",
        r"The *plot* \\ of",
        "--prompt",
        r"A\nfilm",
    )
    done = shell("imitate.sh", *words)
    # Seconds of training are not worth much, on a slow machine nothing: then it says so.
    status = 3 if "\nNot worth using: the model has learnt hardly any context" in done.stdout else 0
    assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
    speaks_for_itself(done.stdout + done.stderr)
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    assert {"training.png", "training.svg", "samples.md", "report.html", "recipe", "steps"} <= names
    page = (out / "samples.md").read_text("utf-8")
    assert re.findall("^## (.*)$", page, re.M) == ["temperature 0.5", "temperature 0.8", "temperature 1.0"]
    assert page.count(r"> <b>The \*plot\* \\ of</b>") == 9 and page.count("> <b>A</b>\\\n> <b>film</b>") == 9
    report = (out / "report.html").read_text("utf-8")
    assert report.count('<p class="verdict ') == 1 and "<h2>While it learnt</h2>" in report
    for command in (
        "prepare_text.py",
        "fairseq-train",
        "plot_training.py",
        "fairseq-eval-lm",
        "fairseq-generate",
    ):
        assert f"{command} " in done.stdout  # each command is shown, for copying
    best = re.search(r"best validation loss (\S+) bits per token at update", done.stdout)
    measured = re.search(r"validation loss: (\S+) bits per token, (\S+) nats per character", done.stdout)
    assert float(measured[1]) == pytest.approx(float(best[1]), abs=2e-3)
    assert 0.2 < float(measured[2]) < 5
    checkpoint = (out / "checkpoints" / "checkpoint_best.pt").read_bytes()

    again = shell("imitate.sh", *words)

    assert again.returncode == status, again.stdout[-3000:] + again.stderr[-3000:]
    assert "already done, with the same settings and files" in again.stdout
    assert (out / "checkpoints" / "checkpoint_best.pt").read_bytes() == checkpoint
    assert (out / "samples.md").read_text("utf-8") == page

    (out / "steps" / "train.json").unlink()  # killed while fairseq copied its last checkpoint
    last = out / "checkpoints" / "checkpoint_last.pt"
    last.write_bytes(last.read_bytes()[:5000])
    torn = shell("imitate.sh", *words)
    assert torn.returncode in (0, 3), torn.stdout[-3000:] + torn.stderr[-3000:]
    console = (out / "steps" / "train.log").read_text("utf-8")
    assert "going on from" in console and "Loaded checkpoint" in console

    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other = shell("imitate.sh", *words[:-1], "another prompt", "--gamma", "0.5")
    assert other.returncode == 1
    assert "was begun with --gamma 1, not 0.5" in other.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("no-such-file",), "there is no file no-such-file; name a UTF-8 text, or a folder of texts"),
        (("{text}", "--minutes", "0"), "--minutes 0 must be a number above 0"),
        (("{text}", "--gamma", "2"), "--gamma 2 must be in (0, 1]; 1 is maximum likelihood"),
        (("{text}", "--seed", "-1"), "--seed -1 must be between 0 and 2^32 - 1"),
        (("{text}", "--from", "no-such-folder"), "--from no-such-folder is not a folder"),
    ],
)
def test_a_mistake_gives_one_line_before_anything_is_done(text, tmp_path, words, error, capsys):
    with pytest.raises(SystemExit, match=f"^error: {re.escape(error)}$"):
        main([*(word.format(text=text) for word in words), "--to", str(tmp_path / "out")])
    assert capsys.readouterr().out == "" and not (tmp_path / "out").exists()


def test_a_second_run_in_a_folder_waits_for_nobody(text, tmp_path):
    (tmp_path / "out").mkdir()
    with FolderLock(tmp_path / "out" / "imitate"), pytest.raises(SystemExit, match="--to .* is in use by"):
        main([str(text), "--to", str(tmp_path / "out")])
