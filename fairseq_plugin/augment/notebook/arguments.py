"""What the commands' flags are called as arguments of ``Augmenter``."""

from dataclasses import fields

from fairseq_plugin.augment.filters.options import FilterOptions

# --max-tokens is the training's, too, and that is no argument.
_FILTERS = {field.name for field in fields(FilterOptions)} - {"max_tokens"}
ARGUMENTS = {
    "gamma": "gamma",
    "seed": "seed",
    "from": "pretrained",
    "pretrained-model": "pretrained",
    "gpt2-bpe": "pretrained",
    "epochs": "epochs",
    "temperature": "temperature",
    "top-k": "top_k",
    "sampling-topk": "top_k",
    "top-p": "top_p",
    "sampling-topp": "top_p",
    "max-len": "max_len",
    "max-len-b": "max_len",
    "device": "device",
    "to": "folder",
    "per-label": "n",
    "text-column": "text_column",
    "label-column": "label_column",
    "valid": "valid",
    "allow-fewer": "allow_fewer=True",
    "most-tries": "most_tries",
    **{name.replace("_", "-"): name for name in _FILTERS},
    "overwrite": "overwrite=True",
}
