"""The mean of epochs is a mean, and is taken only where validation finds it better."""

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.tables.averaging import (
    AVERAGED,
    BEST,
    average_epochs,
    epoch_checkpoints,
    mean_weights,
)
from fairseq_plugin.tables.model import TableModel
from tests.storage.made_checkpoints import made_state
from tests.tables.made_files import made_data, save_checkpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made_data(tmp_path_factory.mktemp("averaging"))


def test_noise_around_one_network_is_averaged_away(data, tmp_path):
    for epoch in range(1, 10):
        save_checkpoint(tmp_path / f"checkpoint{epoch}.pt", data, 0.3, epoch)
    save_checkpoint(tmp_path / BEST, data, 0.3, 9)
    assert [path.name for path in epoch_checkpoints(tmp_path)][-1] == "checkpoint9.pt"
    tried = average_epochs(tmp_path, data)
    assert len(tried) == 6
    assert tried[0].name == "mean of the last 8 epochs" and tried[0].nats < tried[-1].nats - 0.5
    state = torch.load(tmp_path / AVERAGED, weights_only=True)
    literal = mean_weights([tmp_path / f"checkpoint{epoch}.pt" for epoch in range(2, 10)])
    assert all(torch.equal(state["model"][name], one) for name, one in literal.items())
    assert "last_optimizer_state" not in state
    assert TableModel.load(tmp_path / AVERAGED, data).sample(5, 1).rows


def test_the_best_epoch_stays_where_no_mean_is_better(data, tmp_path):
    save_checkpoint(tmp_path / BEST, data, 0.0, 1)
    for epoch in (1, 2, 3):
        save_checkpoint(tmp_path / f"checkpoint{epoch}.pt", data, 3.0, epoch)
    tried = average_epochs(tmp_path, data)
    assert tried[0].name == "best epoch"
    averaged, best = (torch.load(tmp_path / name, weights_only=True)["model"] for name in (AVERAGED, BEST))
    assert all(torch.equal(averaged[name], one) for name, one in best.items())


def test_other_models_and_missing_checkpoints_are_named(data, tmp_path):
    with pytest.raises(UserError, match="checkpoint_best.pt"):
        average_epochs(tmp_path, data)
    paths = [tmp_path / "checkpoint1.pt", tmp_path / "checkpoint2.pt"]
    save_checkpoint(paths[0], data, 0.1, 1)
    torch.save({**made_state(), "model": {"x": torch.ones(2)}}, paths[1])
    with pytest.raises(UserError, match=r"checkpoint2\.pt is a checkpoint of another model"):
        mean_weights(paths)
