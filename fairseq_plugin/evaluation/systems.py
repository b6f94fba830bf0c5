"""The models that are compared: our fairseq checkpoints and Hugging Face GPT-2 folders, without fairseq."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.corpus.folder import EOS
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.split_text import SplitText
from fairseq_plugin.files import sha256
from fairseq_plugin.pretrained.hf_folder import load_weights, read_sizes
from fairseq_plugin.pretrained.network import forbid_symbols, load_network

_WEIGHTS = ("config.json", "*.safetensors", "pytorch_model*.bin")


@dataclass(frozen=True)
class System:
    """A model to evaluate.

    Attributes:
        name: short, for tables.
        path: where it was read from.
        sha256: of its files, to know its saved continuations again.
        gpt2: the network, in evaluation mode, over the data's dictionary.
    """

    name: str
    path: str
    sha256: str
    gpt2: GPT2


def name_systems(given: Iterable[str]) -> list[tuple[str, str]]:
    """Names and paths of what is given on the command line.

    ``NAME=PATH`` names a system; otherwise it is called by its file and the folder above.

    >>> name_systems(["runs/mle/checkpoint_best.pt", "sg=runs/sg/checkpoint_best.pt"])
    [('mle/checkpoint_best', 'runs/mle/checkpoint_best.pt'), ('sg', 'runs/sg/checkpoint_best.pt')]

    Raises:
        UserError: two systems of one name.
    """
    named: list[tuple[str, str]] = []
    for word in given:
        name, equals, path = word.partition("=")
        if not equals or Path(word).exists():
            path = word
            inside = Path(word).suffix in (".pt", ".jsonl", ".tsv", ".txt")
            parts = Path(word).with_suffix("").parts if inside else Path(word).parts
            name = "/".join(parts[-2:] if inside else parts[-1:])
        if not name or name == "human":
            raise UserError(f"{word}: a system needs a name other than {name!r}; write NAME={path}")
        if name in dict(named):
            raise UserError(f"two systems are called {name!r}; name one of them yourself: NAME={path}")
        named.append((name, path))
    return named


def load_system(
    name: str,
    path: str | os.PathLike[str],
    text: SplitText,
    device: str = "cpu",
    compute_dtype: torch.dtype | None = None,
) -> System:
    """Load a model over the dictionary of a text.

    Args:
        name: for tables.
        path: a fairseq checkpoint of ``--arch gpt2`` or another of its sizes, or a Hugging Face GPT-2 folder.
        text: the split, for its dictionary and tokenizer.
        device: where to compute.
        compute_dtype: ``torch.bfloat16`` for products in bfloat16; None for the weights' own.

    Raises:
        UserError: model and data do not go together, or files are missing or damaged.
    """
    path = Path(path)
    if path.is_dir():
        gpt2 = load_folder(path, text, "CHECKPOINT", compute_dtype)
        digest = _sha256_of_folder(path)
    else:
        network = load_network(path, text.symbols, text.codec, compute_dtype=compute_dtype)
        gpt2, digest = network.gpt2, network.sha256
    forbid_symbols(gpt2, text.symbols, text.codec)
    return System(name, str(path), digest, gpt2.to(device).eval())


def load_folder(
    path: str | os.PathLike[str], text: SplitText, flag: str, compute_dtype: torch.dtype | None = None
) -> GPT2:
    """The network of a Hugging Face GPT-2 folder over the dictionary of a text.

    Args:
        path: the folder.
        text: the split, for its dictionary and tokenizer.
        flag: what named the folder, for messages.
        compute_dtype: see :func:`load_system`.
    """
    try:
        gpt2 = GPT2(GPT2Config(vocab_size=len(text.symbols), **read_sizes(path)), compute_dtype)
        load_weights(path, gpt2, text.symbols, EOS, end_id=text.codec.end_id, complete=True)
    except UserError as error:
        raise UserError(
            str(error).replace("--pretrained-model", flag)
        ) from error  # the flag of fairseq-train
    return gpt2.eval()


def _sha256_of_folder(path: Path) -> str:
    digests = [f"{file.name} {sha256(file)}" for pattern in _WEIGHTS for file in sorted(path.glob(pattern))]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
