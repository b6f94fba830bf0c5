"""How probable the model finds texts, given their labels: what ``fairseq-eval-lm`` adds up, text by text.

Legend: B texts of a batch, T positions, V vocabulary, N scored positions of a batch.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from fairseq_plugin.augment.label_model import LabelModel
from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS, index_of_id

_AT_ONCE = 1024  # positions of a batch, padding included
_UNSCORED = -100


def log_probabilities(model: LabelModel, examples: Sequence[tuple[int, str]]) -> list[float]:
    """log p(text and its end | label) of each example, under the model itself.

    Args:
        model: in evaluation mode.
        examples: label index and text, the text as preparation keeps it.

    Returns:
        Nats, <= 0, in the order of the examples; NaN for a text that the model cannot read: one that its
        tokenizer would change, or that is longer than its positions.

    Raises:
        UserError: the model's weights are damaged: it gives NaN.
    """
    indices, found = index_of_id(model.codec), [math.nan] * len(examples)
    items: dict[int, list[int]] = {}
    for number, ids in enumerate(model.codec.try_encode_batch([text for _, text in examples])):
        if ids is not None:
            items[number] = [*model.prompts[examples[number][0]], *indices[np.array(ids, int)].tolist(), EOS]
    readable = [number for number, item in items.items() if len(item) - 1 <= model.gpt2.config.n_positions]
    readable.sort(key=lambda number: len(items[number]))  # little padding
    for batch in _batches(readable, [len(items[number]) for number in readable]):
        starts = [len(model.prompts[examples[number][0]]) for number in batch]
        for number, value in zip(batch, _read(model, [items[n] for n in batch], starts), strict=True):
            if math.isnan(value):
                raise UserError(f"the model gives NaN to text {number} (from 0): its weights are damaged")
            found[number] = value
    return found


def _batches(numbers: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Consecutive numbers whose texts, padded to the longest, have at most ``_AT_ONCE`` positions."""
    batch: list[int] = []
    for number, length in zip(numbers, lengths, strict=True):  # ascending
        if batch and (len(batch) + 1) * length > _AT_ONCE:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


@torch.inference_mode()
def _read(model: LabelModel, items: Sequence[Sequence[int]], starts: Sequence[int]) -> list[float]:
    device = model.gpt2.wte.weight.device
    tokens_BT = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(item) for item in items], batch_first=True, padding_value=_UNSCORED
    )
    target_BT = tokens_BT[:, 1:].clone()
    for target_T, start in zip(target_BT, starts, strict=True):
        target_T[: start - 1] = _UNSCORED  # the prompt is given
    hidden_BTD = model.gpt2(tokens_BT[:, :-1].clamp(min=0).to(device))  # padding stands at the end
    examples_N, positions_N = (target_BT != _UNSCORED).nonzero(as_tuple=True)
    logits_NV = model.gpt2.logits(hidden_BTD[examples_N.to(device), positions_N.to(device)])
    losses_N = F.cross_entropy(logits_NV, target_BT[examples_N, positions_N].to(device), reduction="none")
    sums_B = torch.zeros(len(items), dtype=torch.float64).index_add_(0, examples_N, losses_N.double().cpu())
    return (-sums_B).tolist()
