"""Tokenizers for ``--bpe``; importing this package registers them."""

from fairseq_plugin.bpe import exact  # noqa: F401
