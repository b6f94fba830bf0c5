"""fairseq models: importing this registers ``--arch gpt2`` and its sizes."""

import fairseq  # noqa: F401  (first: with it all adapters are registered)

from fairseq_plugin.models import gpt2  # noqa: F401
