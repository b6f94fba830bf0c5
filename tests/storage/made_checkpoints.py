"""Small checkpoints as fairseq writes them."""

from pathlib import Path
from typing import Any

import torch


def made_state(num_updates: int = 7, **config: Any) -> dict[str, Any]:
    """What a checkpoint after ``num_updates`` updates holds; ``config`` replaces sections of its settings."""
    return {
        "args": None,
        "cfg": {
            "task": {"_name": "conditional_augmentation"},
            "criterion": {"_name": "cross_entropy"},
            "model": {"_name": "gpt2"},
        }
        | config,
        "model": {f"layer_{i}": torch.full((500,), float(num_updates)) for i in range(20)},
        "optimizer_history": [{"num_updates": num_updates}],
    }


def write(path: Path, num_updates: int = 7, **config: Any) -> Path:
    """Write such a checkpoint."""
    torch.save(made_state(num_updates, **config), path)
    return path


def tear(path: Path) -> None:
    """Cut the second half off, as a kill in the middle of a copy does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
