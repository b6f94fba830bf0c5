"""What our tasks have in common: batches made in the main process, prompts and ids out of a batch."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.tasks.before_generation import ChecksBeforeGeneration
from fairseq_plugin.tasks.typed_lines import TypedLines

logger = logging.getLogger(__name__)


class Prompted(ChecksBeforeGeneration):
    """A mixin for tasks whose ``self.prompts_asked`` are the prompts of ``fairseq-generate``, if it runs."""

    prompts_asked = None
    target_dictionary: Any  # of the task

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed = TypedLines()  # of fairseq-interactive
        self.shard, self.num_expected = [0, 1], 0
        self._told: set[str] = set()

    @plain_errors()
    def get_batch_iterator(self, dataset: Any, **kwargs: Any) -> Any:
        """As in fairseq, without worker processes; for prompts, note how many samples this shard will hold.

        Examples come from a memory-mapped file: a worker only adds its start, and with batches made anew for
        every epoch fairseq would start new ones each time and wait for the old ones to time out.
        """
        if kwargs.pop("num_workers", 0):
            self.tell_once(
                "--num-workers is not used: batches are made in the main process, which takes no time"
            )
        check_max_tokens(kwargs.get("max_tokens"), int(np.max(dataset.sizes, initial=0)))
        iterator = super().get_batch_iterator(dataset, num_workers=0, **kwargs)  # type: ignore[misc]
        if dataset is self.prompts_asked:
            shard, shards = kwargs.get("shard_id", 0), kwargs.get("num_shards", 1)
            self.shard = [shard, shards]
            self.num_expected = sum(map(len, iterator.frozen_batches[shard::shards]))
        return iterator

    def prompts_of(self, sample: Mapping[str, Any]) -> tuple[list[list[int]], list[int]]:
        """Prompts of a batch without padding, and the ids that key the random numbers."""
        lengths = sample["net_input"]["src_lengths"].tolist()
        padded = sample["net_input"]["src_tokens"].tolist()
        prompts = [tokens[:length] for tokens, length in zip(padded, lengths)]
        if "start_indices" in sample:  # a split of labelled examples: keep only their labels
            prompts = [tokens[: 1 + start] for tokens, start in zip(prompts, sample["start_indices"])]
        if "id" in sample:
            return prompts, sample["id"].tolist()
        return prompts, [self.typed.number(prompt) for prompt in prompts]

    def symbols_of(self, tokens: torch.Tensor) -> str:
        """The dictionary's symbols of token indices, joined by spaces, without ``</s>``."""
        symbols, end = self.target_dictionary.symbols, self.target_dictionary.eos()
        return " ".join(symbols[index] for index in tokens.tolist() if index != end)

    def tell_once(self, message: str) -> None:
        """Log a message the first time it comes."""
        if message not in self._told:
            logger.info(message)
            self._told.add(message)


def check_max_tokens(max_tokens: int | None, longest: int) -> None:
    """Refuse batches that cannot hold the longest example or sample, which fairseq only asserts.

    Raises:
        UserError: naming the flag.
    """
    if max_tokens and longest > max_tokens:
        raise UserError(
            f"--max-tokens {max_tokens} is less than the longest example's {longest} tokens: "
            f"give at least --max-tokens {longest}"
        )


def continue_all(generator: Any, prompts: list[list[int]], ids: list[int]) -> list[list[dict[str, Any]]]:
    """Hypotheses of a generator, per prompt, best first.

    Raises:
        UserError: a damaged model.
    """
    try:
        return generator.generate(prompts, ids)
    except FloatingPointError as error:
        raise UserError(f"samples {ids[:10]}: {error}") from error


def put_before(beginning: Sequence[int], found: Sequence[dict[str, Any]]) -> None:
    """Make a beginning that the user gave part of each hypothesis; it is certain, not scored."""
    for one in found:
        given = torch.tensor(beginning, device=one["tokens"].device, dtype=one["tokens"].dtype)
        scores = one["positional_scores"]
        one["tokens"] = torch.cat([given, one["tokens"]])
        one["positional_scores"] = torch.cat([scores.new_zeros(len(given)), scores])
