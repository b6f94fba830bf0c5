"""A checkpoint's weights: do they belong to this model and this dictionary, and are they whole?"""

import torch

from fairseq_plugin.errors import UserError

NETWORK_PREFIX = "decoder.gpt2."
FINGERPRINT = "decoder.dictionary_fingerprint"


def require_same_dictionary(saved, own):
    """Refuse a checkpoint of another dictionary.

    Args:
        saved, own: dictionary fingerprints as tensors, of checkpoint and data; ``saved`` may be ``None``.

    Raises:
        UserError: they differ.
    """
    if saved is None or saved.shape != own.shape:
        return  # no checkpoint of ours: check_state says so
    saved, own = saved.tolist(), own.tolist()
    mend = "give the data folder that it was trained on, or train a new model"
    if saved[0] != own[0]:
        raise UserError(
            f"the checkpoint's embedding has rows for {saved[0]:,} symbols, the data's dictionary has "
            f"{own[0]:,}; {mend}"
        )
    if saved != own:
        raise UserError(
            f"the checkpoint was trained with another dictionary of the same {own[0]:,} symbols' length "
            f"(other symbols, or another order); {mend}"
        )


def check_state(state, expected):
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
                f"{tuple(expected[name].shape)} in the "
                "model: the checkpoint is of another --arch, --n-embd or --n-positions"
            )
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"the checkpoint's {name!r} holds NaN or infinite numbers: it is damaged or its training "
                "diverged; "
                "use an earlier one"
            )
