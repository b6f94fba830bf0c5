"""``--criterion ditto``: maximum likelihood, and at a share of the updates sentences that repeat themselves.

Xu et al., "Learning to Break the Loop: Analyzing and Mitigating Repetitions for Neural Text Generation"
(NeurIPS 2022, arXiv 2206.02369). Formulas: :mod:`fairseq_plugin.core.ditto_rule`; the texts:
:mod:`fairseq_plugin.core.pseudo_repetition`.

Legend: B texts of the batch, K with a repeated sentence, T tokens.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.data import Dictionary
from fairseq.logging import metrics
from omegaconf import II

from fairseq_plugin.core.ditto_rule import NOT_REPEATED, DittoRule, check_ditto_lambda
from fairseq_plugin.core.position_rules import LikelihoodRule
from fairseq_plugin.core.pseudo_repetition import Repeated, repeat_sentence
from fairseq_plugin.criterions.mixed_updates import MixedUpdates
from fairseq_plugin.criterions.position_loss import PositionLossConfig
from fairseq_plugin.datasets.task_codec import codec_of
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.one_line import CodecBpe

logger = logging.getLogger(__name__)

_NO_TOKEN = -1
# A stop with what may follow it in the same symbol, or a new line.
_ENDS_SENTENCE = re.compile(r"""[.!?]["'”’)\]]*\s*$|\n""")


@dataclass
class DittoCriterionConfig(PositionLossConfig):
    ditto_share: float = field(
        default=0.5,
        metadata={
            "help": "share of the updates, in [0, 1], on texts in which one sentence comes again and again; "
            "which ones: by --seed and the update; 0 = maximum likelihood"
        },
    )
    ditto_lambda: float = field(
        default=0.5,
        metadata={
            "help": "what is to be left of a token's probability at the next repetition, in [0, 1]; "
            "published are 0.5 for open-ended text and 0.9 for summaries"
        },
    )
    seed: int = II("common.seed")


