"""The registrar: importing this package registers its adapters with fairseq and does next to nothing else.

fairseq imports it through ``--user-dir fairseq_plugin``. Importing fairseq takes seconds, and it talks while
it is imported: where it has not been imported yet, the adapters are registered as soon as it is. So notebooks
and the rooms (``core`` and others, which work without fairseq) do not wait for it. Our own scripts use only
the rooms: nothing is registered there.
"""

import argparse
import logging
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
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


def _register() -> None:
    import torch

    # fairseq saves the settings of its older architectures (--arch transformer) as an argparse.Namespace, and
    # reads checkpoints by torch.load, which has refused all but tensors and plain containers since torch 2.6:
    # a model that was just trained could not be read back. A Namespace is a bag of values; building one runs
    # no code.
    torch.serialization.add_safe_globals([argparse.Namespace])

    from fairseq_plugin import bpe, criterions, models, optim, tasks  # noqa: F401


class _ThenRegister(Loader):
    """Loads fairseq as its own loader does, and registers the adapters when it is whole."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._own  # whoever asks fairseq for its files
        # fairseq's text-to-speech asks everybody for tensorboardX.
        logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)
        # Some module of fairseq turns every library's debugging lines on (basicConfig at DEBUG); a notebook
        # that imports us keeps its own setting.
        root = logging.getLogger()
        level, handlers = root.level, list(root.handlers)
        self._own.exec_module(module)
        _register()
        root.setLevel(level)
        root.handlers[:] = handlers


class _WaitForFairseq(MetaPathFinder):
    """Is asked for every import until fairseq is imported, and steps aside then."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "fairseq" or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = find_spec("fairseq")
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenRegister(spec.loader)
        return spec


if not _in_script_of_ours():
    if "fairseq" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _WaitForFairseq())


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
