"""The README's commands are run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, child_environment


def commands_under(heading):
    """The bash blocks under a heading of the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.S)


@pytest.mark.slow
def test_the_commands_of_by_hand_work_in_order(tmp_path):
    """In a fresh copy of what a clone holds, with this environment's programs on the path."""
    for name in ("fairseq_plugin", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data-bin").mkdir()
    (tmp_path / "runs" / "my-reviews").mkdir(parents=True)
    blocks = commands_under("By hand")
    assert len(blocks) >= 1
    programs = Path(sys.executable).parent
    script = "set -e\n" + "\n".join(blocks).replace("source .venv/bin/activate", "")
    environment = child_environment(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=tmp_path)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    made = tmp_path / "runs" / "my-reviews"
    assert {"train.tsv", "report.html", "manifest.json", "binary"} <= {
        path.name for path in (made / "augmented").iterdir()
    }
    assert (made / "huggingface" / "model.safetensors").is_file()
    assert re.search(r"^D-1\t\S+\tthe plot", done.stdout, re.M)
