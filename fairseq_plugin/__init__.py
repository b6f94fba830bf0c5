"""The registrar: importing this package registers its adapters with fairseq and does next to nothing else.

fairseq imports it through ``--user-dir fairseq_plugin``. Where fairseq is not installed, ``core`` and the
other rooms can still be imported, for use in any training loop.
"""

import argparse
import logging
from importlib.util import find_spec

if find_spec("fairseq") is not None:
    # fairseq's text-to-speech asks everybody for tensorboardX, also the readers of our scripts' output.
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)

    import torch

    # fairseq saves the settings of its older architectures (--arch transformer) as an argparse.Namespace, and reads
    # checkpoints by torch.load, which has refused all but tensors and plain containers since torch 2.6: a model that
    # was just trained could not be read back. A Namespace is a bag of values; building one runs no code.
    torch.serialization.add_safe_globals([argparse.Namespace])

    from fairseq_plugin import bpe, criterions, models, optim, tasks  # noqa: F401
