"""Shell scripts parse, and every Python script tells what it does without doing it."""

import subprocess

import pytest

SHELL = ("scripts/setup_env.sh", "scripts/test.sh", "scripts/quickstart.sh", "scripts/imitate.sh", ".ci/run")


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
    assert found | {".ci/run"} == set(SHELL)


@pytest.mark.parametrize("name", SHELL[:4])
def test_shell_script_has_help(repo_root, tmp_path, name):
    done = subprocess.run(["bash", repo_root / name, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ")


@pytest.mark.slow
def test_python_scripts_have_help(repo_root, run_script, tmp_path):
    scripts = sorted((repo_root / "scripts").glob("*.py"))
    assert scripts
    for path in scripts:
        done = run_script(path.name, "--help", cwd=tmp_path)
        assert "usage: " in done.stdout, path.name
    assert list(tmp_path.iterdir()) == []
