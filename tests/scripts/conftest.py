"""Shell scripts as a user calls them."""

import os
import subprocess

import pytest

from scripts import environment
from tests.conftest import ROOT


@pytest.fixture
def shell():
    """``shell("quickstart.sh", words...)``: the script's status and what it printed."""

    def run(name, *words):
        return subprocess.run(
            ["bash", ROOT / "scripts" / name, *map(str, words)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=500,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    return run


@pytest.fixture
def ready(repo_root):
    """Skips unless setup_env.sh has finished in the repository: no test installs anything."""
    if fault := environment.stamp_fault(repo_root / ".venv"):
        pytest.skip(f".venv: {fault}; bash scripts/setup_env.sh comes first")
