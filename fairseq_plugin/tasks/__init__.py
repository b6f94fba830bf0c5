"""Adapters: fairseq tasks."""

from fairseq_plugin.tasks import conditional_augmentation  # noqa: F401
