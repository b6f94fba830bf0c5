"""Losses for ``--criterion``; importing this package registers them."""

from fairseq_plugin.criterions import contrastive_token, scale_grad, unlikelihood  # noqa: F401
