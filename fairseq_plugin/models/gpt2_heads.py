"""Classification heads of our GPT-2, for fairseq's own ``sentence_prediction``.

Legend: B batch, T time, D width, C classes.

    logits_BC = W_CD dropout(hidden of the text's last token) + b_C

Causal attention lets only the last token see the whole text, so its state stands for the text (Radford et al.
2018, section 3.2).
"""

import logging
import re
from collections.abc import Mapping

import torch
import torch.nn as nn
from fairseq.data import Dictionary

from fairseq_plugin.core.dropout import Dropout
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.checkpoint_weights import FINGERPRINT, NETWORK_PREFIX

logger = logging.getLogger(__name__)

# fairseq's sentence_prediction and masked_lm put it behind the dictionary's own symbols.
ADDED_SYMBOL = "<mask>"
_PREFIX = "classification_heads."
_TABLE = NETWORK_PREFIX + "wte.weight"


class ClassificationHead(nn.Module):
    """Dropout and a linear layer.

    Args:
        width: D, of the hidden states.
        num_classes: C, >= 1; 1 for a regression.
        dropout: probability in [0, 1).
    """

    def __init__(self, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.drop = Dropout(dropout)
        self.out = nn.Linear(width, num_classes)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden_BD: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, C)``."""
        return self.out(self.drop(hidden_BD).to(self.out.weight.dtype))


def last_token_hidden(hidden_BTD: torch.Tensor, tokens_BT: torch.Tensor, pad: int) -> torch.Tensor:
    """The hidden state of each text's last token that is not padding, ``(B, D)``; padding on either side."""
    last_B = tokens_BT.shape[1] - 1 - tokens_BT.ne(pad).flip(1).int().argmax(1)
    return hidden_BTD.gather(1, last_B.view(-1, 1, 1).expand(-1, 1, hidden_BTD.shape[2])).squeeze(1)


def symbols_of_data(dictionary: Dictionary) -> list[str]:
    """The dictionary's symbols without the one that fairseq's ``sentence_prediction`` adds behind them."""
    symbols = dictionary.symbols
    return symbols[:-1] if symbols[-1:] == [ADDED_SYMBOL] else symbols


def adapt_state(
    state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Fit a checkpoint of the same dictionary to a model with other heads, or with the added symbol.

    Args:
        state: a checkpoint's weights.
        own: the model's.

    Returns:
        A copy of ``state`` in which the model's heads that it lacks are as new, heads that the model lacks
        are left out, and padding of the embedding table is added or removed.

    Raises:
        UserError: a head of another size; names it.
    """
    if not any(name.startswith(NETWORK_PREFIX) for name in state) or FINGERPRINT not in state:
        return state  # another model's: the check that follows says so
    state = dict(state)
    table, own_table = state.get(_TABLE), own.get(_TABLE)  # one that is made of parts has other names
    height = 0 if own_table is None else own_table.shape[0]
    if height and table is not None and table.dim() == 2 and table.shape[0] != height:
        missing = max(height - table.shape[0], 0)
        state[_TABLE] = nn.functional.pad(table[:height], (0, 0, 0, missing))
    saved, known = _heads(state), _heads(own)
    for head in sorted(saved - known):
        logger.warning(
            "the checkpoint's classification head %r is left out: the model has no such head", head
        )
        for name in [name for name in state if name.startswith(f"{_PREFIX}{head}.")]:
            del state[name]
    for head in sorted(known - saved):
        logger.info("classification head %r is new: the checkpoint has none of this name", head)
        state |= {name: value for name, value in own.items() if name.startswith(f"{_PREFIX}{head}.")}
    for head in sorted(known & saved):
        name = f"{_PREFIX}{head}.out.weight"
        if state[name].shape != own[name].shape:
            classes = state[name].shape[0]
            raise UserError(
                f"the checkpoint's classification head {head!r} has {classes} classes, the model's "
                f"{own[name].shape[0]}: give --num-classes {classes}, or another --classification-head-name "
                "for a new head"
            )
    return state


def require_name(name: str) -> None:
    """Refuse a head's name that cannot be part of a weight's name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UserError(
            f"--classification-head-name {name!r}: letters, digits, '_' and '-' only, and at least one"
        )


def _heads(state: Mapping[str, torch.Tensor]) -> set[str]:
    return {name.split(".")[1] for name in state if name.startswith(_PREFIX)}
