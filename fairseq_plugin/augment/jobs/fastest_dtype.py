"""``--compute-dtype fastest``: the dtype that writes fastest here, of those that read real text as well.

Each dtype that works on the device writes a few sentences, in turns, and reads real ones. One that is not
clearly faster than fp32, or whose perplexity is more than a hundredth worse, is not taken. Clocks differ from
run to run, so what was found is remembered in a file: the same command goes on with the same dtype.
"""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from fairseq_plugin.augment.jobs.label_model import LabelModel, load_label_model
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.core.bf16 import why_not_bf16
from fairseq_plugin.core.int8 import why_not_int8
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.storage.sealed import read_sealed, write_sealed

FASTEST = "fastest"
RECORD = ".compute_dtype.json"
_PAYS = 1.1  # times as fast as fp32, which alone writes what a plain sampler would
_WORSE = 1.01  # times fp32's perplexity
_SENTENCES, _TOKENS, _TURNS = 64, 8, 3  # written in a turn, tokens of each; turns of each dtype
_TEXTS = 100  # read


@dataclass(frozen=True)
class Probe:
    """What one dtype did.

    Attributes:
        seconds: of its quickest turn.
        perplexity: a token's, over real sentences given their labels.
    """

    seconds: float
    perplexity: float


@dataclass(frozen=True)
class Choice:
    """The dtype to compute in, and what that rests on, by dtype."""

    dtype: str
    probes: dict[str, Probe]

    def __str__(self) -> str:
        plain = self.probes["fp32"]
        told = [
            f"{name} {plain.seconds / one.seconds:.2f} times as fast, perplexity {one.perplexity:.4g}"
            for name, one in self.probes.items()
            if name != "fp32"
        ]
        return f"computing in {self.dtype} (fp32: perplexity {plain.perplexity:.4g}; {'; '.join(told)})"


def remembered_choice(folder: Path, checkpoint: Path, data: Path, device: str = "cpu") -> Choice:
    """What an earlier run found in ``folder`` for this very checkpoint; else it is measured and remembered.

    Raises:
        UserError: see :func:`~fairseq_plugin.augment.jobs.label_model.load_label_model`.
    """
    path, of = folder / RECORD, {"checkpoint_sha256": sha256(checkpoint), "device": device}
    stated = read_sealed(path) if path.is_file() else None
    if stated is not None and {key: stated.get(key) for key in of} == of:
        return Choice(stated["dtype"], {name: Probe(**one) for name, one in stated["probes"].items()})
    found = fastest_dtype(checkpoint, data, device)
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(path, {**of, **asdict(found)})
    return found


def fastest_dtype(checkpoint: Path, data: Path, device: str = "cpu") -> Choice:
    """Measure; some seconds for a small network, half a minute for GPT-2 124M on two cores.

    Raises:
        UserError: see :func:`~fairseq_plugin.augment.jobs.label_model.load_label_model`.
    """
    models = {name: load_label_model(checkpoint, data, device, name) for name in _that_work(device)}
    seconds = dict.fromkeys(models, math.inf)
    for _ in range(_TURNS):
        for name, model in models.items():
            seconds[name] = min(seconds[name], _seconds(model))
    perplexities = {name: _perplexity(model, data) for name, model in models.items()}
    return choose({name: Probe(seconds[name], perplexities[name]) for name in models})


def choose(probes: dict[str, Probe]) -> Choice:
    """The fastest dtype that is clearly faster than fp32 and as good, else fp32."""
    plain = probes["fp32"]
    fit = {
        name: one.seconds
        for name, one in probes.items()
        if one.seconds * _PAYS < plain.seconds and one.perplexity <= plain.perplexity * _WORSE
    }
    return Choice(min(fit, key=lambda name: fit[name]) if fit else "fp32", probes)


def _that_work(device: str) -> list[str]:
    kind = torch.device(device).type
    reasons = {"fp32": None, "bf16": why_not_bf16(kind), "int8": why_not_int8(kind)}
    return [name for name, reason in reasons.items() if reason is None]


def _seconds(model: LabelModel) -> float:
    labels, prompts = len(model.prompts), model.prompts
    request = DecodingRequest(Sampling(), end=EOS, max_new=min(_TOKENS, model.room(0)), seed=0)
    pool = SamplePool(model.gpt2, request, max(map(len, prompts)))
    start = time.perf_counter()
    for _ in pool.run((prompt, range(label, _SENTENCES, labels)) for label, prompt in enumerate(prompts)):
        pass
    return time.perf_counter() - start


def _perplexity(model: LabelModel, data: Path) -> float:
    split = "valid" if "valid" in Manifest.load(data).splits else "train"
    labels, texts = zip(*read_texts(data, split)[:_TEXTS], strict=True)
    nats_N = BayesJudge.of(model, data).log_likelihoods(texts)[np.arange(len(texts)), labels]
    tokens = sum(len(ids) + 1 for ids in model.codec.encode_batch(texts))
    return float(np.exp(-nats_N.sum() / tokens))
