"""fairseq's own ``--task sentence_prediction`` on a small GPT-2, as one of the study's classifiers.

The stock ``fairseq-train`` learns in a process of its own, from scratch, with a tokenizer of the rows at
hand; dev chooses the checkpoint and the learning rate. It takes much longer than the other students.

Shape legend: N texts, T tokens, D width, L labels.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fairseq_plugin.augment.verdict.neural_students import (
    BATCH,
    LONGEST_PATIENCE,
    MOST_UPDATES,
    PASSES,
    PATIENCE,
    VALIDATIONS,
)
from fairseq_plugin.augment.verdict.students import only_label
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.label_folders import write_label_folders
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import prepare
from fairseq_plugin.labelled.request import Request
from fairseq_plugin.pretrained.checkpoint_weights import NETWORK_PREFIX
from fairseq_plugin.pretrained.export import SIZES
from fairseq_plugin.pretrained.vocabulary import read_symbols
from fairseq_plugin.stages.stage import ROOT, require_scripts, stock
from fairseq_plugin.stages.tied_child import tied
from fairseq_plugin.storage.checkpoints import open_checkpoint
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, index_of_id
from fairseq_plugin.text.codec import load_codec

VOCABULARY, POSITIONS = 1000, 128
_HEAD = "classification_heads.sentence_classification_head.out"


@dataclass(frozen=True)
class SentencePrediction:
    """A :class:`~fairseq_plugin.augment.verdict.students.Student`.

    Attributes:
        rates: learning rates; dev chooses one.
    """

    name: str = "fairseq's sentence_prediction"
    rates: tuple[float, ...] = (3e-4, 1e-3)
    stops_by_patience: bool = True

    def answers(
        self, train: Examples, dev: Examples, texts: Sequence[str], seed: int, to_patience: bool = False
    ) -> NDArray[np.int64]:
        """See :meth:`~fairseq_plugin.augment.verdict.students.Student.answers`.

        Raises:
            UserError: ``fairseq-train`` failed, or the repository's commands are not there.
        """
        if (alone := only_label(train, texts)) is not None:
            return alone
        require_scripts()
        with tempfile.TemporaryDirectory(prefix="sentence-prediction-") as folder:
            return _Training(Path(folder), train, dev, seed, to_patience).answers(self.rates, texts)


class _Training:
    """One training set in a folder, and the networks learnt from it."""

    def __init__(self, folder: Path, train: Examples, dev: Examples, seed: int, to_patience: bool) -> None:
        self.folder, self.seed, self.to_patience = folder, seed, to_patience
        self.data, self.binary = folder / "data", folder / "binary"
        _write_rows(folder / "train.jsonl", train)
        train_file = str(folder / "train.jsonl")
        prepare(  # for its tokenizer; nothing is held out
            Request(
                train_file, str(self.data), valid=train_file, text_column="text", label_column="label",
                codec="bytes", vocab_size=VOCABULARY,
            )
        )  # fmt: skip
        self.names = [int(label.name) for label in Manifest.load(self.data).labels]
        index = {name: place for place, name in enumerate(self.names)}
        known = [(index[label], text) for label, text in dev if label in index]
        rows = [(index[label], text) for label, text in train]
        write_label_folders(self.binary, {"train": rows, "valid": known or rows}, self.data)
        self.num_rows, self.dev = len(rows), known or rows

    def answers(self, rates: Sequence[float], texts: Sequence[str]) -> NDArray[np.int64]:
        """Label of each text by the network that does best on dev; of equals the first."""
        best, found = -1.0, np.zeros(0, dtype=np.int64)
        truth_N = np.array([label for label, _ in self.dev])
        for rate in rates:
            classify = _Classifier(self._train(rate), self.data)
            right = float((classify([text for _, text in self.dev]) == truth_N).mean())
            if right > best:
                best, found = right, classify(texts)
        return np.array(self.names, dtype=np.int64)[found]

    def _train(self, rate: float) -> Path:
        save = self.folder / f"rate-{rate:g}"
        updates = min(MOST_UPDATES, PASSES * -(-self.num_rows // BATCH))
        most = updates * LONGEST_PATIENCE if self.to_patience else updates
        interval = max(1, updates // VALIDATIONS)
        command = stock(
            "fairseq-train", self.binary, "--user-dir", ROOT / "fairseq_plugin", "--arch", "gpt2_tiny",
            "--n-positions", POSITIONS, "--dropout", 0.1, "--task", "sentence_prediction", "--criterion",
            "sentence_prediction", "--num-classes", len(self.names), "--init-token", EOS, "--max-positions",
            POSITIONS, "--shorten-method", "truncate", "--best-checkpoint-metric", "accuracy",
            "--maximize-best-checkpoint-metric", "--optimizer", "fused_adamw", "--lr", rate,
            "--lr-scheduler", "fixed", "--clip-norm", 1, "--batch-size", BATCH, "--max-update", most,
            "--validate-interval-updates", interval, "--validate-interval", 10**6, "--save-interval", 10**6,
            "--save-interval-updates", interval, "--keep-interval-updates", 1, "--no-epoch-checkpoints",
            "--no-last-checkpoints", *(("--patience", PATIENCE) if self.to_patience else ()), "--seed",
            self.seed, "--cpu", "--num-workers", 0, "--no-progress-bar", "--save-dir", save,
        )  # fmt: skip
        one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # answers must not depend on the cores
        done = subprocess.run(
            tied(command), cwd=ROOT, env={**os.environ, **one}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
            raise UserError(f"fairseq-train of a sentence_prediction classifier failed:\n{last}")
        return save / "checkpoint_best.pt"


def _write_rows(path: Path, rows: Examples) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        for label, text in rows:
            stream.write(json.dumps({"label": str(label), "text": text}) + "\n")


class _Classifier:
    """A trained checkpoint that answers texts."""

    def __init__(self, checkpoint: Path, data: Path) -> None:
        self.codec = load_codec(data)
        self.indices = index_of_id(self.codec)
        read = open_checkpoint(checkpoint)
        read.close()
        weights: Mapping[str, torch.Tensor] = read.state["model"]
        sizes = {name: read.config["model"][name] for name in SIZES}
        num_symbols = len(read_symbols(data / DICTIONARY)) + 1  # fairseq's task adds <mask>
        self.gpt2 = GPT2(GPT2Config(vocab_size=num_symbols, **sizes)).eval()
        own = {name: weights[NETWORK_PREFIX + name] for name in self.gpt2.state_dict()}
        self.gpt2.load_state_dict(own)
        self.weight_LD, self.bias_L = weights[f"{_HEAD}.weight"], weights[f"{_HEAD}.bias"]

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Index of the label of each text, ``(N,)``; one text at a time, so that none changes another's."""
        found = []
        for ids in self.codec.encode_batch(list(texts)):
            tokens = [EOS, *self.indices[ids].tolist()][: POSITIONS - 1]
            hidden_1TD = self.gpt2(torch.tensor([[*tokens, EOS]]))
            found.append(int((hidden_1TD[0, -1] @ self.weight_LD.T + self.bias_L).argmax()))
        return np.array(found, dtype=np.int64)


SENTENCE_PREDICTION = SentencePrediction()
