"""Optimizers for ``--optimizer``; importing this package registers them."""

from fairseq_plugin.optim import fused_adamw  # noqa: F401
