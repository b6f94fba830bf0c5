"""What the configuration in a checkpoint may name: nothing that runs code when fairseq builds it.

fairseq builds the model that a checkpoint's configuration names, and several of its models and criterions
pass strings of that configuration to Python's ``eval`` (``conv_feature_layers`` of wav2vec2,
``decoder_layers`` of fconv_lm, ``wer_args`` of ctc, ...). So only names on these lists are built. Each model
below was read for what it evaluates; those strings must be plain numbers.
"""

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from fairseq_plugin.errors import UserError

_OURS = "gpt2 gpt2_medium gpt2_large gpt2_xl distilgpt2 gpt2_tiny gpt2_mini".split()
_TRANSFORMER_LM_SIZES = (
    "big baevski_wiki103 wiki103 baevski_gbw gbw gpt gpt2_small gpt2_tiny gpt2_medium gpt2_big gpt2_big_wide "
    "gpt2_bigger gpt3_small gpt3_medium gpt3_large gpt3_xl gpt3_2_7 gpt3_6_7 gpt3_13 gpt3_175"
).split()
_TRANSFORMER_SIZES = (
    "tiny iwslt_de_en wmt_en_de vaswani_wmt_en_de_big vaswani_wmt_en_fr_big wmt_en_de_big wmt_en_de_big_t2t"
).split()

MODELS = frozenset(
    [*_OURS, "transformer_lm", "transformer"]
    + [f"transformer_lm_{size}" for size in _TRANSFORMER_LM_SIZES]
    + [f"transformer_{size}" for size in _TRANSFORMER_SIZES]
)
TASKS = frozenset(
    (
        "conditional_augmentation open_ended_generation table_rows language_modeling translation "
        "sentence_prediction"
    ).split()
)
CRITERIONS = frozenset(
    (
        "scale_grad unlikelihood contrastive_token ditto "
        "cross_entropy label_smoothed_cross_entropy adaptive_loss sentence_prediction"
    ).split()
)

# What the models above hand to eval, by the end of the setting's name (--adaptive-softmax-cutoff "10,20").
EVALUATED = (
    "adaptive_softmax_cutoff", "adaptive_input_cutoff", "character_filters", "xformers_att_config",
)  # fmt: skip
# Digits and brackets alone: no name, no call, no power that would fill the memory.
_NUMBERS = re.compile(r"[0-9,.\s()\[\]]{0,1000}")


def check_settings(state: Mapping[str, Any], where: object) -> None:
    """Refuse a checkpoint whose configuration could run code, read variables, or name anything unknown.

    Args:
        state: what the file holds.
        where: the file, for messages.

    Raises:
        UserError: names the setting and its value.
    """
    if state.get("args") is not None:
        raise UserError(
            f"{where} keeps its settings as old 'args', as fairseq before 0.10 wrote them; they are not read "
            "here: load it where you trust it and save it anew"
        )
    config = state.get("cfg")
    if not isinstance(config, Mapping):
        raise UserError(f"{where} is not a fairseq checkpoint: it holds no configuration ('cfg')")
    for name, value in _leaves(config, "cfg", where):
        if isinstance(value, str) and "${" in value:
            raise UserError(
                f"{where}: its setting {name} is {_short(value)}, which fairseq would replace "
                "(for example by an environment variable); no checkpoint of ours holds ${...}"
            )
    for section, known in (("task", TASKS), ("criterion", CRITERIONS)):
        for named in _names(config.get(section), section):
            if not isinstance(named, str) or named not in known:
                raise UserError(
                    f"{where} was trained with --{section} {_short(named)}, which is not one of "
                    f"{', '.join(sorted(known))}: others may run code that the checkpoint names"
                )
    check_model(config.get("model"), where)


def check_model(model: object, where: object) -> None:
    """Refuse the configuration of a model that may run what it holds, before it is built.

    Args:
        model: a mapping, or the ``argparse.Namespace`` of fairseq's older architectures.
        where: what holds it, for messages.

    Raises:
        UserError: names the model, or the setting.
    """
    for named in _names(model, "arch") or [None]:
        if not isinstance(named, str) or named not in MODELS:
            raise UserError(
                f"{where} names the model {_short(named)}; only gpt2, transformer_lm, transformer and "
                "their named sizes are built from a checkpoint: others may run code in its settings"
            )
    for name, value in _leaves(model, "model", where):
        if isinstance(value, str) and name.endswith(EVALUATED) and not _NUMBERS.fullmatch(value):
            raise UserError(
                f"{where}: its setting {name} is {_short(value)}, which fairseq would evaluate as code; "
                "only numbers, commas and brackets are allowed there"
            )


def _names(section: object, old_key: str) -> list[object]:
    """All names by which fairseq might build a section: ``_name``, and the key of its older versions."""
    values = vars(section) if isinstance(section, Namespace) else section
    named = [values]  # None, or a bare name
    if isinstance(values, Mapping):
        named = [values.get(key) for key in ("_name", old_key)]  # setup_task prefers the second
    return [name for name in named if name not in (None, "")]


def _leaves(value: object, name: str, where: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every key and every plain value of a configuration with its dotted name.

    Raises:
        UserError: something that is not plain, or is nested beyond any real configuration.
    """
    if isinstance(value, Namespace):
        value = vars(value)
    if depth > 20:
        raise UserError(f"{where}: its setting {name[:80]} is nested too deeply for a configuration")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{name} (a name in it)", key
            yield from _leaves(inner, f"{name}.{str(key)[:80]}", where, depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner, name, where, depth + 1)
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield name, value
    else:
        raise UserError(f"{where}: its setting {name} is a {type(value).__name__}, not a plain value")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
