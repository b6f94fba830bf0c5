"""``--optimizer`` and ``--lr-scheduler``; importing this package registers them."""

from fairseq_plugin.optim import fused_adamw, timed_cosine  # noqa: F401
