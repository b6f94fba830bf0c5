"""A GPT-2 and its tokenizer, from wherever a person has them: no fairseq, and nothing in the files is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.core.bf16 import writes_in_bf16
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.pretrained.hf_folder import load_weights, read_sizes
from fairseq_plugin.pretrained.network import forbid_symbols, load_network
from fairseq_plugin.pretrained.vocabulary import SPECIAL_SYMBOLS, read_symbols
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.checkpoints import read_checkpoint
from fairseq_plugin.storage.data_identity import check_identity, identity
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, check_dictionary, dictionary_ids
from fairseq_plugin.storage.dictionary import id_of_index as ids_of_indices
from fairseq_plugin.storage.dictionary import index_of_id as indices_of_ids
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.codec import load_codec

BEST = "checkpoint_best.pt"
_ELSEWHERE = ("data", "../data")  # from a checkpoint: of a saved model, of a run of imitate.sh


@dataclass(frozen=True)
class TextModel:
    """A network over a tokenizer's dictionary.

    Attributes:
        gpt2: in evaluation mode.
        codec: the tokenizer.
        checkpoint, data: where it came from; None of a Hugging Face folder.
    """

    gpt2: GPT2
    codec: Codec
    checkpoint: Path | None = None
    data: Path | None = None

    @property
    def positions(self) -> int:
        """The longest text, in tokens, the start counted in."""
        return self.gpt2.config.n_positions

    def encode(self, prompt: str) -> list[int]:
        """What the model reads: the start of a text, and the prompt.

        Raises:
            UserError: not valid Unicode.
        """
        indices = indices_of_ids(self.codec)
        return [EOS, *indices[self.codec.encode(prompt)].tolist()] if prompt else [EOS]

    def continuations(self, prompt: Sequence[int], request: DecodingRequest) -> list[str]:
        """What follows a prompt, as text; see :func:`~fairseq_plugin.sampling.decode.decode`.

        Raises:
            UserError: the model cannot decode this, or is damaged.
        """
        with addressed_to_the_user((FloatingPointError, ValueError)):
            (found,) = decode(self.gpt2, [prompt], [0], request)
        ids = ids_of_indices(self.codec)
        return [self.codec.decode(ids[one.tokens.numpy()].tolist()) for one in found]

    @classmethod
    def from_hf_folder(cls, folder: Path, device: str = "cpu") -> "TextModel":
        """A GPT-2 in Hugging Face's form.

        Raises:
            UserError: files are missing or damaged, or it is another kind of model.
        """
        codec = load_codec(folder)
        symbols = [*SPECIAL_SYMBOLS, *map(str, dictionary_ids(codec))]
        try:
            gpt2 = GPT2(GPT2Config(vocab_size=len(symbols), **read_sizes(folder)), _dtype(device))
            load_weights(folder, gpt2, symbols, EOS, end_id=codec.end_id, complete=True)
        except UserError as error:
            raise UserError(str(error).replace("--pretrained-model", "path")) from error
        forbid_symbols(gpt2, symbols, codec)
        return cls(gpt2.to(device).eval(), codec)

    @classmethod
    def from_checkpoint(cls, path: Path, data: Path | None, device: str = "cpu") -> "TextModel":
        """A checkpoint of ``fairseq-train``.

        Args:
            path: the file.
            data: the prepared text that it was trained on; None: the folder that the checkpoint names, or
                one beside it.
            device: where to compute.

        Raises:
            UserError: damaged, another model, or of another dictionary or tokenizer; no data.
        """
        data = data or _data_of(path)
        manifest = TextManifest.load(data)
        check_dictionary(data, manifest.files)
        codec, symbols = load_codec(data), read_symbols(data / DICTIONARY)
        network = load_network(path, symbols, codec, device, _dtype(device), "path")
        saved = (network.checkpoint.state.get("task_state") or {}).get("data")
        check_identity(saved, identity(symbols, codec.digest(), manifest.files))
        return cls(network.gpt2, codec, path.absolute(), data.absolute())


def _dtype(device: str) -> torch.dtype | None:
    return torch.bfloat16 if writes_in_bf16(device) else None


def _data_of(path: Path) -> Path:
    """The prepared text of a checkpoint."""
    section = read_checkpoint(path, "path")["cfg"].get("task")
    stated = section.get("data") if isinstance(section, Mapping) else None
    root = Path(__file__).resolve().parents[2]
    beside = [path.absolute().parent / place for place in _ELSEWHERE]
    named = [Path(stated), root / stated] if isinstance(stated, str) else []  # commands run in the repository
    for folder in [*named, *beside]:
        if (folder / MANIFEST).is_file():
            return folder
    raise UserError(
        f"{path} was trained on {stated or 'data that it does not name'}, which is not there; give "
        "data=FOLDER, the prepared text"
    )
