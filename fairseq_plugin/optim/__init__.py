"""``--optimizer`` and ``--lr-scheduler``; importing this package registers them."""

import fairseq  # noqa: F401  (first: with it all adapters are registered)

from fairseq_plugin.optim import fused_adamw, timed_cosine  # noqa: F401
