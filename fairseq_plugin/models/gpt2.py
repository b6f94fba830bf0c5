"""``--arch gpt2`` and its sizes: the network of :mod:`core.gpt2` as a fairseq language model.

Legend: B batch, T time, D width, V vocabulary.
"""

import logging
from dataclasses import dataclass, field
from typing import Optional

import torch
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.models import (
    FairseqIncrementalDecoder,
    FairseqLanguageModel,
    register_model,
    register_model_architecture,
)
from fairseq.utils import convert_padding_direction

from fairseq_plugin.core.bf16 import why_not_bf16
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config, KVCache
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.pretrained.checkpoint_weights import FINGERPRINT, check_state, require_same_dictionary
from fairseq_plugin.pretrained.hf_folder import load_weights, read_sizes
from fairseq_plugin.pretrained.vocabulary import banned_columns, fingerprint, guess_end_id

logger = logging.getLogger(__name__)

# Slots of the first cache in stock generation, which does not say how long texts will become.
_FIRST_CAPACITY = 64

ARCHITECTURES = {
    "gpt2": dict(n_layer=12, n_head=12, n_embd=768, n_positions=1024),
    "gpt2_medium": dict(n_layer=24, n_head=16, n_embd=1024, n_positions=1024),
    "gpt2_large": dict(n_layer=36, n_head=20, n_embd=1280, n_positions=1024),
    "gpt2_xl": dict(n_layer=48, n_head=25, n_embd=1600, n_positions=1024),
    "distilgpt2": dict(n_layer=6, n_head=12, n_embd=768, n_positions=1024),
    # Two that a CPU can train from scratch within minutes.
    "gpt2_tiny": dict(n_layer=4, n_head=4, n_embd=128, n_positions=256),
    "gpt2_mini": dict(n_layer=6, n_head=6, n_embd=384, n_positions=256),
}


@dataclass
class GPT2ModelConfig(FairseqDataclass):
    # None and not a number: fairseq-hydra-train fills in these defaults whatever the architecture's name.
    n_layer: Optional[int] = field(default=None, metadata={"help": "blocks, >= 1 (default: by --arch)"})
    n_head: Optional[int] = field(default=None, metadata={"help": "attention heads, >= 1 (default: by --arch)"})
    n_embd: Optional[int] = field(
        default=None, metadata={"help": "width, a multiple of --n-head (default: by --arch)"}
    )
    n_positions: Optional[int] = field(
        default=None, metadata={"help": "longest text in tokens, >= 1 (default: by --arch)"}
    )
    dropout: float = field(default=0.1, metadata={"help": "dropout probability everywhere, in [0, 1)"})
    layer_norm_epsilon: float = field(default=1e-5, metadata={"help": "added to variances, > 0"})
    pretrained_model: Optional[str] = field(
        default=None,
        metadata={"help": "Hugging Face GPT-2 folder to start from; its config.json decides the sizes"},
    )
    compute_dtype: ChoiceEnum(["fp32", "bf16"]) = field(
        default="fp32",
        metadata={"help": "dtype of matrix products; weights, residuals and logits stay in fp32 with bf16"},
    )
    compile: bool = field(default=False, metadata={"help": "torch.compile the network (first updates are slow)"})


@register_model("gpt2", dataclass=GPT2ModelConfig)
class GPT2LanguageModel(FairseqLanguageModel):
    """A GPT-2 over a fairseq dictionary whose ``</s>`` is ``<|endoftext|>``."""

    supports_fused_loss = True

    @classmethod
    @plain_errors()
    def build_model(cls, cfg, task):
        """Build the model of a config; with ``--pretrained-model`` also load its weights.

        Raises:
            SystemExit: sizes, data and folder do not go together; the message names the flag.
        """
        sizes = _sizes(cfg)
        config = _network_config(len(task.source_dictionary), sizes, cfg.dropout)
        _check_task(task, cfg, config)
        dtype = torch.bfloat16 if str(cfg.compute_dtype) == "bf16" and _bf16_works(cfg) else None
        model = cls(GPT2Decoder(task.source_dictionary, GPT2(config, dtype), _end_id(task)))
        if cfg.pretrained_model:
            symbols, eos = task.source_dictionary.symbols, task.source_dictionary.eos()
            report = load_weights(
                cfg.pretrained_model,
                model.decoder.gpt2,
                symbols,
                eos,
                end_id=_end_id(task),
                complete=hasattr(task, "codec_end_id"),  # tasks that know their tokenizer list all of it
            )
            logger.info("--pretrained-model %s: %s", cfg.pretrained_model, report)
        _write_back(cfg, sizes)
        if cfg.compile:
            model.decoder.gpt2.compile(dynamic=True)
        return model

    def forward(self, src_tokens, src_lengths=None, incremental_state=None, features_only=False, for_loss=False):
        """See :meth:`GPT2Decoder.forward`."""
        return self.decoder(
            src_tokens, incremental_state=incremental_state, features_only=features_only, for_loss=for_loss
        )

    def prepare_for_inference_(self, cfg):
        """Let texts that are too long reach :meth:`GPT2Decoder.forward`, which refuses them.

        The stock commands would drop them in silence and report the perplexity of the rest.
        """
        super().prepare_for_inference_(cfg)
        self.decoder.drop_long_texts = False

    def max_positions(self):
        return self.decoder.max_positions() if self.decoder.drop_long_texts else None

    @plain_errors()
    def load_state_dict(self, state_dict, strict=True, model_cfg=None, args=None):
        """Load a checkpoint's weights, all of them, for the same dictionary.

        Raises:
            SystemExit: another dictionary, another architecture, or damaged weights.
        """
        require_same_dictionary(state_dict.get(FINGERPRINT), self.decoder.dictionary_fingerprint)
        if strict:
            check_state(state_dict, self.state_dict())
        return super().load_state_dict(state_dict, strict, model_cfg=model_cfg, args=args)


