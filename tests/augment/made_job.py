"""A small model over small data, as fairseq-train would leave it, made in seconds: for tests of jobs."""

from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.augment.jobs.job import Job, Settings, open_job
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.labelled.binary import read_items
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.pretrained.checkpoint_weights import FINGERPRINT, NETWORK_PREFIX
from fairseq_plugin.pretrained.export import SIZES
from fairseq_plugin.pretrained.vocabulary import fingerprint, read_symbols
from fairseq_plugin.storage.data_identity import identity
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.text.codec import load_codec

PAD = 1


@dataclass(frozen=True)
class JobParts:
    """What a job is made of."""

    data: Path
    checkpoint: Path
    settings: Settings

    def open(self, folder: Path) -> Job:
        """A job in a folder."""
        return open_job(folder, self.data, self.checkpoint, self.settings)


def train_model(data: Path, path: Path, num_updates: int = 120, seed: int = 1, width: int = 48) -> Path:
    """Fit a GPT-2 of two layers to a prepared folder and save it as a checkpoint of ours."""
    symbols = read_symbols(data / "dict.txt")
    torch.manual_seed(seed)
    gpt2 = GPT2(
        GPT2Config(vocab_size=len(symbols), n_positions=64, n_embd=width, n_layer=2, n_head=2, dropout=0.0)
    )
    items = [torch.tensor([EOS, *item]) for item in read_items(data, "train")]
    optimizer = torch.optim.AdamW(gpt2.parameters(), lr=1e-2)
    for update in range(num_updates):
        some = [items[(update * 16 + i) % len(items)] for i in range(16)]
        tokens_BT = torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=PAD)
        logits_BTV = gpt2.logits(gpt2(tokens_BT[:, :-1]))
        targets = tokens_BT[:, 1:].flatten()
        loss = torch.nn.functional.cross_entropy(logits_BTV.flatten(0, 1), targets, ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return save_model(gpt2, data, path)


def save_model(gpt2: GPT2, data: Path, path: Path) -> Path:
    """Save a network as a checkpoint of ``--task conditional_augmentation``."""
    symbols, codec = read_symbols(data / "dict.txt"), load_codec(data)
    sizes = {name: getattr(gpt2.config, name) for name in SIZES}
    state = {NETWORK_PREFIX + name: value for name, value in gpt2.state_dict().items()}
    state[FINGERPRINT] = torch.tensor(fingerprint(symbols, codec))
    config = {
        "task": {"_name": "conditional_augmentation"},
        "criterion": {"_name": "cross_entropy"},
        "model": {"_name": "gpt2", **sizes},
    }
    manifest = Manifest.load(data)
    labels = {label.name: [label.text, label.prompt] for label in manifest.labels}
    known = identity(symbols, codec.digest(), manifest.files, labels)
    content = {"args": None, "cfg": config, "model": state, "task_state": {"data": known}}
    history = [
        {
            "num_updates": 1,
            "criterion_name": "CrossEntropyCriterion",
            "optimizer_name": "",
            "lr_scheduler_state": {},
        }
    ]
    extra = {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}}  # fairseq's own commands want it
    torch.save({**content, "optimizer_history": history, "extra_state": extra}, path)
    return path
