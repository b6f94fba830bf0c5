"""MAUVE: how close the distribution of generated texts is to that of human ones (Pillutla et al., NeurIPS
2021).

As published: each text is one vector, the last hidden state of its last token under a language model (after
the final layer norm; here a GPT-2 folder read by our own network, so no further package is needed). The
vectors of both sides are scaled to length 1, reduced to the principal components that hold 90 % of their
variance, scaled again, and clustered together by k-means into a tenth as many clusters as one side has texts.
With the histograms P and Q over the clusters and R_w = w P + (1 - w) Q,

    divergence curve = { (exp(-c KL(Q | R_w)), exp(-c KL(P | R_w))) : w in (0, 1) },   c = 5

and MAUVE is the area under it, in (0, 1]: 1 for equal histograms. The authors used GPT-2 large and 5,000
texts a side; with few texts or a small feature model the number is only good for comparing systems within one
table.
"""

import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_plugin.corpus.folder import EOS
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.split_text import SplitText
from fairseq_plugin.evaluation.systems import load_folder

SCALING, POINTS, VARIANCE = 5.0, 25, 0.9
LEAST_TEXTS = 20
_RESTARTS, _ITERATIONS = 5, 500


class Features:
    """The vectors of texts under a feature model.

    Args:
        folder: a Hugging Face GPT-2 folder of the data's own tokenizer.
        text: for the dictionary.
        device: where to compute.
        batch: texts at once.
    """

    def __init__(
        self, folder: str | os.PathLike[str], text: SplitText, device: str = "cpu", batch: int = 32
    ) -> None:
        self._gpt2, self._batch = load_folder(folder, text, "--mauve").to(device), batch

    @torch.no_grad()
    def __call__(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Vectors ``(N, D)`` of texts, dictionary indices of which none is empty; only what fits is read."""
        longest = self._gpt2.config.n_positions
        device, vectors = self._gpt2.wte.weight.device, []
        starts = range(0, len(texts), self._batch)
        for begin in tqdm(starts, desc="MAUVE features", unit="batch", disable=None, leave=False):
            part = [indices[:longest] for indices in texts[begin : begin + self._batch]]
            tokens_BT = torch.full((len(part), max(map(len, part))), EOS)
            for place, indices in enumerate(part):
                tokens_BT[place, : len(indices)] = torch.tensor(indices)
            hidden_BTD = self._gpt2(tokens_BT.to(device))
            last_B = torch.tensor([len(indices) - 1 for indices in part], device=device)
            vectors.append(hidden_BTD[torch.arange(len(part), device=device), last_B].double().cpu())
        return torch.cat(vectors).numpy()


def mauve(features_p: NDArray[np.float64], features_q: NDArray[np.float64], seed: int = 1) -> float:
    """MAUVE of two sets of vectors.

    Args:
        features_p, features_q: ``(N, D)`` and ``(M, D)``.
        seed: of k-means.

    Returns:
        A number in (0, 1].

    Raises:
        UserError: too few texts for clusters to mean anything.
    """
    fewest = min(len(features_p), len(features_q))
    if fewest < LEAST_TEXTS:
        raise UserError(
            f"--mauve needs at least {LEAST_TEXTS} texts a side, there are {fewest}; raise --max-prefixes"
        )
    num_clusters = max(2, round(fewest / 10))
    labels = _cluster(np.concatenate([features_p, features_q]), num_clusters, seed)
    sides = labels[: len(features_p)], labels[len(features_p) :]
    p, q = (np.bincount(side, minlength=num_clusters) / len(side) for side in sides)
    return frontier_area(p, q)


def frontier_area(
    p: NDArray[np.float64], q: NDArray[np.float64], scaling: float = SCALING, points: int = POINTS
) -> float:
    """The area under the divergence curve of two histograms.

    Args:
        p, q: probabilities over the same clusters.
        scaling: c.
        points: how many mixtures w; evenly spread in (0, 1).
    """
    curve: list[tuple[float, float]] = [(0.0, 1.0), (1.0, 0.0)]
    for w in np.linspace(1e-6, 1 - 1e-6, points):
        r = w * p + (1 - w) * q
        curve.append((float(np.exp(-scaling * _kl(q, r))), float(np.exp(-scaling * _kl(p, r)))))
    x, y = np.array(sorted(curve, key=lambda point: (point[0], -point[1]))).T
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


def _kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """KL(p | q) in nats; q is positive wherever p is."""
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / q[there])))


def _cluster(features: NDArray[np.float64], num_clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    scaled = normalize(features)
    components = PCA(random_state=0).fit(scaled)
    kept = int(np.searchsorted(components.explained_variance_ratio_.cumsum(), VARIANCE)) + 1
    reduced = normalize(components.transform(scaled)[:, :kept])
    # scikit-learn's stub knows only the word "auto" for n_init.
    k_means = KMeans(num_clusters, n_init=_RESTARTS, max_iter=_ITERATIONS, random_state=seed)  # pyright: ignore[reportArgumentType]
    return k_means.fit_predict(reduced)
