"""Samples that share their text so far, and how they part.

Legend: N samples of a branch, M samples of several branches (members), n new tokens of a text.

Here and in the slots a tensor's length is ``numel()``: ``len`` of a tensor is Python, ten times as slow.
"""

from collections.abc import Sequence
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
        first_id: the first of them.
    """

    token: int
    score: float
    ids_N: torch.Tensor
    first_id: int


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


def part(
    ids_M: torch.Tensor, tokens_M: torch.Tensor, scores_M: torch.Tensor, sizes: Sequence[int]
) -> list[list[Group]]:
    """Put the samples of each branch that have drawn the same token together; its largest group comes last.

    Args:
        ids_M: int64, on the CPU; the samples of one branch one behind the other.
        tokens_M, scores_M: what each has drawn.
        sizes: how many samples each branch has.
    """
    branch_M = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    key_M, order_M = (branch_M * (tokens_M.max() + 1) + tokens_M).sort(stable=True)
    counts = key_M.unique_consecutive(return_counts=True)[1]
    first = order_M[counts.cumsum(0) - counts]
    parts, firsts = ids_M[order_M].split(counts.tolist()), ids_M[first].tolist()
    groups: list[list[Group]] = [[] for _ in sizes]
    found = zip(tokens_M[first].tolist(), scores_M[first].tolist(), parts, firsts, strict=True)
    for branch, one in zip(branch_M[first].tolist(), found, strict=True):
        groups[branch].append(Group(*one))
    return [sorted(own, key=lambda group: group.ids_N.numel()) for own in groups]