class GPT2Decoder(FairseqIncrementalDecoder):
    """fairseq's view of the network.

    Args:
        dictionary: the fairseq dictionary; its ``</s>`` ends texts.
        gpt2: the network, one column per symbol.
        end_id: token id that ``</s>`` stands for; a second symbol for it is banned. ``None``: it has none.
    """

    def __init__(self, dictionary, gpt2, end_id=None):
        super().__init__(dictionary)
        self.gpt2 = gpt2
        self.drop_long_texts = True
        banned = banned_columns(dictionary.symbols, dictionary.nspecial, dictionary.eos(), end_id)
        gpt2.banned = torch.tensor(banned, dtype=torch.int64)
        # Saved with the weights: the same words in another order would load without a complaint.
        self.register_buffer("dictionary_fingerprint", torch.tensor(fingerprint(dictionary.symbols)))

    @plain_errors()
    def forward(
        self,
        prev_output_tokens,
        encoder_out=None,
        incremental_state=None,
        features_only=False,
        src_lengths=None,
        for_loss=False,
    ):
        """Predict the next token at every position.

        Args:
            prev_output_tokens: int64 ``(B, T)``. Padding on either side outside of training; in training
                on the right, where causal attention needs no mask.
            incremental_state: fairseq's dictionary of caches; only tokens not seen before are then read.
            features_only: return hidden states in place of logits.
            for_loss: return hidden states and what a fused loss needs to make logits of them.
            encoder_out, src_lengths: part of fairseq's interface, not needed.

        Returns:
            ``(logits_BTV or hidden_BTD, extra)``; logits are float32 and -inf where no probability may go.
            With ``for_loss``, ``extra`` holds ``head_weight`` (rows of the padded vocabulary x D),
            ``num_columns`` and ``banned``.

        Raises:
            SystemExit: a text longer than the positions, or damaged weights.
        """
        hidden_BTD, extra = self.extract_features(prev_output_tokens, incremental_state=incremental_state)
        if for_loss:
            head = {"head_weight": self.gpt2.wte.weight, "num_columns": len(self.dictionary)}
            return hidden_BTD, {**extra, **head, "banned": self.gpt2.banned}
        if features_only:
            return hidden_BTD, extra
        return self.output_layer(hidden_BTD), extra

    def extract_features(self, prev_output_tokens, encoder_out=None, incremental_state=None, **kwargs):
        """Hidden states ``(B, T, D)`` after the last layer; with an incremental state those of new tokens."""
        longest = self.gpt2.config.n_positions
        if prev_output_tokens.shape[1] > longest:
            raise UserError(
                f"a text of {prev_output_tokens.shape[1]} tokens does not fit into the model's {longest} positions "
                "(--n-positions): shorten it (--tokens-per-sample), or train a model with more positions"
            )
        if incremental_state is not None:
            hidden_BTD = self._continue(prev_output_tokens, incremental_state)
        elif self.training:
            hidden_BTD = self.gpt2(prev_output_tokens)
        else:
            hidden_BTD = self._read_padded(prev_output_tokens, self.gpt2)
        if not self.training:
            _require_finite(hidden_BTD)
        return hidden_BTD, {"attn": None, "inner_states": None}

    def output_layer(self, features, **kwargs):
        """Logits ``(..., V)`` of hidden states."""
        logits = self.gpt2.logits(features)
        if not self.training:
            _require_finite(logits.amax(-1))
        return logits

    def reorder_incremental_state(self, incremental_state, new_order):
        """Let row i continue what row ``new_order[i]`` read (beam search, finished texts)."""
        state = self.get_incremental_state(incremental_state, "cache")
        if state is not None:
            state["cache"].keep(new_order)

    def max_positions(self):
        return self.gpt2.config.n_positions

    def _continue(self, tokens_BT, incremental_state):
        state = self.get_incremental_state(incremental_state, "cache")
        if state is None:
            rows, time = tokens_BT.shape
            capacity = max(time, min(_FIRST_CAPACITY, self.gpt2.config.n_positions))
            cache = KVCache(self.gpt2.config, rows, capacity, tokens_BT.device, self.gpt2.compute_dtype)
            self.set_incremental_state(incremental_state, "cache", {"cache": cache, "num_read": time})
            lengths_B = tokens_BT.ne(self.dictionary.pad()).sum(1)
            return self._read_padded(tokens_BT, lambda right_BT: self.gpt2.forward(right_BT, cache, None, lengths_B))
        cache, new_BT = state["cache"], tokens_BT[:, state["num_read"] :]
        state["num_read"] = tokens_BT.shape[1]
        cache.reserve(cache.longest + new_BT.shape[1])
        return self.gpt2.forward(new_BT, cache)

    def _read_padded(self, tokens_BT, read):
        """Read tokens with their padding moved to the right, and move the result back."""
        pad = self.dictionary.pad()
        if not tokens_BT[:, :1].eq(pad).any():
            return read(tokens_BT)
        num_pads_B1 = tokens_BT.eq(pad).sum(1, keepdim=True)
        hidden_BTD = read(convert_padding_direction(tokens_BT, pad, left_to_right=True))
        time = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        source_BT = torch.remainder(time - num_pads_B1, tokens_BT.shape[1])
        return hidden_BTD.gather(1, source_BT.unsqueeze(2).expand_as(hidden_BTD))


