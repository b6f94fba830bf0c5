"""The generator as its own judge: how probable a text makes each label, by Bayes' rule.

    log p(text | label) = sum over its tokens and the end of log p(token | label's prompt, earlier tokens)
    p(label | text)     = p(text | label) p(label) / sum over labels of the same

The prior p(label) is the label's share of train. Nothing is estimated besides: no second model, no threshold.

Shape legend: N texts, L labels, B sequences of a batch, T tokens, D width, P scored positions.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_plugin.augment.jobs.label_model import LabelModel, load_label_model
from fairseq_plugin.core.cpu_products import fast_fp32_products
from fairseq_plugin.core.logits_in_pieces import logits_in_pieces
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.reports.display import short
from fairseq_plugin.storage.dictionary import EOS, index_of_id

SHOW_AFTER = 5  # seconds, of a bar
_TOKENS = {"cpu": 4096, "cuda": 65536}  # of a batch, padding included


class BayesJudge:
    """Tells the probability of each label of a text.

    Args:
        model: the label-conditioned model.
        counts: examples of each label in train, all > 0; their shares are the prior.
    """

    name = "this model (Bayes)"

    def __init__(self, model: LabelModel, counts: Sequence[int]) -> None:
        self._model = model
        self._log_prior_L = np.log(np.array(counts, dtype=np.float64) / sum(counts))
        self._indices = index_of_id(model.codec)
        # One cut for all labels: else a long text would be compared by another length under each.
        self._room = min(model.room(label) for label in range(len(model.prompts)))

    @classmethod
    def load(cls, path: str | Path, data: str | Path, device: str = "cpu") -> "BayesJudge":
        """Read the model.

        Args:
            path: a checkpoint of ``--task conditional_augmentation``.
            data: the prepared folder that it was trained on.
            device: where to compute.

        Raises:
            UserError: see :func:`~fairseq_plugin.augment.jobs.label_model.load_label_model`.
        """
        return cls.of(load_label_model(path, data, device), data)

    @classmethod
    def of(cls, model: LabelModel, data: str | Path) -> "BayesJudge":
        """For a model that is in memory, and the prepared folder that it was trained on."""
        return cls(model, [label.counts.get("train", 0) for label in Manifest.load(data).labels])

    def predict(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The most probable label of each text, ``(N,)``; of equal ones the first."""
        return self.probabilities(texts).argmax(axis=1)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """p(label | text), ``(N, L)``; each text's add up to 1.

        Raises:
            UserError: see :meth:`log_likelihoods`.
        """
        return self.posterior(self.log_likelihoods(texts))

    def posterior(self, log_likelihood_NL: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bayes' rule: log p(text | label) -> p(label | text), both ``(N, L)``."""
        joint_NL = log_likelihood_NL + self._log_prior_L
        joint_NL -= joint_NL.max(axis=1, keepdims=True, initial=-np.inf)
        probability_NL = np.exp(joint_NL)
        return probability_NL / probability_NL.sum(axis=1, keepdims=True)

    def reads_whole(self, texts: Sequence[str]) -> list[bool]:
        """Whether the tokenizer keeps each text as it is and the model has room for all of it and its end."""
        encoded = self._model.codec.try_encode_batch(texts)
        return [ids is not None and len(ids) < self._room for ids in encoded]

    def log_likelihoods(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """log p(text and its end | label) in nats, ``(N, L)``.

        Of a text that is longer than the model's positions after the longest prompt, what fits counts,
        without the end.

        Raises:
            UserError: a text that the tokenizer would alter, or a model whose outputs are not finite.
        """
        num_labels = len(self._model.prompts)
        pairs = [(number, label) for number in range(len(texts)) for label in range(num_labels)]
        return self.log_likelihoods_of(texts, pairs).reshape(len(texts), num_labels)

    @torch.no_grad()
    def log_likelihoods_of(
        self, texts: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> NDArray[np.float64]:
        """:meth:`log_likelihoods` of some pairs of a text's number and a label, one figure for each.

        Raises:
            UserError: see :meth:`log_likelihoods`.
        """
        encoded = self._model.codec.encode_batch(texts)
        targets = [[*self._indices[ids].tolist(), EOS][: self._room] for ids in encoded]
        found: dict[tuple[int, int], float] = {}
        device = self._model.gpt2.wte.weight.device.type
        with fast_fp32_products(device):
            batches = self._batches(targets, pairs, _TOKENS.get(device, _TOKENS["cpu"]))
            for batch in tqdm(batches, "judging", disable=None, delay=SHOW_AFTER, leave=False):
                found |= zip(batch, self._score(batch, targets), strict=True)
        for number, label in pairs:
            if not math.isfinite(found[number, label]):
                raise UserError(
                    f"the model gives NaN or no probability at all to {short(texts[number], 60)!r}: its "
                    "weights are damaged or its training diverged; use an earlier checkpoint"
                )
        return np.array([found[pair] for pair in pairs], dtype=np.float64)

    def _batches(
        self, targets: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]], most: int
    ) -> list[list[tuple[int, int]]]:
        """Pairs of text and label, those of about the same length together."""
        prompts = self._model.prompts
        lengths = {(number, label): len(prompts[label]) + len(targets[number]) for number, label in pairs}
        batches: list[list[tuple[int, int]]] = [[]]
        for pair in sorted(lengths, key=lambda pair: (lengths[pair], pair)):
            if (len(batches[-1]) + 1) * lengths[pair] > most and batches[-1]:  # the last is the longest
                batches.append([])
            batches[-1].append(pair)
        return [batch for batch in batches if batch]

    def _score(self, batch: Sequence[tuple[int, int]], targets: Sequence[Sequence[int]]) -> list[float]:
        """log p of each pair of text and label."""
        gpt2, prompts = self._model.gpt2, self._model.prompts
        read = [torch.tensor([*prompts[label], *targets[number][:-1]]) for number, label in batch]
        tokens_BT = torch.nn.utils.rnn.pad_sequence(read, batch_first=True, padding_value=EOS)
        hidden_BTD = gpt2(tokens_BT.to(gpt2.wte.weight.device))
        own = [len(targets[number]) for number, _ in batch]
        hidden_PD = torch.cat(
            [hidden_TD[len(one) - count : len(one)] for hidden_TD, one, count in zip(hidden_BTD, read, own)]
        )
        target_P = torch.tensor([token for number, _ in batch for token in targets[number]])
        target_P = target_P.to(hidden_PD.device)
        scores = [
            logits_PV.gather(1, target_P[start : start + len(logits_PV), None])[:, 0] - logits_PV.logsumexp(1)
            for start, logits_PV in logits_in_pieces(gpt2, hidden_PD)
        ]
        return [float(part.sum()) for part in torch.cat(scores).double().cpu().split(own)]
