"""Shell scripts parse, and every Python script tells what it does without doing it."""

import subprocess
import sys

import pytest

SHELL = (
    "scripts/setup_env.sh",
    "scripts/test.sh",
    "scripts/lint.sh",
    "scripts/quickstart.sh",
    "scripts/imitate.sh",
    ".ci/run",
)
SOURCED = "scripts/common.sh"  # by quickstart.sh


@pytest.mark.parametrize("name", SHELL)
def test_shell_script_parses_and_can_be_run(repo_root, name):
    path = repo_root / name
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text("utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert path.stat().st_mode & 0o111


def test_there_is_no_other_shell_script(repo_root):
    found = {str(path.relative_to(repo_root)) for path in (repo_root / "scripts").glob("*.sh")}
    assert found | {".ci/run"} == {*SHELL, SOURCED}


def test_the_sourced_file_parses_and_is_no_command(repo_root):
    path = repo_root / SOURCED
    subprocess.run(["bash", "-n", path], check=True)
    assert not path.stat().st_mode & 0o111


@pytest.mark.parametrize("name", SHELL[:-1])
def test_shell_script_has_help(repo_root, tmp_path, name):
    done = subprocess.run(["bash", repo_root / name, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ")


# Runs every script as ``python scripts/NAME --help`` does, one after the other in one process.
HELP = """
import runpy, sys
for path in sys.argv[1:]:
    sys.argv = [path, "--help"]
    print("== script", path)
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        print("status", end.code)
    print("fairseq" in sys.modules)
"""


def test_python_scripts_have_help_and_do_not_load_fairseq(repo_root, tmp_path):
    scripts = [
        path for path in sorted((repo_root / "scripts").glob("*.py")) if "__main__" in path.read_text("utf-8")
    ]
    assert len(scripts) >= 8
    done = subprocess.run(
        [sys.executable, "-c", HELP, *scripts], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split("== script ")[1:]
    assert [part.partition("\n")[0] for part in parts] == [str(path) for path in scripts]
    for part in parts:
        assert "usage: " in part
        assert part.endswith("status 0\nFalse\n"), part
    assert list(tmp_path.iterdir()) == []
