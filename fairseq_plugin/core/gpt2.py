"""GPT-2 (Radford et al. 2019) on ``scaled_dot_product_attention``, with GPT-2's own parameter names.

Legend: B batch, T time, D width, H heads, K width of a head, V vocabulary, A cached positions attended to.

    x_BTD = wte[tokens_BT] + wpe[positions_BT]
    for each block:
        x_BTD = x_BTD + attn(ln_1(x_BTD))
        x_BTD = x_BTD + mlp(ln_2(x_BTD))
    hidden_BTD = ln_f(x_BTD);  logits_BTV = hidden_BTD @ wte.T
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn

from fairseq_plugin.core.attention import cached_attention, causal_attention
from fairseq_plugin.core.dropout import Dropout
from fairseq_plugin.core.int8 import int8_linear, quantize
from fairseq_plugin.core.kept import Kept
from fairseq_plugin.core.kv_cache import KVCache, Step
from fairseq_plugin.core.linear import Cast, Linear, linear

__all__ = ["GPT2", "GPT2Config", "KVCache"]

# Tensor cores and vector units want whole tiles: 50,257 symbols are stored as 50,304.
_VOCABULARY_MULTIPLE = 64


@dataclass
class GPT2Config:
    """Sizes of a GPT-2.

    Args:
        vocab_size: symbols, without the padding of the table.
        n_positions: longest text, in tokens.
        n_embd: width; a multiple of ``n_head``.
        n_layer, n_head: blocks; attention heads per block.
        dropout: probability in [0, 1), after the embeddings, in attention, and after each sublayer.
        attention_dropout: that of attention, where it is another.
        layer_norm_epsilon: GPT-2 uses 1e-5.
    """

    vocab_size: int
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    dropout: float = 0.1
    layer_norm_epsilon: float = 1e-5
    attention_dropout: float | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} must be a multiple of n_head {self.n_head}")
        for name in ("dropout", "attention_dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must be in [0, 1), not {value}")

    @property
    def padded_vocab_size(self) -> int:
        """Entries of the embedding table: ``vocab_size`` rounded up to a multiple of 64."""
        return -(-self.vocab_size // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE


class GPT2(nn.Module):
    """The network.

    Args:
        config: its sizes.
        compute_dtype: ``torch.bfloat16`` runs matrix products and attention in bfloat16 and keeps the
            weights, the residual stream, the normalisations and the logits in float32, as autocast does.
            ``torch.int8`` multiplies weights in 8 bits and keeps all else in float32, for inference on a CPU
            (:mod:`~fairseq_plugin.core.int8`). ``None``: everything in the weights' own dtype.

    Attributes:
        banned: int64, symbols that never get any probability: they belong to the distribution that losses,
            perplexities and samples share. (What may not be *chosen* in decoding is a constraint:
            ``sampling/constraints.py``.) Not part of the state.
    """

    banned: torch.Tensor

    def __init__(self, config: GPT2Config, compute_dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.config = config
        self._int8 = compute_dtype == torch.int8
        self._compute_dtype = torch.float32 if self._int8 else compute_dtype
        self.wte = nn.Embedding(config.padded_vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.register_buffer("banned", torch.empty(0, dtype=torch.int64), persistent=False)
        self._head_cast, self._head_int8 = Cast(packed=True), Kept()
        for module in self.modules():
            if isinstance(module, Linear):
                module.int8 = self._int8
        self.reset_parameters()

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype of what goes into and out of matrix products, and of keys and values."""
        return self._compute_dtype or self.wpe.weight.dtype

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """GPT-2's initialisation: N(0, 0.02), residual projections smaller by sqrt(2 n_layer)."""
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.config.n_layer))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
        self.wte.weight[self.config.vocab_size :] = 0  # the table's padding stays out of everything

    def forward(
        self,
        tokens_BT: torch.Tensor,
        cache: KVCache | None = None,
        positions_BT: torch.Tensor | None = None,
        lengths_B: torch.Tensor | None = None,
        masked_LBT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Read tokens.

        Padding belongs on the right: causal attention never looks there, so no mask is needed, and what
        comes out at padding is meaningless.

        Args:
            tokens_BT: int64, values in [0, vocab_size).
            cache: with B slots; the tokens continue its samples. Inference only.
            positions_BT: int64 positions in the text, where they are not 0, 1, 2, ...; not with a cache.
            lengths_B: with a cache, how many tokens of each slot count (all, if left out).
            masked_LBT: bool, without a cache: positions that no later one attends to, for each layer
                (:mod:`~fairseq_plugin.core.repetition_dropout`).

        Returns:
            hidden_BTD, the last layer after ``ln_f``.

        Raises:
            ValueError: more tokens than positions, or than the cache holds.
        """
        if cache is not None:
            with torch.no_grad():
                return self._forward_cached(tokens_BT, cache, lengths_B)
        self._require_positions(tokens_BT.shape[1])
        if torch.is_grad_enabled():
            self._head_cast.forget()  # a fused loss never calls logits
        if positions_BT is None:
            positions_BT = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        return self._blocks(tokens_BT, positions_BT, masked_LBT=masked_LBT)

    @torch.no_grad()
    def read_next(
        self, tokens_S: torch.Tensor, lengths_S: torch.Tensor, cache: KVCache, num_attended: int
    ) -> torch.Tensor:
        """Read one token of each slot without a question to the device, so that it may be recorded.

        Args:
            tokens_S: int64 ``(num_slots,)``.
            lengths_S, num_attended: as for :meth:`KVCache.begin_at`; the cache's own count stays as it is.

        Returns:
            hidden_SD.
        """
        step = cache.begin_at(lengths_S, num_attended)
        return self._blocks(tokens_S.unsqueeze(1), step.positions_SN, cache, step)[:, 0]

    @torch.no_grad()
    def read_alternatives(self, tokens_SN: torch.Tensor, cache: KVCache) -> tuple[torch.Tensor, Step]:
        """Read N alternatives for the next token of each slot, each as if it were the only one.

        Args:
            tokens_SN: int64 ``(num_slots, N)``.
            cache: give what this returns to its ``choose`` before anything else is read.

        Returns:
            ``(hidden_SND, step)``.
        """
        self._require_positions(cache.longest + 1)
        step = cache.branch(tokens_SN.shape[1])
        return self._blocks(tokens_SN, step.positions_SN, cache, step), step

    def logits(self, hidden: torch.Tensor, padded: bool = False) -> torch.Tensor:
        """Scores of the next token.

        Args:
            hidden: ``(..., D)``, from :meth:`forward`.
            padded: keep the padding of the table, at -inf: whole blocks of 64 symbols, without gaps in
                memory. Inference only.

        Returns:
            ``(..., vocab_size)`` in float32 (float64 for a float64 network); -inf at ``banned``.
        """
        hidden, table_VD, size = hidden.to(self.compute_dtype), self.wte.weight, self.config.vocab_size
        if self._int8:
            scores = int8_linear(hidden, self._head_int8.get(table_VD, "int8", quantize))
        else:
            scores = linear(hidden, self._head_cast(table_VD, hidden.dtype))
        scores = scores if padded else scores[..., :size]
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if padded:
            scores[..., size:] = -math.inf
        return scores.index_fill_(-1, self.banned, -math.inf) if len(self.banned) else scores

    def _require_positions(self, num_tokens: int) -> None:
        if num_tokens > self.config.n_positions:
            raise ValueError(
                f"{num_tokens} tokens exceed the model's {self.config.n_positions} positions (n_positions)"
            )

    def _forward_cached(
        self, tokens_BT: torch.Tensor, cache: KVCache, lengths_B: torch.Tensor | None
    ) -> torch.Tensor:
        num_new = tokens_BT.shape[1] if lengths_B is None else int(lengths_B.max())
        self._require_positions(cache.longest + num_new)
        step = cache.begin(tokens_BT.shape[1], lengths_B)
        # Padding may stand beyond the last position; it needs some position, any will do.
        positions_BT = step.positions_SN.clamp(max=self.config.n_positions - 1)
        hidden_BTD = self._blocks(tokens_BT, positions_BT, cache, step)
        cache.end(step)
        return hidden_BTD

    def _blocks(
        self,
        tokens_BT: torch.Tensor,
        positions_BT: torch.Tensor,
        cache: KVCache | None = None,
        step: Step | None = None,
        masked_LBT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        x_BTD = self.drop(self.wte(tokens_BT) + self.wpe(positions_BT))
        for layer, block in enumerate(self.h):
            masked_BT = None if masked_LBT is None else masked_LBT[layer]
            x_BTD = block(x_BTD, self.compute_dtype, layer, cache, step, masked_BT)
        return self.ln_f(x_BTD)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added to the residual stream."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(
        self,
        x_BTD: torch.Tensor,
        dtype: torch.dtype,
        layer: int,
        cache: KVCache | None,
        step: Step | None,
        masked_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        x_BTD = x_BTD + self.attn(self.ln_1(x_BTD).to(dtype), layer, cache, step, masked_BT)
        return x_BTD + self.mlp(self.ln_2(x_BTD).to(dtype))


class Attention(nn.Module):
    """Causal self-attention with ``n_head`` heads."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        given = config.attention_dropout
        self.n_head, self.dropout = config.n_head, config.dropout if given is None else given
        self.c_attn = Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = Linear(config.n_embd, config.n_embd)
        self.drop = Dropout(config.dropout)

    def forward(
        self,
        x_BTD: torch.Tensor,
        layer: int,
        cache: KVCache | None = None,
        step: Step | None = None,
        masked_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        batch, time, width = x_BTD.shape
        heads = (batch, time, self.n_head, width // self.n_head)
        q_BHTK, k_BHTK, v_BHTK = (
            one.view(heads).transpose(1, 2) for one in self.c_attn(x_BTD).split(width, dim=2)
        )
        if cache is None or step is None:
            dropout = self.dropout if self.training else 0.0
            y_BHTK = causal_attention(q_BHTK, k_BHTK, v_BHTK, dropout, masked_BT)
        else:
            k_BHAK, v_BHAK = cache.write(layer, step, k_BHTK, v_BHTK)
            y_BHTK = cached_attention(q_BHTK.to(k_BHAK.dtype), k_BHAK, v_BHAK, step.mask_S1NA).to(x_BTD.dtype)
        return self.drop(self.c_proj(y_BHTK.transpose(1, 2).reshape(batch, time, width)))


class MLP(nn.Module):
    """Four times as wide, GELU in its tanh form."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = Linear(config.n_embd, 4 * config.n_embd, gelu=True)
        self.c_proj = Linear(4 * config.n_embd, config.n_embd)
        self.drop = Dropout(config.dropout)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return self.drop(self.c_proj(self.c_fc(x_BTD)))
