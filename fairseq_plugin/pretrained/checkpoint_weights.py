"""A checkpoint's weights: do they belong to this model and this dictionary, and are they whole?"""

from collections.abc import Mapping

import torch

from fairseq_plugin.errors import UserError

NETWORK_PREFIX = "decoder.gpt2."
FINGERPRINT = "decoder.dictionary_fingerprint"


def require_same_dictionary(
    state: Mapping[str, torch.Tensor], own: torch.Tensor
) -> Mapping[str, torch.Tensor]:
    """Refuse a checkpoint of another dictionary, or of another tokenizer where both are known.

    Args:
        state: a checkpoint's weights.
        own: the data's dictionary fingerprint, int64 ``(5,)``.

    Returns:
        The weights with this fingerprint: an older checkpoint's has no numbers for the tokenizer.

    Raises:
        UserError: they differ.
    """
    saved = state.get(FINGERPRINT)
    if saved is None or saved.shape not in (own.shape, (3,)):
        return state  # not a checkpoint of ours: check_state says so
    agreed = {**state, FINGERPRINT: own}
    (*theirs, old_0, old_1), (*ours, new_0, new_1) = [*saved.tolist(), 0, 0][:5], own.tolist()
    mend = "give the data folder that it was trained on, or train a new model"
    if theirs[0] != ours[0]:
        raise UserError(
            f"the checkpoint's embedding has rows for {theirs[0]:,} symbols, the data's dictionary has "
            f"{ours[0]:,}; {mend}"
        )
    if theirs != ours:
        raise UserError(
            f"the checkpoint was trained with another dictionary of the same {ours[0]:,} symbols' length "
            f"(other symbols, or another order); {mend}"
        )
    if (old_0 or old_1) and (new_0 or new_1) and (old_0, old_1) != (new_0, new_1):
        raise UserError(
            "the checkpoint was trained with another tokenizer of the same size: its ids stand for other "
            f"texts; {mend}"
        )
    return agreed


def check_state(state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """Compare a checkpoint's weights with a model's.

    Args:
        state, expected: state dictionaries.

    Raises:
        UserError: another model, another size, or a weight that is not finite; names it.
    """
    if not any(name.startswith(NETWORK_PREFIX) for name in state):
        some = next(iter(state), "nothing")
        raise UserError(
            f"the checkpoint is of another model (it holds {some!r}); name one trained with --arch gpt2..."
        )
    for name in [*expected, *state]:
        if name not in state or name not in expected:
            where = "checkpoint" if name not in state else "model"
            raise UserError(f"the {where} has no {name!r}: the checkpoint is of another --arch or --n-layer")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise UserError(
                f"{name!r} has shape {tuple(tensor.shape)} in the checkpoint and "
                f"{tuple(expected[name].shape)} in the model: the checkpoint is of another --arch, --n-embd "
                "or --n-positions"
            )
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"the checkpoint's {name!r} holds NaN or infinite numbers: it is damaged or its training "
                "diverged; use an earlier one"
            )
