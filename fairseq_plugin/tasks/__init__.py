"""Adapters: fairseq tasks."""

import fairseq  # noqa: F401  (first: with it all adapters are registered)

from fairseq_plugin.tasks import conditional_augmentation, open_ended_generation, table_rows  # noqa: F401