@register_criterion("ditto", dataclass=DittoCriterionConfig)
class DittoCriterion(MixedUpdates):
    """Likelihood, or the penalty on repeated sentences; in validation the true negative log-likelihood.

    At an update of the share, each text of the batch is kept up to one of its sentences, chosen by (seed,
    sample id, update), which is then repeated until the text has its length again. A sentence lies between
    two tokens that end one (``.`` ``!`` ``?``, a new line, the end of a text) and fits in twice; a text
    without one is left out and counted, a batch of such texts gives its likelihood and is counted. The sum is
    divided by the repeated tokens (with ``--sentence-avg`` by the texts).

    Logged besides what :class:`~fairseq_plugin.criterions.mixed_updates.MixedUpdates` says:
    ``likelihood_loss`` (bits per token), ``ditto_loss`` (bits per repeated token), ``ditto_left_out``
    (texts).

    Args:
        task: the fairseq task; its target dictionary names the padding, and with its tokenizer the ends.
        cfg: its settings.

    Raises:
        SystemExit: a flag out of range, or a worker that a launcher left alone.
    """

    rule_loss = "likelihood_loss"
    kind, kind_tensors, kind_numbers = "ditto", (), ("left_out",)

    def __init__(self, task: Any, cfg: Any) -> None:
        super().__init__(task, cfg)
        self._is_end_V = ends_of_sentences(task.target_dictionary, codec_of(task))
        self._told = False

    def check_flags(self) -> None:
        super().check_flags()
        check_ditto_lambda(self.cfg.ditto_lambda)

    def rule(self) -> LikelihoodRule:
        return LikelihoodRule()

    def other_loss(
        self, model: Any, sample: Mapping[str, Any], update: int
    ) -> tuple[torch.Tensor, int, dict[str, Any]] | None:
        # An encoder-decoder keeps its source; what it writes repeats itself.
        net_input = sample["net_input"]
        name = "prev_output_tokens" if "prev_output_tokens" in net_input else "src_tokens"
        chosen = self._repeat(net_input[name], sample["id"].tolist(), update)
        if not chosen:
            return None
        kept_K = torch.tensor(list(chosen), device=net_input[name].device)
        source_KT, target_KT, earlier_KT = self._batch(list(chosen.values()), net_input[name].device)
        inputs = {key: value[kept_K] for key, value in net_input.items()} | {name: source_KT}
        if name == "src_tokens":
            inputs["src_lengths"] = (source_KT != self.padding_idx).sum(dim=1)
        fused, output, extra = self.read(model, inputs)
        settings = {"rule": DittoRule(self.cfg.ditto_lambda, earlier_KT), "ignore_index": _NO_TOKEN}
        seen_KT = torch.full_like(target_KT, _NO_TOKEN)
        parts, _ = self.loss_of(fused, output, extra, target_KT, seen_KT, **settings)
        self.require_finite(sample, parts.loss)
        num_repeated = sum(len(one.tokens) - one.start - one.length for one in chosen.values())
        sample_size = len(chosen) if self.cfg.sentence_avg else num_repeated
        left_out = {"left_out": len(net_input[name]) - len(chosen)}
        log = self.other_log(parts.loss, sample_size, (num_repeated, len(chosen)), left_out)
        return parts.loss, sample_size, log

    def _repeat(self, tokens_BT: torch.Tensor, ids: list[int], update: int) -> dict[int, Repeated]:
        """The texts that have a sentence to repeat, by their place in the batch."""
        found = {}
        uniform_B = self.uniform([one + 1 for one in ids], update).tolist()
        for place, (text_T, uniform) in enumerate(zip(tokens_BT.cpu(), uniform_B)):
            text_T = text_T[text_T != self.padding_idx]
            repeated = repeat_sentence(text_T.tolist(), self._is_end_V[text_T].tolist(), uniform)
            if repeated:
                found[place] = repeated
        if not found and not self._told:
            logger.warning(
                "a batch has no sample with a whole sentence that fits in twice: its likelihood is taken "
                "instead (counted as ditto_fallbacks; this is said once). Use longer samples "
                "(--tokens-per-sample)"
            )
            self._told = True
        return found

    def _batch(
        self, texts: list[Repeated], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Source, target from the sentence on, and where each target stood one repetition earlier."""
        longest = max(len(text.tokens) for text in texts) - 1
        source_KT = torch.full((len(texts), longest), self.padding_idx)
        target_KT = torch.full_like(source_KT, _NO_TOKEN)
        earlier_KT = torch.full_like(source_KT, NOT_REPEATED)
        for k, (tokens, start, length) in enumerate(texts):
            end, again = len(tokens) - 1, start + length - 1
            source_KT[k, :end] = torch.tensor(tokens[:-1])
            target_KT[k, start - 1 : end] = torch.tensor(tokens[start:])
            earlier_KT[k, again:end] = torch.arange(again - length, end - length)
        return source_KT.to(device), target_KT.to(device), earlier_KT.to(device)

    @classmethod
    def log_kind(cls, total: Callable[[str], Any], num_tokens: int) -> None:
        metrics.log_scalar_sum("ditto_left_out", total("left_out"))


def ends_of_sentences(dictionary: Dictionary, codec: Codec | None) -> torch.Tensor:
    """Which symbols end a sentence, by their text: bool ``(V,)``.

    Args:
        dictionary: of fairseq; its ``</s>`` ends one too.
        codec: the tokenizer that gives its symbols their text; None: they are their own text.
    """
    bpe = None if codec is None else CodecBpe(codec)
    texts = (symbol if bpe is None else bpe.decode(symbol) for symbol in dictionary.symbols)
    ends_V = torch.tensor([bool(_ENDS_SENTENCE.search(text)) for text in texts])
    ends_V[: dictionary.nspecial] = False
    ends_V[dictionary.eos()] = True
    return ends_V
