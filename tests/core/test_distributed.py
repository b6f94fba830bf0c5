"""A process that a launcher started as one of several, and that trains on its own, is refused."""

import pytest

from fairseq_plugin.core.distributed import refuse_lonely_worker


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1"}, {"WORLD_SIZE": ""}, {"RANK": "3"}])
def test_a_single_process_may_train(environment):
    refuse_lonely_worker(environment)


@pytest.mark.parametrize(
    ("size", "words"),
    [("4", "--distributed-world-size 4"), ("4", r"process R of 0 \.\. 3"), ("many", "is not a number")],
)
def test_one_of_several_processes_may_not_train_alone(size, words):
    with pytest.raises(RuntimeError, match=words):
        refuse_lonely_worker({"WORLD_SIZE": size})