def _require_finite(values):
    """Stop at NaN: fairseq's generator would read it as "impossible" and its scorer would skip it."""
    if not torch.isfinite(values).all():
        raise UserError(
            "the model's outputs are not finite (NaN or infinite): its weights are damaged or its training "
            "diverged; use an earlier checkpoint"
        )


def _sizes(cfg):
    """Sizes by name: from the flags, else from ``--arch``; a pretrained folder's go before both."""
    arch = cfg.get("_name") or "gpt2"
    flags = {name: getattr(cfg, name) for name in ARCHITECTURES["gpt2"]}
    given = {name: ARCHITECTURES[arch][name] if value is None else value for name, value in flags.items()}
    given["layer_norm_epsilon"] = cfg.layer_norm_epsilon
    if not cfg.pretrained_model:
        return given
    sizes = read_sizes(cfg.pretrained_model)
    if sizes != given:
        said = ", ".join(f"{name} {sizes[name]} (not {given[name]})" for name in sizes if sizes[name] != given[name])
        logger.warning("--pretrained-model %s decides the sizes, not --arch %s: %s", cfg.pretrained_model, arch, said)
    return sizes


def _network_config(vocab_size, sizes, dropout):
    try:
        return GPT2Config(vocab_size=vocab_size, dropout=dropout, **sizes)
    except ValueError as error:
        name = str(error).split()[0]
        raise UserError(f"--{name.replace('_', '-')}: {error}") from error


def _check_task(task, cfg, config):
    """Refuse data that cannot go through this network, before any of it is read."""
    if getattr(getattr(task, "args", None), "add_bos_token", False):
        raise UserError("--add-bos-token: GPT-2 has no <s>, texts start with </s>; leave the flag out")
    # The task's own config while training; a checkpoint's when one is loaded, which passed this before.
    training = getattr(cfg.__dict__.get("_parent"), "task", None)
    length = getattr(training, "tokens_per_sample", None)
    if length and length > config.n_positions and str(getattr(training, "sample_break_mode", "")) != "eos":
        raise UserError(
            f"--tokens-per-sample {length} is more than the model's {config.n_positions} positions "
            f"(--n-positions); give --tokens-per-sample {config.n_positions}, or more positions"
        )


def _end_id(task):
    if hasattr(task, "codec_end_id"):
        return task.codec_end_id
    return guess_end_id(task.source_dictionary.symbols)


def _bf16_works(cfg):
    common = getattr(cfg.__dict__.get("_parent"), "common", None)
    on_cpu = getattr(common, "cpu", False) or not torch.cuda.is_available()
    reason = why_not_bf16("cpu" if on_cpu else "cuda")
    if reason:
        logger.warning("--compute-dtype bf16 is ignored, computing in fp32: %s", reason)
    return not reason


def _write_back(cfg, sizes):
    """Note in the config that fairseq saves what was decided here.

    A checkpoint must rebuild its model alone, without the folder that its training started from. fairseq
    hands over a copy of its config; the original hangs from the same root.
    """
    root = cfg.__dict__.get("_parent")
    saved = getattr(root, "model", None)
    if saved is not None:
        for name, value in {**sizes, "pretrained_model": None}.items():
            setattr(saved, name, value)


for _arch in ARCHITECTURES:
    if _arch != "gpt2":  # register_model has registered that itself
        register_model_architecture("gpt2", _arch)(lambda args: None)
