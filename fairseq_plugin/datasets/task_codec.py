"""The tokenizer behind a fairseq task's dictionary."""

from pathlib import Path
from typing import Any

from fairseq import utils

from fairseq_plugin.text.base import META, Codec
from fairseq_plugin.text.codec import load_codec


def codec_of(task: Any) -> Codec | None:
    """The tokenizer of a task's data: the task knows, or its folder holds it; None elsewhere."""
    if hasattr(task, "codec"):
        return task.codec
    settings = getattr(task, "args", None) or getattr(task, "cfg", None)  # fairseq's older tasks, and newer
    folder = utils.split_paths(getattr(settings, "data", None) or "")[0]
    return load_codec(folder) if folder and (Path(folder) / META).is_file() else None
