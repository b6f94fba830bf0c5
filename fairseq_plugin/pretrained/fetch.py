"""A model's name on the Hugging Face hub into a local folder, once; nothing else here needs a network."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import CONFIG_NAME, HFConfig
from fairseq_plugin.pretrained.hf_folder import read_folder
from fairseq_plugin.pretrained.new_folder import new_folder
from fairseq_plugin.pretrained.tensor_files import INDEX, PICKLED, PICKLED_INDEX, SAFETENSORS

_TOKENIZER = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
_FILES = (CONFIG_NAME, "generation_config.json", SAFETENSORS, INDEX, "model-*-of-*.safetensors", *_TOKENIZER)
_OLD_FILES = (PICKLED, PICKLED_INDEX, "pytorch_model-*-of-*.bin")


def fetch(name: str, to: str | Path, revision: str | None = None) -> tuple[HFConfig, str]:
    """Fetch a GPT-2 and check it before it appears under its final name.

    Args:
        name: on the hub, as ``gpt2`` or ``someone/their-gpt2``.
        to: the folder to make; nothing may be there.
        revision: branch, tag or commit; ``None``: the newest.

    Returns:
        The model's config, and what is known of the files that were read, in half a sentence.

    Raises:
        UserError: no network, no such model, or not a GPT-2 that our network computes.
    """
    with new_folder(to) as folder:
        _download(name, folder, revision, _FILES)
        if not (folder / SAFETENSORS).is_file() and not (folder / INDEX).is_file():
            _download(name, folder, revision, _OLD_FILES)  # old repositories; read with weights_only
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
        config, tensors = read_folder(folder)
        for tensor_name in tensors:
            tensors[tensor_name]  # finds NaN now, not when training starts
        return config, tensors.provenance()


def _download(name: str, folder: Path, revision: str | None, patterns: Sequence[str]) -> None:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError("fetching needs the package huggingface_hub; run scripts/setup_env.sh") from error
    try:
        snapshot_download(name, revision=revision, local_dir=folder, allow_patterns=list(patterns))
    except Exception as error:  # dozens of kinds, from the hub, from HTTP and from sockets
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"cannot fetch {name!r} from the Hugging Face hub ({type(error).__name__}: {reason}); check "
            "the name and the network, or run the same command on a machine that has one and copy the folder "
            "here"
        ) from error
