"""What ``--arch gpt2`` can be told, and what it makes of it before any weight exists."""

import logging
import os
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from fairseq_plugin.core.bf16 import why_not_bf16
from fairseq_plugin.core.feature_embedding import add_output_bias, read_features
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.core.repetition_dropout import check_repetition_dropout
from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.models.repetition_dropout import RepetitionDropout
from fairseq_plugin.pretrained.hf_folder import read_sizes
from fairseq_plugin.pretrained.vocabulary import guess_end_id

logger = logging.getLogger(__name__)

ARCHITECTURES = {
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024},
    "gpt2_medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024, "n_positions": 1024},
    "gpt2_large": {"n_layer": 36, "n_head": 20, "n_embd": 1280, "n_positions": 1024},
    "gpt2_xl": {"n_layer": 48, "n_head": 25, "n_embd": 1600, "n_positions": 1024},
    "distilgpt2": {"n_layer": 6, "n_head": 12, "n_embd": 768, "n_positions": 1024},
    # Two that a CPU can train from scratch within minutes.
    "gpt2_tiny": {"n_layer": 4, "n_head": 4, "n_embd": 128, "n_positions": 256},
    "gpt2_mini": {"n_layer": 6, "n_head": 6, "n_embd": 384, "n_positions": 256},
}


@dataclass
class GPT2ModelConfig(FairseqDataclass):
    # None and not a number: fairseq-hydra-train fills in these defaults whatever the architecture's name.
    n_layer: Optional[int] = field(default=None, metadata={"help": "blocks, >= 1 (default: by --arch)"})
    n_head: Optional[int] = field(
        default=None, metadata={"help": "attention heads, >= 1 (default: by --arch)"}
    )
    n_embd: Optional[int] = field(
        default=None, metadata={"help": "width, a multiple of --n-head (default: by --arch)"}
    )
    n_positions: Optional[int] = field(
        default=None, metadata={"help": "longest text in tokens, >= 1 (default: by --arch)"}
    )
    dropout: float = field(default=0.1, metadata={"help": "dropout probability everywhere, in [0, 1)"})
    attention_dropout: Optional[float] = field(
        default=None, metadata={"help": "that of attention, in [0, 1) (default: --dropout)"}
    )
    repetition_dropout: float = field(
        default=0.0,
        metadata={
            "help": "probability in [0, 1] with which a layer does not attend to an n-gram that comes back "
            "in the sample, in training; 0 = off, 0.6 as published"
        },
    )
    repetition_ngram: int = field(
        default=2, metadata={"help": "length in tokens of the n-grams of --repetition-dropout, >= 1"}
    )
    place_bumps: int = field(
        default=0,
        metadata={
            "help": "of --task table_rows: through so many bumps the embeddings of a number's symbols also "
            "read their places on the scale, so that neighbours share what is learnt, >= 2; 0 = off"
        },
    )
    value_bumps: int = field(
        default=0,
        metadata={"help": "with --place-bumps: so many more read the values of the numbers, >= 2; 0 = off"},
    )
    no_own_rows: bool = field(
        default=False,
        metadata={"help": "with --place-bumps: a number's symbols have no embedding but what they read"},
    )
    marginal_bias: bool = field(
        default=False,
        metadata={
            "help": "of --task table_rows: the output has a bias, which begins with the logarithm of each "
            "symbol's frequency in the training rows"
        },
    )
    layer_norm_epsilon: float = field(default=1e-5, metadata={"help": "added to variances, > 0"})
    pretrained_model: Optional[str] = field(
        default=None,
        metadata={"help": "Hugging Face GPT-2 folder to start from; its config.json decides the sizes"},
    )
    compute_dtype: ChoiceEnum(["fp32", "bf16"]) = field(  # type: ignore[valid-type]
        default="fp32",
        metadata={"help": "dtype of matrix products; weights, residuals and logits stay in fp32 with bf16"},
    )
    compile: bool = field(
        default=False, metadata={"help": "torch.compile the network (first updates are slow)"}
    )


def sizes_of(cfg: Any) -> dict[str, Any]:
    """Sizes by name: from the flags, else from ``--arch``; a pretrained folder's go before both."""
    arch = cfg.get("_name") or "gpt2"
    flags = {name: getattr(cfg, name) for name in ARCHITECTURES["gpt2"]}
    given = {name: ARCHITECTURES[arch][name] if value is None else value for name, value in flags.items()}
    given["layer_norm_epsilon"] = cfg.layer_norm_epsilon
    if not cfg.pretrained_model:
        return given
    sizes = read_sizes(cfg.pretrained_model)
    if sizes != given:
        said = ", ".join(
            f"{name} {sizes[name]} (not {given[name]})" for name in sizes if sizes[name] != given[name]
        )
        logger.warning(
            "--pretrained-model %s decides the sizes, not --arch %s: %s", cfg.pretrained_model, arch, said
        )
    return sizes


def network_config(vocab_size: int, sizes: dict[str, Any], cfg: Any) -> GPT2Config:
    """The network's config; a size out of range names its flag, before anything is allocated."""
    given = getattr(cfg, "attention_dropout", None)  # a checkpoint of an earlier version does not have it
    attention_dropout = cfg.dropout if given is None else given
    try:
        config = GPT2Config(
            vocab_size=vocab_size, dropout=cfg.dropout, attention_dropout=attention_dropout, **sizes
        )
    except ValueError as error:
        name = str(error).split()[0]
        raise UserError(f"--{name.replace('_', '-')}: {error}") from error
    needed, there = 4 * num_parameters(config), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise UserError(
            f"--n-embd {config.n_embd} --n-layer {config.n_layer} --n-positions {config.n_positions} with "
            f"{vocab_size:,} symbols: the weights alone take {needed / 1e9:,.0f} GB and this machine has "
            f"{there / 1e9:,.0f} GB of memory; give smaller sizes"
        )
    return config


