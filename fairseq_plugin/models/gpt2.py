"""``--arch gpt2`` and its sizes: the network of :mod:`core.gpt2` as a fairseq language model.

Legend: B batch, T time, D width, V vocabulary.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn as nn
from fairseq.data import Dictionary
from fairseq.models import (
    FairseqIncrementalDecoder,
    FairseqLanguageModel,
    register_model,
    register_model_architecture,
)

from fairseq_plugin.core.chunked_loss import OutputLayer
from fairseq_plugin.core.gpt2 import GPT2, KVCache
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.models.gpt2_config import (
    ARCHITECTURES,
    GPT2ModelConfig,
    bf16_works,
    check_block_length,
    check_task,
    codec_of,
    end_id,
    network_config,
    sizes_of,
    write_back,
)
from fairseq_plugin.models.gpt2_heads import (
    ClassificationHead,
    adapt_state,
    last_token_hidden,
    require_name,
    symbols_of_data,
)
from fairseq_plugin.pretrained.checkpoint_weights import check_state, require_same_dictionary
from fairseq_plugin.pretrained.hf_folder import load_weights
from fairseq_plugin.pretrained.vocabulary import banned_symbols, fingerprint
from fairseq_plugin.text.base import Codec

logger = logging.getLogger(__name__)

# Slots of the first cache in stock generation, which does not say how long texts will become.
_FIRST_CAPACITY = 64


@register_model("gpt2", dataclass=GPT2ModelConfig)
class GPT2LanguageModel(FairseqLanguageModel):
    """A GPT-2 over a fairseq dictionary whose ``</s>`` is ``<|endoftext|>``."""

    supports_fused_loss = True

    def __init__(self, decoder: "GPT2Decoder") -> None:
        super().__init__(decoder)
        self.classification_heads = nn.ModuleDict()

    @classmethod
    @plain_errors()
    def build_model(cls, cfg: Any, task: Any) -> "GPT2LanguageModel":
        """Build the model of a config; with ``--pretrained-model`` also load its weights.

        Raises:
            SystemExit: sizes, data and folder do not go together; the message names the flag.
        """
        sizes = sizes_of(cfg)
        config = network_config(len(task.source_dictionary), sizes, cfg.dropout)
        check_task(task, cfg, config)
        dtype = torch.bfloat16 if str(cfg.compute_dtype) == "bf16" and bf16_works(cfg) else None
        model = cls(GPT2Decoder(task.source_dictionary, GPT2(config, dtype), end_id(task), codec_of(task)))
        if cfg.pretrained_model:
            symbols, eos = task.source_dictionary.symbols, task.source_dictionary.eos()
            report = load_weights(
                cfg.pretrained_model,
                model.decoder.gpt2,
                symbols,
                eos,
                end_id=end_id(task),
                complete=hasattr(task, "codec_end_id"),  # tasks that know their tokenizer list all of it
            )
            logger.info("--pretrained-model %s: %s", cfg.pretrained_model, report)
        write_back(cfg, sizes)
        if cfg.compile:
            model.decoder.gpt2.compile(dynamic=True)
        return model

    @plain_errors()
    def forward(
        self,
        src_tokens: torch.Tensor,
        src_lengths: torch.Tensor | None = None,
        incremental_state: dict[str, Any] | None = None,
        features_only: bool = False,
        for_loss: bool = False,
        classification_head_name: str | None = None,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """See :meth:`GPT2Decoder.forward`; with ``classification_head_name`` classify each text.

        Returns:
            With a head, ``(logits (B, C), extra)``, from the hidden state of each text's last token.

        Raises:
            SystemExit: no head of this name.
        """
        if classification_head_name is None:
            return self.decoder(
                src_tokens,
                incremental_state=incremental_state,
                features_only=features_only,
                for_loss=for_loss,
            )
        if classification_head_name not in self.classification_heads:
            known = ", ".join(self.classification_heads) or "none"
            raise UserError(
                f"the model has no classification head {classification_head_name!r} (known: {known}); give "
                "the --classification-head-name that it was trained with"
            )
        hidden_BTD, extra = self.decoder.extract_features(src_tokens)
        hidden_BD = last_token_hidden(hidden_BTD, src_tokens, self.decoder.dictionary.pad())
        return self.classification_heads[classification_head_name](hidden_BD), extra

    @plain_errors()
    def register_classification_head(self, name: str, num_classes: int, **kwargs: Any) -> None:
        """Add a head; fairseq's ``sentence_prediction`` calls this after building the model.

        Args:
            name: ``--classification-head-name``.
            num_classes: of the head, >= 1.

        Raises:
            SystemExit: a name that cannot be used, or is taken by a head of another size.
        """
        require_name(name)
        if name in self.classification_heads:
            taken = cast(ClassificationHead, self.classification_heads[name]).out.out_features
            if taken != num_classes:
                raise UserError(
                    f"--classification-head-name {name}: this head has {taken} classes, not {num_classes}"
                )
            return
        config = self.decoder.gpt2.config
        self.classification_heads[name] = ClassificationHead(config.n_embd, num_classes, config.dropout)

    @plain_errors()
    def prepare_for_inference_(self, cfg: Any) -> None:
        """fairseq's hook of eval-lm, generate and interactive, after loading.

        Raises:
            SystemExit: the data is to be cut into blocks that do not fit; eval-lm would drop them.
        """
        reads_lines = getattr(getattr(cfg, "interactive", None), "buffer_size", 0) > 0
        # A task that cuts prompts of its own generates without blocks, and checks them itself for eval-lm.
        has_prompts = getattr(getattr(cfg, "task", None), "prefix_tokens", None) is not None
        if not reads_lines and not has_prompts:
            check_block_length(getattr(cfg, "task", None), self.max_positions())
        super().prepare_for_inference_(cfg)

    @plain_errors()
    def load_state_dict(
        self,
        state_dict: Mapping[str, torch.Tensor],
        strict: bool = True,
        model_cfg: Any = None,
        args: Any = None,
    ) -> Any:
        """Load a checkpoint's weights, all of them, for the same dictionary.

        Classification heads that the checkpoint lacks stay as they are, those that the model lacks are left
        out, with a line in the log: a language model's checkpoint starts a classifier, and the other way
        round.

        Raises:
            SystemExit: another dictionary or tokenizer, another architecture, or damaged weights.
        """
        state_dict = require_same_dictionary(state_dict, self.decoder.dictionary_fingerprint)
        if strict:
            state_dict = adapt_state(state_dict, self.state_dict())
            check_state(state_dict, self.state_dict())
        return super().load_state_dict(state_dict, strict, model_cfg=model_cfg, args=args)


class GPT2Decoder(FairseqIncrementalDecoder):
    """fairseq's view of the network.

    Args:
        dictionary: the fairseq dictionary; its ``</s>`` ends texts.
        gpt2: the network, one logit per symbol.
        end_id: token id that ``</s>`` stands for; a second symbol for it is banned. ``None``: it has none.
        codec: the tokenizer of the dictionary's ids, if it is known.
    """

    gpt2: GPT2
    refused_inputs: torch.Tensor
    dictionary_fingerprint: torch.Tensor

    def __init__(
        self, dictionary: Dictionary, gpt2: GPT2, end_id: int | None = None, codec: Codec | None = None
    ) -> None:
        super().__init__(dictionary)
        self.gpt2 = gpt2
        banned = banned_symbols(dictionary.symbols, dictionary.nspecial, dictionary.eos(), end_id)
        gpt2.banned = torch.tensor(banned, dtype=torch.int64)
        refused = torch.zeros(len(dictionary), dtype=torch.bool).index_fill_(0, gpt2.banned, True)
        refused[dictionary.pad()] = False
        self.register_buffer("refused_inputs", refused, persistent=False)
        # Saved with the weights: the same words in another order, or other words of the same number, would
        # load without a complaint.
        symbols = symbols_of_data(dictionary)
        self.register_buffer("dictionary_fingerprint", torch.tensor(fingerprint(symbols, codec)))

    @plain_errors()
    def forward(
        self,
        prev_output_tokens: torch.Tensor,
        encoder_out: Any = None,
        incremental_state: dict[str, Any] | None = None,
        features_only: bool = False,
        src_lengths: torch.Tensor | None = None,
        for_loss: bool = False,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
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
            With ``for_loss``, ``extra["output_layer"]`` makes logits of the hidden states.

        Raises:
            SystemExit: a text longer than the positions, or damaged weights.
        """
        hidden_BTD = self._hidden(prev_output_tokens, incremental_state)
        extra: dict[str, Any] = {"attn": None, "inner_states": None}
        if for_loss:  # not looked at here: the loss is, and its criterion can name the update and the samples
            gpt2 = self.gpt2
            layer = OutputLayer(gpt2.wte.weight, len(self.dictionary), gpt2.banned, gpt2.compute_dtype)
            return hidden_BTD, {**extra, "output_layer": layer}
        if not self.training:
            _require_finite(hidden_BTD)
        return (hidden_BTD if features_only else self.output_layer(hidden_BTD)), extra

    def extract_features(
        self,
        prev_output_tokens: torch.Tensor,
        encoder_out: Any = None,
        incremental_state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Hidden states ``(B, T, D)`` after the last layer; with an incremental state those of new tokens."""
        hidden_BTD = self._hidden(prev_output_tokens, incremental_state)
        if not self.training:
            _require_finite(hidden_BTD)
        return hidden_BTD, {"attn": None, "inner_states": None}

    def _hidden(
        self, prev_output_tokens: torch.Tensor, incremental_state: dict[str, Any] | None
    ) -> torch.Tensor:
        longest = self.gpt2.config.n_positions
        if prev_output_tokens.shape[1] > longest:
            raise UserError(
                f"a text of {prev_output_tokens.shape[1]} tokens does not fit into the model's {longest} "
                "positions (--n-positions): shorten it (--tokens-per-sample), or train one with "
                "more positions"
            )
        if incremental_state is not None:
            return self._continue(prev_output_tokens, incremental_state)
        # Not in training on a GPU: reading the tokens back would make every update wait for the device.
        if not self.training or prev_output_tokens.device.type == "cpu":
            self._refuse_unknown(prev_output_tokens)
        read = self.gpt2 if self.training else functools.partial(self._read_padded, read=self.gpt2)
        return read(prev_output_tokens)

    def output_layer(self, features: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Logits ``(..., V)`` of hidden states."""
        logits = self.gpt2.logits(features)
        if not self.training:
            _require_finite(logits.amax(-1))
        return logits

    def reorder_incremental_state(self, incremental_state: dict[str, Any], new_order: torch.Tensor) -> None:
        """Let sample i continue what sample ``new_order[i]`` read (beam search, finished texts)."""
        state = self.get_incremental_state(incremental_state, "cache")  # type: ignore[operator]
        if state is not None:
            state["cache"].keep(new_order)

    def max_positions(self) -> int:
        """The longest text, in tokens."""
        return self.gpt2.config.n_positions

    def _refuse_unknown(self, tokens_BT: torch.Tensor) -> None:
        """Stop at symbols without probability: their loss would be infinite, and eval-lm would skip them."""
        found = tokens_BT[self.refused_inputs[tokens_BT]]
        if len(found):
            raise UserError(
                f"the text holds {self.dictionary[int(found[0])]!r}, for which GPT-2 has no token: encode "
                "the data with the tokenizer of its dict.txt (scripts/prepare_labelled.py)"
            )

    def _continue(self, tokens_BT: torch.Tensor, incremental_state: dict[str, Any]) -> torch.Tensor:
        state = self.get_incremental_state(incremental_state, "cache")  # type: ignore[operator]
        if state is None:
            num_samples, time = tokens_BT.shape
            capacity = max(time, min(_FIRST_CAPACITY, self.gpt2.config.n_positions))
            cache = KVCache(
                self.gpt2.config, num_samples, capacity, tokens_BT.device, self.gpt2.compute_dtype
            )
            entry = {"cache": cache, "num_read": time}
            self.set_incremental_state(incremental_state, "cache", entry)  # type: ignore[operator]
            lengths_B = tokens_BT.ne(self.dictionary.pad()).sum(1)
            return self._read_padded(
                tokens_BT, lambda right_BT: self.gpt2.forward(right_BT, cache, None, lengths_B)
            )
        cache, new_BT = state["cache"], tokens_BT[:, state["num_read"] :]
        state["num_read"] = tokens_BT.shape[1]
        cache.reserve(cache.longest + new_BT.shape[1])
        return self.gpt2.forward(new_BT, cache)

    def _read_padded(
        self, tokens_BT: torch.Tensor, read: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """Read tokens with their padding moved to the right, and move the result back."""
        pads_BT = tokens_BT.eq(self.dictionary.pad())
        if not pads_BT[:, :1].any():
            return read(tokens_BT)
        num_leading_B1 = pads_BT.cumprod(1).sum(1, keepdim=True)
        time = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        hidden_BTD = read(tokens_BT.gather(1, (time + num_leading_B1) % len(time)))
        source_BT = (time - num_leading_B1) % len(time)
        return hidden_BTD.gather(1, source_BT.unsqueeze(2).expand_as(hidden_BTD))


def _require_finite(values: torch.Tensor) -> None:
    """Stop at NaN: fairseq's generator would read it as "impossible" and its scorer would skip it."""
    if not torch.isfinite(values).all():
        raise UserError(
            "the model's outputs are not finite (NaN or infinite): its weights are damaged or its training "
            "diverged; use an earlier checkpoint"
        )


for _arch in ARCHITECTURES:
    if _arch != "gpt2":  # register_model has registered that itself
        register_model_architecture("gpt2", _arch)(lambda args: None)
