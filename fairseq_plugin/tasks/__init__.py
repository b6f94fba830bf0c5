"""Adapters: fairseq tasks."""

from fairseq_plugin.tasks import conditional_augmentation, open_ended_generation, table_rows  # noqa: F401
