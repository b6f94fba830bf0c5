"""Small prepared folders for tests."""

import importlib.util
from pathlib import Path

from fairseq_plugin.labelled.prepare import Request, prepare
from fairseq_plugin.labelled.rows import write_rows
from scripts.reviews import SPEC, make_reviews

SIZES = {"train": 300, "valid": 40, "test": 30}


def load_script(name):
    """One of our scripts as a module, to call its ``main`` many times in one process."""
    path = Path(__file__).resolve().parents[2] / "scripts" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_reviews(folder, sizes=None, seed=1):
    """``{split: path}`` of review files."""
    paths = {}
    for split, rows in make_reviews(sizes or SIZES, seed).items():
        paths[split] = str(folder / f"{split}.tsv")
        write_rows(paths[split], rows, SPEC)
    return paths


def request_for(folder, train, **changes):
    """A request for ``folder/prepared`` with a small byte-level codec."""
    fields = {"train": str(train), "to": str(folder / "prepared"), "codec": "bytes", "vocab_size": 300}
    return Request(**(fields | changes))


def prepare_reviews(folder, **changes):
    """Prepare the three review files; returns ``(prepared, path of the folder)``."""
    request = request_for(folder, **({**write_reviews(folder)} | changes))
    return prepare(request), folder / "prepared"


def write(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8", newline="")
    return str(folder / name)


def table(count, labels=("0", "1"), start=0):
    rows = [f"sentence number {n}\t{labels[n % len(labels)]}" for n in range(start, start + count)]
    return "sentence\tlabel\n" + "\n".join(rows) + "\n"
