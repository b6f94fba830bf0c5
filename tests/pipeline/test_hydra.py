"""Every adapter is configured by a dataclass, so ``fairseq-hydra-train`` runs them from a YAML file."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, child_environment

CONFIG = """
common: {{user_dir: {root}/fairseq_plugin, cpu: true, seed: 3, log_format: json}}
task: {{_name: conditional_augmentation, data: {data}}}
model: {{_name: gpt2_tiny, n_layer: 2, n_embd: 32, n_head: 2, n_positions: 64}}
criterion: {{_name: scale_grad, gamma: 0.5}}
optimizer: {{_name: fused_adamw, weight_decay: 0.1}}
lr_scheduler: {{_name: inverse_sqrt, warmup_updates: 20}}
dataset: {{max_tokens: 512, num_workers: 0}}
optimization: {{lr: [0.003], max_epoch: 1, clip_norm: 1.0}}
checkpoint: {{save_dir: {save}, no_epoch_checkpoints: true}}
bpe: {{_name: exact, codec_path: {data}}}
"""


@pytest.mark.slow
def test_hydra_trains_from_one_file(reviews, tmp_path):
    (tmp_path / "train.yaml").write_text(CONFIG.format(root=ROOT, data=reviews.folder, save=tmp_path / "run"))
    program = Path(sys.executable).parent / "fairseq-hydra-train"
    done = subprocess.run(
        [program, "--config-dir", tmp_path, "--config-name", "train"],
        cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    state = torch.load(tmp_path / "run" / "checkpoint_best.pt", weights_only=True)
    assert state["cfg"]["model"]["n_embd"] == 32 and state["cfg"]["criterion"]["gamma"] == 0.5
    assert state["cfg"]["optimizer"]["weight_decay"] == 0.1
    assert state["last_optimizer_state"] and state["optimizer_history"][-1]["num_updates"] > 20
