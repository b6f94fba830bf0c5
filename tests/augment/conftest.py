"""A prepared folder and a small model over it, for all tests of jobs."""

from pathlib import Path

import pytest

from fairseq_plugin.augment.jobs.job import Settings
from tests.augment.made_generation import make_data
from tests.augment.made_job import JobParts, train_model


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> JobParts:
    """Data, a checkpoint and settings that make short samples of some variety."""
    folder: Path = tmp_path_factory.mktemp("job")
    data = make_data(folder)
    checkpoint = train_model(data, folder / "checkpoint.pt")
    return JobParts(data, checkpoint, Settings(seed=3, temperature=1.3, max_len_b=30))
