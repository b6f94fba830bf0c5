"""The model that writes sentences for labels, with the data that it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.core.int8 import why_not_int8
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.pretrained.network import DTYPES, load_network
from fairseq_plugin.pretrained.vocabulary import read_symbols
from fairseq_plugin.storage.data_identity import check_identity, identity
from fairseq_plugin.storage.dictionary import DICTIONARY, EOS, check_dictionary
from fairseq_plugin.text.codec import Codec, load_codec

TASK = "conditional_augmentation"


@dataclass(frozen=True)
class LabelModel:
    """A network over a prepared folder.

    Attributes:
        gpt2: in evaluation mode.
        symbols: of the dictionary, in order.
        prompts: token indices before the first token of a sentence, by label.
        codec: the data's tokenizer.
        sha256: of the checkpoint.
        note: what could not be checked, in a line; or None.
    """

    gpt2: GPT2
    symbols: list[str]
    prompts: list[list[int]]
    codec: Codec
    sha256: str
    note: str | None

    def room(self, label: int) -> int:
        """The most new tokens after a label's prompt.

        Raises:
            UserError: there is none.
        """
        positions, length = self.gpt2.config.n_positions, len(self.prompts[label])
        if positions <= length:
            raise UserError(
                f"a prompt of {length} tokens leaves no room in the model's {positions} positions"
            )
        return positions - length


def load_label_model(
    path: str | Path, data: str | Path, device: str = "cpu", compute_dtype: str | None = None
) -> LabelModel:
    """Read a checkpoint of ``--task conditional_augmentation`` and hold it against its data.

    Args:
        path: the checkpoint.
        data: the prepared folder that it was trained on.
        device: where to compute.
        compute_dtype: ``"fp32"``, ``"bf16"`` or ``"int8"``; None: as it was trained.

    Raises:
        UserError: no int8 here, damaged, of another task, or of other data.
    """
    if compute_dtype == "int8" and (reason := why_not_int8(torch.device(device).type)):
        raise UserError(f"--compute-dtype int8: {reason}; leave it out, or give another")
    manifest, codec = Manifest.load(data), load_codec(data)
    check_dictionary(data, manifest.files)
    symbols = read_symbols(Path(data) / DICTIONARY)
    dtype = "as_trained" if compute_dtype is None else DTYPES[compute_dtype]
    network = load_network(path, symbols, codec, device, dtype, "--path")
    checkpoint = network.checkpoint
    section = checkpoint.config.get("task")
    task = section.get("_name", TASK) if isinstance(section, Mapping) else TASK
    if task != TASK:
        raise UserError(f"--path {path} was trained with --task {task}, not {TASK}: give one of that task")
    labels = {label.name: [label.text, label.prompt] for label in manifest.labels}
    saved = (checkpoint.state.get("task_state") or {}).get("data")
    note = check_identity(saved, identity(symbols, codec.digest(), manifest.files, labels))
    prompts = [[EOS, *label.prompt] for label in manifest.labels]
    return LabelModel(network.gpt2, symbols, prompts, codec, network.sha256, note)
