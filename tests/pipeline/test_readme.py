"""The commands that the documents mark as ``bash`` are run as they are."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, child_environment

# In this order: the second page goes on with the files of the first.
RUN = ("docs/augmentation.md", "docs/text_generation.md")


def bash_blocks(*pages: str) -> list[str]:
    """The blocks marked ``bash`` of the pages, in order."""
    return [
        block
        for page in pages
        for block in re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    ]


def test_every_bash_block_is_on_a_page_that_the_next_test_runs():
    pages = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
    assert [page for page in pages if bash_blocks(page)] == sorted(RUN)


@pytest.mark.slow
def test_the_commands_of_the_pages_work_in_order(tmp_path):
    """In a fresh copy of what a clone holds, with this environment's programs on the path."""
    for name in ("fairseq_plugin", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data-bin").mkdir()
    (tmp_path / "runs" / "my-reviews").mkdir(parents=True)
    blocks = bash_blocks(*RUN)
    assert len(blocks) == 2
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
