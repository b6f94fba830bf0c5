"""``README.md`` of an exported folder: what the model is, what it learned from, and how to sample from it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairseq_plugin.pretrained.hf_config import HFConfig
from fairseq_plugin.text.byte_level import END_OF_TEXT

NAME = "README.md"
_MOST_PROMPTS = 20
# Their loss in validation is the mean negative log-likelihood in bits, so a perplexity follows from it.
_LIKELIHOOD_CRITERIONS = ("cross_entropy", "scale_grad", "unlikelihood", "contrastive_token", "ditto")
_SETTINGS = {
    "criterion": ("gamma", "gamma_schedule", "alpha", "ct_weight", "ditto_share", "sentence_avg"),
    "optimizer": ("weight_decay",),
    "optimization": ("lr", "update_freq", "clip_norm"),
    "dataset": ("max_tokens", "batch_size"),
    "common": ("seed", "bf16", "fp16"),
}


@dataclass(frozen=True)
class CardData:
    """What a card says of the data.

    Attributes:
        name: of the data.
        prompts: how each label's texts begin, label and separator; empty for data without labels.
    """

    name: str
    prompts: Sequence[str] = ()


def card_text(
    config: HFConfig, codec_kind: str, is_byte_level: bool, state: Mapping[str, Any], data: CardData
) -> str:
    """The text of a model card.

    Args:
        config: the exported model's.
        codec_kind: kind of its tokenizer.
        is_byte_level: the folder holds a tokenizer that transformers can load.
        state: the checkpoint, for its settings.
        data: what it was trained on.
    """
    sizes = (
        f"{config.n_layer} layers x {config.n_embd}, {config.n_head} heads, {config.n_positions:,} positions,"
        f" {config.vocab_size:,} tokens ({codec_kind} tokenizer, end token {config.eos_token_id})"
    )
    facts = [("model", f"GPT-2, {sizes}"), ("data", ascii(data.name)[1:-1]), *training_facts(state)]
    lines = [
        "---", "library_name: transformers", "pipeline_tag: text-generation", "tags:", "- gpt2", "- fairseq",
        "---", "", "# A GPT-2 language model trained with fairseq", "",
        *(f"- {name}: {value}" for name, value in facts), "",
        *_prompt_form(data), *_sampling(is_byte_level, data), "",
        "`checksums.json` holds the SHA-256 of the other files; this one may be edited.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def training_facts(state: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what a checkpoint tells of its training, as far as it tells it."""
    config, facts = _mapping(state.get("cfg")), []
    for group, names in _SETTINGS.items():
        values = _mapping(config.get(group))
        given = [f"{values['_name']}"] if isinstance(values.get("_name"), str) else []
        given += [f"{name} {values[name]}" for name in names if _is_plain(values.get(name))]
        if given:
            facts.append((group, ascii(", ".join(given))[1:-1]))
    history = state.get("optimizer_history")
    last = _mapping(history[-1]) if isinstance(history, list) and history else {}
    if isinstance(updates := last.get("num_updates"), int):
        facts.append(("updates", f"{updates:,}"))
    if (perplexity := validation_perplexity(state)) is not None:
        facts.append(("validation perplexity", f"{perplexity:.2f} per token of this tokenizer"))
    return facts


def validation_perplexity(state: Mapping[str, Any]) -> float | None:
    """Of the validation before the checkpoint was written; None where the checkpoint does not tell."""
    config = _mapping(state.get("cfg"))
    metric = _mapping(config.get("checkpoint")).get("best_checkpoint_metric")
    value = _mapping(state.get("extra_state")).get("val_loss")
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value < 1e6:
        return None
    if metric == "ppl":
        return float(value)
    is_likelihood = _mapping(config.get("criterion")).get("_name") in _LIKELIHOOD_CRITERIONS
    return 2.0**value if metric in ("loss", "nll_loss") and is_likelihood and value < 100 else None


def sampling_line(data: CardData) -> str:
    """One line of Python that samples, for the folder's own directory."""
    prompt = END_OF_TEXT + (data.prompts[0] if data.prompts else "")
    return (
        'from transformers import pipeline; print(pipeline("text-generation", ".")'
        f'({prompt!a}, max_new_tokens=60, do_sample=True, top_p=0.9)[0]["generated_text"])'
    )


def _prompt_form(data: CardData) -> list[str]:
    if not data.prompts:
        return [f"Every text begins after `{END_OF_TEXT}` and ends with it.", ""]
    shown = [f"    {END_OF_TEXT + prompt!a}" for prompt in data.prompts[:_MOST_PROMPTS]]
    more = len(data.prompts) - len(shown)
    return [
        f"A sentence is asked for by its label: `{END_OF_TEXT}`, the label, the separator (a tab unless it "
        "was chosen otherwise); it ends with the same end token. As Python strings:",
        "",
        *shown,
        *([f"    ... and {more:,} more"] if more else []),
        "",
    ]


def _sampling(is_byte_level: bool, data: CardData) -> list[str]:
    if not is_byte_level:
        return [
            "transformers has no tokenizer for this folder's sentencepiece model: encode with sentencepiece, "
            "and give `GPT2LMHeadModel` the ids after the end token's."
        ]
    return ["In this folder, this line prints a sample:", "", f"    {sampling_line(data)}"]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return 0 < len(value) <= 5 and all(isinstance(one, int | float) for one in value)
    return isinstance(value, int | float | str) and value is not False and len(str(value)) <= 40
