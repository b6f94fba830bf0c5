"""Losses for ``--criterion``; importing this package registers them."""

import fairseq  # noqa: F401  (first: with it all adapters are registered)

from fairseq_plugin.criterions import (  # noqa: F401
    contrastive_token,
    ditto,
    scale_grad,
    unlikelihood,
)
