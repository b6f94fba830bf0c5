"""The registrar: importing this package registers its adapters with fairseq and does next to nothing else.

fairseq imports it through ``--user-dir fairseq_plugin``. Where fairseq is not installed, ``core`` and the
other rooms can still be imported, for use in any training loop. Our own scripts use only the rooms, so
nothing is registered there: importing fairseq takes seconds, and it talks while it is imported.
"""

import argparse
import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairseq_plugin.augment.notebook.augmenter import Augmenter
    from fairseq_plugin.imitation.generator import TextGenerator
    from fairseq_plugin.synthesis.table import Table

__all__ = ["Augmenter", "Table", "TextGenerator"]


def _in_script_of_ours() -> bool:
    """Whether the running program is a file of the folder ``scripts`` beside this package."""
    program = getattr(sys.modules["__main__"], "__file__", None)
    scripts = Path(__file__).resolve().parents[1] / "scripts"
    return program is not None and Path(program).resolve().parent == scripts


if find_spec("fairseq") is not None and not _in_script_of_ours():
    # fairseq's text-to-speech asks everybody for tensorboardX, also the readers of our scripts' output.
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)

    import torch

    # fairseq saves the settings of its older architectures (--arch transformer) as an argparse.Namespace, and
    # reads checkpoints by torch.load, which has refused all but tensors and plain containers since torch 2.6:
    # a model that was just trained could not be read back. A Namespace is a bag of values; building one runs
    # no code.
    torch.serialization.add_safe_globals([argparse.Namespace])

    # Some module of fairseq turns every library's debugging lines on (basicConfig at DEBUG); a notebook that
    # imports us keeps its own setting.
    _root = logging.getLogger()
    _level, _handlers = _root.level, list(_root.handlers)

    from fairseq_plugin import bpe, criterions, models, optim, tasks  # noqa: F401

    _root.setLevel(_level)
    _root.handlers[:] = _handlers


def __getattr__(name: str) -> Any:
    """``from fairseq_plugin import Augmenter, Table, TextGenerator``: for notebooks, read when asked for."""
    if name == "Augmenter":
        from fairseq_plugin.augment.notebook.augmenter import Augmenter

        return Augmenter
    if name == "Table":
        from fairseq_plugin.synthesis.table import Table

        return Table
    if name == "TextGenerator":
        from fairseq_plugin.imitation.generator import TextGenerator

        return TextGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
