"""A made text in a prepared folder, for all tests of this room."""

import pytest

from fairseq_plugin.evaluation.split_text import load_split
from tests.evaluation.made_text import write_folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("text") / "made")


@pytest.fixture(scope="session")
def text(folder):
    return load_split(folder, "test")
