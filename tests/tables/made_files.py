"""A prepared table and checkpoints of networks that have learnt nothing, for tests."""

import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.pretrained.checkpoint_weights import FINGERPRINT, NETWORK_PREFIX
from fairseq_plugin.pretrained.vocabulary import fingerprint, read_symbols
from fairseq_plugin.storage.dictionary import DICTIONARY
from fairseq_plugin.tables.prepare import prepare_table
from fairseq_plugin.tables.request import TableRequest
from fairseq_plugin.tables.writing import write_table
from tests.storage.made_checkpoints import made_state
from tests.tables.made_tables import MIXED, mixed_rows


def made_request(folder, **more):
    """The request for ``folder / "data"`` from ``folder / "t.csv"``, which is written: 80 mixed rows."""
    write_table(folder / "t.csv", MIXED, mixed_rows(80), "csv")
    return TableRequest(str(folder / "t.csv"), str(folder / "data"), rare=2, types={"note": "drop"}, **more)


def made_data(folder):
    """A prepared table."""
    prepare_table(made_request(folder))
    return folder / "data"


def save_checkpoint(path, data, spread, seed, base=0):
    """A checkpoint: the weights of one network and noise of some spread."""
    symbols = read_symbols(data / DICTIONARY)
    sizes = {"n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}
    torch.manual_seed(base)
    weights = GPT2(GPT2Config(vocab_size=len(symbols), **sizes)).state_dict()
    torch.manual_seed(seed)
    noisy = {NETWORK_PREFIX + name: one + spread * torch.randn_like(one) for name, one in weights.items()}
    state = made_state(
        seed,
        task={"_name": "table_rows"},
        criterion={"_name": "scale_grad"},
        model={"_name": "gpt2_tiny", "dropout": 0.0, "layer_norm_epsilon": 1e-5, **sizes},
    )
    noisy[FINGERPRINT] = torch.tensor(fingerprint(symbols, None))
    torch.save({**state, "model": noisy, "last_optimizer_state": {"step": 1}}, path)
