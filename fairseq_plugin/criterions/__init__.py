"""Losses for ``--criterion``; importing this package registers them."""

from fairseq_plugin.criterions import (  # noqa: F401
    contrastive_token,
    ditto,
    scale_grad,
    unlikelihood,
)
