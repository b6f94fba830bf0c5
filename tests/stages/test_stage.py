"""One command of a pipeline: shown, logged, passed over when it has run, its error told in one line."""

import io
import sys

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.stages.stage import ROOT, Runner, Stage, flags, short


def stage(tmp_path, code, **options):
    options = {"log": tmp_path / "step.log", **options}
    return Stage("A step", (sys.executable, "-c", code), **options)


def run(stage):
    stream = io.StringIO()
    status = Runner(stream).run(stage)
    return status, stream.getvalue()


class Shouting:
    def see(self, line):
        return line.upper() if "show" in line else None

    def close(self):
        pass


def test_the_command_is_shown_as_it_could_be_typed_and_its_lines_as_the_watcher_says(tmp_path):
    code = "print('show this'); print('not that')"
    status, said = run(stage(tmp_path, code, watcher=Shouting))
    assert status == 0
    assert (
        f"$ {sys.executable} -c '{code.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}"
        in said
    )
    assert "SHOW THIS\n" in said and "not that\n" not in said.split("$", 1)[1].split("\n", 1)[1]
    assert (tmp_path / "step.log").read_text() == "show this\nnot that\n"


def test_an_error_line_of_the_command_is_the_error(tmp_path):
    code = "import sys; print('much'); print('error: --flag 3: give 2', file=sys.stderr); sys.exit(1)"
    with pytest.raises(UserError, match="^--flag 3: give 2$"):
        run(stage(tmp_path, code))


def test_without_an_error_line_the_last_words_and_the_log_are_told(tmp_path):
    with pytest.raises(UserError, match=r"(?s)step 1 \(A step\) failed.*step.log.*ZeroDivisionError"):
        run(stage(tmp_path, "1 / 0"))


def test_a_status_that_is_an_answer_is_returned(tmp_path):
    assert run(stage(tmp_path, "raise SystemExit(3)", statuses=(0, 3)))[0] == 3


def test_a_persons_own_modules_are_found_where_the_stage_says_and_only_there(tmp_path):
    (tmp_path / "my_rules.py").write_text("answer = 42")
    code = "import my_rules; print('show', my_rules.answer)"
    status, said = run(stage(tmp_path, code, watcher=Shouting, modules=tmp_path))
    assert status == 0 and "SHOW 42" in said
    with pytest.raises(UserError, match="No module named 'my_rules'"):
        run(stage(tmp_path, code))


@pytest.fixture
def counting(tmp_path):
    """A stage that appends a line to its output whenever it runs."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_text("1")
    code = f"open({str(output)!r}, 'a').write('ran\\n')"
    return stage(tmp_path, code, inputs=(source,), outputs=(output,), mark=tmp_path / "steps" / "mark.json")


def test_a_finished_stage_is_passed_over(counting, tmp_path):
    run(counting)
    _, said = run(counting)
    assert "already done" in said
    assert (tmp_path / "out").read_text() == "ran\n"


@pytest.mark.parametrize("change", ["input", "output", "mark", "missing"])
def test_a_stage_runs_again_when_anything_of_it_has_changed(counting, tmp_path, change):
    run(counting)
    if change == "input":
        (tmp_path / "in").write_text("2")
    elif change == "output":
        (tmp_path / "out").write_text("altered\n")
    elif change == "mark":
        mark = tmp_path / "steps" / "mark.json"
        mark.write_text(mark.read_text().replace("out", "ouT", 1))
    else:
        (tmp_path / "out").unlink()
    run(counting)
    assert (tmp_path / "out").read_text().endswith("ran\n")
    assert (tmp_path / "out").read_text() != "ran\n" or change == "missing"


def test_flags_are_spelt_as_fairseq_reads_them():
    assert flags(max_epoch=3, overwrite=True, quiet=False, valid=None, lr="3e-3") == [
        "--max-epoch", "3", "--overwrite", "--lr", "3e-3",
    ]  # fmt: skip


def test_a_path_is_the_same_file_for_us_and_for_the_commands_wherever_we_stand(tmp_path, monkeypatch):
    """Commands run in the repository; we may not."""
    inside = ROOT / "runs" / "x"
    for place, shown in ((ROOT, inside.relative_to(ROOT)), (tmp_path, inside)):
        monkeypatch.chdir(place)
        assert short(inside) == shown and short(tmp_path) == tmp_path.resolve()
        assert (place / shown).resolve() == (ROOT / shown).resolve() == inside


def test_ctrl_c_says_that_the_same_command_goes_on_and_ends_without_a_traceback(tmp_path):
    class Interrupted(Shouting):
        def see(self, line):
            raise KeyboardInterrupt

    stream = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        Runner(stream).run(stage(tmp_path, "print(1, flush=True); input()", watcher=Interrupted))
    assert ended.value.code == 130
    assert stream.getvalue().endswith("interrupted; the same command goes on from here\n")
    with pytest.raises(KeyboardInterrupt):  # of a notebook
        Runner(None).run(stage(tmp_path, "print(1, flush=True); input()", watcher=Interrupted))


def test_a_flag_of_the_stock_command_that_no_pipeline_has_is_not_named(tmp_path):
    code = "import sys; sys.exit('error: --save-dir runs/x is in use by process 5')"
    with pytest.raises(UserError, match="^runs/x is in use by process 5$"):
        run(stage(tmp_path, code))
