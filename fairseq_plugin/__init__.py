"""The registrar: importing this package registers its adapters with fairseq and does nothing else.

fairseq imports it through ``--user-dir fairseq_plugin``. Where fairseq is not installed, ``core`` and the
other rooms can still be imported, for use in any training loop.
"""

from importlib.util import find_spec

if find_spec("fairseq") is not None:
    from fairseq_plugin import bpe, criterions, models, optim, tasks  # noqa: F401
