"""Imports run downwards only, and the layers below the adapters do not need fairseq."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

# A file may import files of its own folder and of layers with a smaller number, nothing else of ours.
LAYERS = {
    "core": 0,
    "errors": 0,
    "python_names": 0.2,
    "files": 0.5,
    "extras": 0.5,
    "checksums": 0.7,
    "sampling": 1,
    "text": 1,
    "storage": 2,
    "labelled": 3,
    "corpus": 3,
    "datasets": 3,
    "pretrained": 3,
    "reports": 4,
    "stages": 4,
    "jobs": 4.2,
    "tables": 4.5,
    "augment": 5,
    "evaluation": 5,
    "synthesis": 5.5,
    "imitation": 5.5,
    "bpe": 6,
    "criterions": 6,
    "models": 6,
    "optim": 6,
    "tasks": 6,
    "__init__": 7,
}
ADAPTERS = {name for name, layer in LAYERS.items() if layer == 6}
IMPORT_FAIRSEQ = ADAPTERS | {"datasets"}
PURE = {
    "core": {"torch"},
    "sampling": {"torch"},
    "errors": set(),
    "files": set(),
    "checksums": set(),
}  # what else than the standard library


def imports_of(source, package):
    """Yield the dotted name of every import, in functions too. ``package`` resolves relative ones."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(parents + ([base] if base else []))
            # "from fairseq_plugin import files" names a module, "from fairseq_plugin.files import sha256"
            # a thing in one
            for alias in node.names:
                yield f"{base}.{alias.name}" if base == "fairseq_plugin" else base


def faults(path, source):
    """What an import of this file breaks, in words. ``path`` is relative to fairseq_plugin/."""
    path = Path(path)
    room = path.parts[0].removesuffix(".py")
    if room not in LAYERS:
        return [f"{path}: {room!r} has no layer; give it one in {Path(__file__).name}"]
    package = ".".join(["fairseq_plugin", *path.parts[:-1]])
    found = []
    for name in imports_of(source, package):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top in ("scripts", "tests", "benchmarks"):
            found.append(f"{path} imports {name}: the package does not know what stands above it")
        elif top == "fairseq_plugin":
            if not target:
                found.append(f"{path} imports the registrar")
            elif target != room and LAYERS.get(target, 9) >= LAYERS[room]:
                found.append(f"{path} imports {name}: {target} does not lie below {room}")
        elif top == "fairseq":
            if room not in IMPORT_FAIRSEQ:
                found.append(f"{path} imports fairseq")
        elif room in PURE and top not in sys.stdlib_module_names and top not in PURE[room]:
            found.append(f"{path} imports {name}: {room} is torch and the standard library at most")
    return found


def test_imports_run_downwards_only(repo_root):
    package = repo_root / "fairseq_plugin"
    files = sorted(package.rglob("*.py"))
    assert len(files) > 10
    assert [
        fault for path in files for fault in faults(path.relative_to(package), path.read_text("utf-8"))
    ] == []


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("core/loss.py", "from fairseq import utils", "imports fairseq"),
        ("core/loss.py", "def f():\n    import numpy", "torch and the standard library"),
        ("core/loss.py", "from fairseq_plugin.text.codec import load_codec", "does not lie below"),
        ("text/codec.py", "from ..labelled import rows", "does not lie below"),
        ("models/gpt2.py", "from fairseq_plugin.criterions import scale_grad", "does not lie below"),
        ("models/gpt2.py", "from fairseq_plugin import criterions", "does not lie below"),
        ("labelled/binary.py", "import fairseq.data", "imports fairseq"),
        ("labelled/rows.py", "def f():\n    import fairseq.data", "imports fairseq"),
        ("tasks/a.py", "import fairseq_plugin", "registrar"),
        ("reports/a.py", "from tests.reference import x", "stands above"),
        ("attic/a.py", "", "has no layer"),
    ],
)
def test_the_walk_sees_a_forbidden_import(path, source, fault):
    assert fault in faults(path, source)[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "core/loss.py",
            "import math\nimport torch.nn as nn\nfrom . import gpt2\nfrom fairseq_plugin.core import gpt2",
        ),
        (
            "models/gpt2.py",
            "from fairseq.models import x\nfrom ..core.gpt2 import GPT2\nfrom fairseq_plugin.errors import y",
        ),
    ],
)
def test_the_walk_lets_a_good_import_pass(path, source):
    assert faults(path, source) == []


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("fairseq", "fairseq_cli"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
import importlib, pkgutil, importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "fairseq" else real(name, package)
sys.path.insert(0, sys.argv[1])
import fairseq_plugin
names = []
for room in sys.argv[2:]:
    module = importlib.import_module("fairseq_plugin." + room)
    names.append(module.__name__)
    for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
        names.append(importlib.import_module(module.__name__ + "." + found.name).__name__)
assert not [name for name in sys.modules if name.partition(".")[0] == "fairseq"]
print(len(names))
"""


def test_everything_below_the_adapters_imports_without_fairseq(repo_root, tmp_path):
    """In a process where fairseq cannot be found, as in somebody's own training loop."""
    rooms = [name for name in LAYERS if name not in IMPORT_FAIRSEQ | {"__init__"}]
    rooms = [name for name in rooms if list((repo_root / "fairseq_plugin").glob(f"{name}*"))]
    done = subprocess.run(
        [sys.executable, "-I", "-c", BLOCK, repo_root, *rooms], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len(rooms)
