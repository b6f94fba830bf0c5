"""What the adapters' tests share."""

import pytest

from tests.criterions.criterion_setup import build_lm_task


@pytest.fixture
def lm_task():
    """Stock language modelling over 30 symbols."""
    return build_lm_task()