def num_parameters(config: GPT2Config) -> int:
    """How many weights a network of these sizes has."""
    width = config.n_embd
    block = 12 * width * width + 13 * width
    return (config.padded_vocab_size + config.n_positions + 2) * width + config.n_layer * block


def check_task(task: Any, cfg: Any, config: GPT2Config) -> None:
    """Refuse data that cannot go through this network, before any of it is read."""
    if getattr(getattr(task, "args", None), "add_bos_token", False):
        raise UserError("--add-bos-token: GPT-2 has no <s>, texts start with </s>; leave the flag out")
    # The task's own config while training; a checkpoint's when one is loaded, which passed this before.
    check_block_length(getattr(cfg.__dict__.get("_parent"), "task", None), config.n_positions)


def check_block_length(task_cfg: Any, n_positions: int) -> None:
    """Refuse blocks of text that are longer than the positions.

    Args:
        task_cfg: a task's config; only one that cuts blocks (``--tokens-per-sample``) is looked at.
        n_positions: of the model.
    """
    length = getattr(task_cfg, "tokens_per_sample", None)
    if length and length > n_positions and str(getattr(task_cfg, "sample_break_mode", "")) != "eos":
        raise UserError(
            f"--tokens-per-sample {length} is more than the model's {n_positions} positions "
            f"(--n-positions); give --tokens-per-sample {n_positions}, or use a model with more positions"
        )


def end_id(task: Any) -> int | None:
    """The token id that ``</s>`` stands for: the task knows, or the dictionary tells."""
    if hasattr(task, "codec_end_id"):
        return task.codec_end_id
    return guess_end_id(task.source_dictionary.symbols)


def repetition_dropout_of(cfg: Any, num_layers: int, pad: int) -> RepetitionDropout:
    """The drawer of ``--repetition-dropout``; a setting out of range names its flag."""
    # A checkpoint of an earlier version does not have them.
    rate, n = getattr(cfg, "repetition_dropout", 0.0), getattr(cfg, "repetition_ngram", 2)
    with addressed_to_the_user(ValueError):
        check_repetition_dropout(rate, n)
    common = getattr(cfg.__dict__.get("_parent"), "common", None)
    return RepetitionDropout(rate, n, num_layers, getattr(common, "seed", 1), pad)


def make_table_of(cfg: Any, task: Any, gpt2: GPT2) -> None:
    """Let the embeddings read features, and the output have a bias, where the flags say so.

    Raises:
        UserError: a number out of range, flags that do not go together, or a task whose symbols have none.
    """
    # A checkpoint of an earlier version has not got all of them.
    places, values = getattr(cfg, "place_bumps", 0), getattr(cfg, "value_bumps", 0)
    alone, has_bias = getattr(cfg, "no_own_rows", False), getattr(cfg, "marginal_bias", False)
    has_no_features = not hasattr(task, "symbol_features")
    of_tables = "is of --task table_rows alone; leave it out"
    needs_places = "needs --place-bumps: add it, or leave"
    not_pretrained = "is for a network of random weights: leave it out, or --pretrained-model"
    for is_wrong, message in (
        (places and places < 2, f"--place-bumps {places} must be at least 2, or 0 (off)"),
        (values and values < 2, f"--value-bumps {values} must be at least 2, or 0 (off)"),
        (places and has_no_features, f"--place-bumps {places} {of_tables}"),
        (has_bias and has_no_features, f"--marginal-bias {of_tables}"),
        (values and not places, f"--value-bumps {values} {needs_places} --value-bumps {values} out"),
        (alone and not places, f"--no-own-rows {needs_places} --no-own-rows out"),
        (alone and cfg.pretrained_model, f"--no-own-rows {not_pretrained}"),
        (has_bias and cfg.pretrained_model, f"--marginal-bias {not_pretrained}"),
    ):
        if is_wrong:
            raise UserError(message)
    if places:
        read_features(gpt2.wte, task.symbol_features(places, values), not alone)
    if has_bias:
        add_output_bias(gpt2, task.log_frequencies())


def bf16_works(cfg: Any) -> bool:
    """Whether this machine can do ``--compute-dtype bf16``; says so where it cannot."""
    common = getattr(cfg.__dict__.get("_parent"), "common", None)
    on_cpu = getattr(common, "cpu", False) or not torch.cuda.is_available()
    reason = why_not_bf16("cpu" if on_cpu else "cuda")
    if reason:
        logger.warning("--compute-dtype bf16 is ignored, computing in fp32: %s", reason)
    return not reason


def write_back(cfg: Any, decided: dict[str, Any]) -> None:
    """Note in the config that fairseq saves what was decided here.

    A checkpoint must rebuild its model alone, without the folder that its training started from. fairseq
    hands over a copy of its config; the original hangs from the same root.
    """
    root = cfg.__dict__.get("_parent")
    saved = getattr(root, "model", None)
    if saved is not None:
        for name, value in {**decided, "pretrained_model": None}.items():
            setattr(saved, name, value)
