"""The decoder of ``--arch gpt2``: the network of :mod:`core.gpt2` as fairseq's commands call it.

Legend: B batch, T time, D width, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqIncrementalDecoder

from fairseq_plugin.core.chunked_loss import OutputLayer
from fairseq_plugin.core.feature_embedding import made_once
from fairseq_plugin.core.gpt2 import GPT2, KVCache
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.models.gpt2_heads import symbols_of_data
from fairseq_plugin.models.repetition_dropout import RepetitionDropout
from fairseq_plugin.pretrained.vocabulary import banned_symbols, fingerprint
from fairseq_plugin.text.base import Codec

# Slots of the first cache in stock generation, which does not say how long texts will become.
_FIRST_CAPACITY = 64


class GPT2Decoder(FairseqIncrementalDecoder):
    """fairseq's view of the network.

    Args:
        dictionary: the fairseq dictionary; its ``</s>`` ends texts.
        gpt2: the network, one logit per symbol.
        end_id: token id that ``</s>`` stands for; a second symbol for it is banned. ``None``: it has none.
        codec: the tokenizer of the dictionary's ids, if it is known.
        repetition_dropout: what attention does not see in training; default: it sees everything.
    """

    gpt2: GPT2
    refused_inputs: torch.Tensor
    dictionary_fingerprint: torch.Tensor

    def __init__(
        self,
        dictionary: Dictionary,
        gpt2: GPT2,
        end_id: int | None = None,
        codec: Codec | None = None,
        repetition_dropout: RepetitionDropout | None = None,
    ) -> None:
        super().__init__(dictionary)
        self.repetition_dropout = repetition_dropout
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
        extra: dict[str, Any] = {"attn": None, "inner_states": None}
        if for_loss:  # not looked at here: the loss is, and its criterion can name the update and the samples
            gpt2 = self.gpt2
            with made_once(gpt2.wte):
                hidden_BTD = self._hidden(prev_output_tokens, incremental_state)
                layer = OutputLayer(gpt2.wte.weight, len(self.dictionary), gpt2.banned, gpt2.compute_dtype)
            return hidden_BTD, {**extra, "output_layer": layer}
        hidden_BTD = self._hidden(prev_output_tokens, incremental_state)
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
        if not self.training:
            return self._read_padded(prev_output_tokens, read=self.gpt2)
        drop = self.repetition_dropout
        return self.gpt2(prev_output_tokens, masked_LBT=None if drop is None else drop(prev_output_tokens))

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
