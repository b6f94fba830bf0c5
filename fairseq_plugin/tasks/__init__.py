"""Adapters: fairseq tasks."""

from fairseq_plugin.tasks import conditional_augmentation, open_ended_generation  # noqa: F401
