"""Samples that share their text so far, and how they part.

Legend: N samples of a branch (members), n new tokens of a text.
"""

from dataclasses import dataclass

import torch

from fairseq_plugin.core.prefix import Prefix

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """The samples of one branch that have drawn the same token.

    Args:
        token, score: what they drew, and its log probability (nats).
        ids_N: int64, their ids.
    """

    token: int
    score: float
    ids_N: torch.Tensor


@dataclass(frozen=True)
class Text:
    """What the samples of a branch have in common.

    Args:
        prompt: the first tokens.
        prefix: keys and values of the beginning: the prompt, and new tokens as far as they are kept.
        tokens_n, scores_n: the new tokens, and their log probabilities.
    """

    prompt: Prompt
    prefix: Prefix
    tokens_n: torch.Tensor
    scores_n: torch.Tensor


@dataclass(frozen=True)
class Branch:
    """A text, and the samples that all go on with the same token."""

    text: Text
    group: Group


class Waiting:
    """Branches without a slot, the latest to part first: depth first, so that few of them wait.

    Attributes:
        num_branches: how many.
        most: the most that there have been.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[Text, list[Group]]] = []
        self.num_branches = self.most = 0

    def push(self, text: Text, groups: list[Group]) -> None:
        """Let the groups of a text wait; the last one has its turn first."""
        if groups:
            self._stack.append((text, groups))
            self.num_branches += len(groups)
            self.most = max(self.most, self.num_branches)

    def pop(self) -> Branch:
        text, groups = self._stack[-1]
        group = groups.pop()
        if not groups:
            self._stack.pop()
        self.num_branches -= 1
        return Branch(text, group)


def part(ids_N: torch.Tensor, tokens_N: torch.Tensor, scores_N: torch.Tensor) -> list[Group]:
    """Put the samples that have drawn the same token together; the largest group comes last.

    Args:
        ids_N: int64, on the CPU.
        tokens_N, scores_N: what each has drawn.
    """
    tokens_N, order_N = tokens_N.sort(stable=True)
    tokens, counts = tokens_N.unique_consecutive(return_counts=True)
    first = counts.cumsum(0) - counts
    scores, parts = scores_N[order_N[first]].tolist(), ids_N[order_N].split(counts.tolist())
    groups = [Group(*one) for one in zip(tokens.tolist(), scores, parts, strict=True)]
    return sorted(groups, key=lambda group: len(group.ids_N))
