"""The registrar: importing this package registers its adapters with fairseq and does nothing else.

fairseq imports it through ``--user-dir fairseq_plugin``. Where fairseq is not installed, ``core`` and the
other rooms can still be imported, for use in any training loop.
"""

import logging
from importlib.util import find_spec

if find_spec("fairseq") is not None:
    # fairseq's text-to-speech asks everybody for tensorboardX, also the readers of our scripts' output.
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)

    from fairseq_plugin import bpe, criterions, models, optim, tasks  # noqa: F401
