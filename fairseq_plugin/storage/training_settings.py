"""Settings that decide what a training becomes: a run that goes on must have them as the run that began.

Free to change on the way: how long to train (``--max-update``, ``--max-epoch``, ``--patience``), when to
save, validate and log, and how fast to learn (``--lr``, its scheduler, the optimizer's own settings); the
last are told in a line.
"""

from argparse import Namespace
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairseq_plugin.errors import UserError

ACCEPT = "--accept-changed-settings"
DATA = "data"  # what a task keeps in a checkpoint's state about its data

_FIXED = tuple(
    (
        "common.seed common.fp16 common.bf16 common.amp common.model_parallel_size "
        "dataset.max_tokens dataset.batch_size dataset.required_batch_size_multiple dataset.train_subset  "
        "dataset.curriculum "
        "optimization.update_freq optimization.sentence_avg optimization.skip_remainder_batch "
        "distributed_training.distributed_world_size "
        "task._name task.score_prompt task.tokens_per_sample task.sample_break_mode task.shorten_method "
        "task.pad_to_fixed_length task.add_bos_token model._name model.dropout "
        "model.attention_dropout model.repetition_dropout model.repetition_ngram "
        # What the shapes of the weights do not tell:
        "model.n_head model.layer_norm_epsilon model.compute_dtype model.activation_fn model.no_own_rows "
        "model.decoder_attention_heads model.encoder_attention_heads"
    ).split()
)
_TOLD = ("optimization.lr", "optimization.clip_norm")
_FIXED_SECTIONS, _TOLD_SECTIONS = ("criterion",), ("optimizer", "lr_scheduler")
# An optimizer takes its settings from the checkpoint, unless fairseq's --optimizer-overrides names them anew.
_OVERRIDES = {"weight_decay": "weight_decay", "adam_betas": "betas", "adam_eps": "eps"}


@dataclass(frozen=True)
class Change:
    """A setting that differs from the checkpoint's.

    Attributes:
        name: as it stands on the command line (``--seed``), or what it is (``data``).
        before, now: its value in the checkpoint and on the command line.
    """

    name: str
    before: object
    now: object

    def __str__(self) -> str:
        return f"{self.name} {self.now} (the checkpoint: {self.before})"


def changed_settings(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[Change]:
    """The settings that must not change, and do.

    Args:
        saved, current: fairseq's configurations as plain dicts. What only one of them has is not compared: an
            older version wrote it.
    """
    return _changes(saved, current, _FIXED, _FIXED_SECTIONS)


def told_settings(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[Change]:
    """The settings that may change, but are worth a line when they do."""
    return _changes(saved, current, _TOLD, _TOLD_SECTIONS)


def optimizer_overrides(saved: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, object]:
    """The optimizer's settings that changed, by their names in torch's parameter groups."""
    before, now = _section(saved, "optimizer"), _section(current, "optimizer")
    changed = [key for key in _OVERRIDES if key in before and key in now]
    changed = [key for key in changed if _plain(before[key]) != _plain(now[key])]
    values = {key: literal_eval(now[key]) if isinstance(now[key], str) else now[key] for key in changed}
    return {_OVERRIDES[key]: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


def check_same_optimizer(saved: Mapping[str, Any], current: Mapping[str, Any], checkpoint: object) -> None:
    """Refuse a checkpoint whose optimizer state fairseq cannot load.

    Raises:
        UserError: names the flag and the mend.
    """
    for section in ("optimizer", "criterion"):
        before, now = (_section(config, section).get("_name") for config in (saved, current))
        if before and now and before != now:
            raise UserError(
                f"{checkpoint} was trained with --{section} {before}, now it is {now}: its optimizer's state "
                f"does not fit; give --{section} {before}, another --save-dir, or --reset-optimizer to start "
                "the optimizer anew"
            )


def changed_data(saved: object, current: Mapping[str, Any]) -> list[Change]:
    """What differs in the data: by what a task keeps about them in its state under ``DATA``."""
    if not isinstance(saved, Mapping):
        return []  # an older version's checkpoint does not say
    names = [name for name in current if name in saved and saved[name] != current[name]]
    return [Change(f"{DATA} ({name.replace('_', ' ')})", saved[name], current[name]) for name in names]


def check_changes(changes: list[Change], checkpoint: object, accepted: bool) -> str | None:
    """Refuse changed settings, unless they are accepted.

    Args:
        changes: from :func:`changed_settings` and :func:`changed_data`.
        checkpoint: the file, for the message.
        accepted: ``--accept-changed-settings``.

    Returns:
        One line to log about what was accepted, or ``None``.

    Raises:
        UserError: names each setting with both values.
    """
    if not changes:
        return None
    differing = ", ".join(map(str, changes))
    if accepted:
        return f"{ACCEPT}: going on from {checkpoint} with {differing}"
    raise UserError(
        f"this training would go on from {checkpoint} with changed settings: {differing}; give the same as "
        f"before, another --save-dir, or {ACCEPT}"
    )


def _changes(
    saved: Mapping[str, Any], current: Mapping[str, Any], names: tuple[str, ...], sections: tuple[str, ...]
) -> list[Change]:
    for section in sections:
        keys = sorted({*_section(saved, section)} & {*_section(current, section)})
        names += tuple(f"{section}.{key}" for key in keys)
    found = []
    for name in names:
        section, _, key = name.partition(".")
        before, now = _section(saved, section), _section(current, section)
        if section == "model" and now.get(key) is None:
            continue  # not given: --arch decides, and is compared; see build_model for what it decided
        if key in before and key in now and _plain(before[key]) != _plain(now[key]):
            flag = f"--{section if key == '_name' else key}".replace("_", "-")
            found.append(Change(flag.replace("--model", "--arch"), before[key], now[key]))
    return [change for i, change in enumerate(found) if change not in found[:i]]  # --lr is in three sections


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    if isinstance(section, Namespace):  # of fairseq's older architectures, criterions and optimizers
        return {"_name": vars(section).get("_name")}
    return section if isinstance(section, Mapping) else {"_name": section}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
