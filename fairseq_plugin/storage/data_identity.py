"""What a checkpoint keeps of the data it was trained on, to know them again: digests and labels' names."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from fairseq_plugin.errors import UserError

_MEND = "give the data folder that it was trained on, or train a new model"


def identity(
    symbols: Sequence[str],
    codec: bytes,
    files: Mapping[str, str],
    labels: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The identity of a prepared folder, as plain values for a checkpoint.

    Args:
        symbols: of the dictionary, in order.
        codec: digest of the tokenizer.
        files: ``{name: sha256}`` from the manifest.
        labels: what the model reads for each label, by name, in order; ``None``: data without labels.
    """
    found: dict[str, object] = {
        "vocabulary": digest([list(symbols), codec.hex()]),
        "files": digest(dict(sorted(files.items()))),
    }
    if labels is not None:
        found |= {"labels": digest(list(labels.items())), "label_names": list(labels)}
    return found


def check_identity(saved: object, own: Mapping[str, object]) -> str | None:
    """Refuse a checkpoint of other labels, or of another dictionary or tokenizer.

    Args:
        saved: what the checkpoint keeps, if anything.
        own: of the data at hand, from :func:`identity`. Other files are no reason: they may be new splits.

    Returns:
        One line to log where the checkpoint does not say, else ``None``.

    Raises:
        UserError: names both sets of labels.
    """
    if not isinstance(saved, Mapping) or not saved:
        return (
            "the checkpoint does not say which labels and symbols it was trained with (an older version, or "
            "another task, wrote it): make sure that they are those of the data"
        )
    # Another dictionary changes what the model reads for a label too: the names tell the two apart.
    same_names = saved.get("label_names", own.get("label_names")) == own.get("label_names")
    if same_names and saved.get("vocabulary", own["vocabulary"]) != own["vocabulary"]:
        raise UserError(f"the checkpoint was trained with another dictionary, or another tokenizer; {_MEND}")
    if saved.get("labels", own.get("labels")) != own.get("labels"):
        raise UserError(
            f"the checkpoint was trained with other labels: {_names(saved)}; the data's are {_names(own)}; "
            f"{_MEND}"
        )
    return None


def digest(value: object) -> str:
    """The SHA-256 of a plain value, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=True, sort_keys=False).encode()).hexdigest()


def _names(of: Mapping[str, object]) -> str:
    names = of.get("label_names")
    shown = [repr(name) for name in names[:6]] if isinstance(names, list) else ["none"]
    more = isinstance(names, list) and len(names) > 6
    # The same names can stand for other texts or prompts: the first digits tell.
    return f"{', '.join(shown)}{', ...' if more else ''} (digest {str(of.get('labels'))[:8]})"
