"""Losses for ``--criterion``; importing this package registers them."""

from fairseq_plugin.criterions import scale_grad, unlikelihood  # noqa: F401
