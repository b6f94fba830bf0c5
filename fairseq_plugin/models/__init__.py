"""fairseq models: importing this registers ``--arch gpt2`` and its sizes."""

from fairseq_plugin.models import gpt2  # noqa: F401
