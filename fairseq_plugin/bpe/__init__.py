"""Tokenizers for ``--bpe``; importing this package registers them."""

import fairseq  # noqa: F401  (first: with it all adapters are registered)

from fairseq_plugin.bpe import exact  # noqa: F401
