"""``--arch gpt2`` and its sizes: the network of :mod:`core.gpt2` as a fairseq language model.

Legend: B batch, T time, D width, V vocabulary.
"""

import io
import logging
import sys
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn as nn
from fairseq.models import (
    FairseqLanguageModel,
    register_model,
    register_model_architecture,
)

from fairseq_plugin.core.feature_embedding import fold, is_made
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.datasets.task_codec import codec_of
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.models.gpt2_config import (
    ARCHITECTURES,
    GPT2ModelConfig,
    bf16_works,
    check_block_length,
    check_task,
    end_id,
    make_table_of,
    network_config,
    repetition_dropout_of,
    sizes_of,
    write_back,
)
from fairseq_plugin.models.gpt2_decoder import GPT2Decoder
from fairseq_plugin.models.gpt2_heads import (
    ClassificationHead,
    adapt_state,
    last_token_hidden,
    require_name,
)
from fairseq_plugin.pretrained.checkpoint_weights import check_state, require_same_dictionary
from fairseq_plugin.pretrained.hf_folder import load_weights
from fairseq_plugin.text.one_line import CodecBpe

logger = logging.getLogger(__name__)


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
        config = network_config(len(task.source_dictionary), sizes, cfg)
        check_task(task, cfg, config)
        dtype = torch.bfloat16 if str(cfg.compute_dtype) == "bf16" and bf16_works(cfg) else None
        dropped = repetition_dropout_of(cfg, config.n_layer, task.source_dictionary.pad())
        gpt2 = GPT2(config, dtype)
        make_table_of(cfg, task, gpt2)
        model = cls(GPT2Decoder(task.source_dictionary, gpt2, end_id(task), codec_of(task), dropped))
        if cfg.pretrained_model:
            report = _load_pretrained(cfg.pretrained_model, gpt2, task)
            logger.info("--pretrained-model %s: %s", cfg.pretrained_model, report)
        write_back(cfg, {**sizes, "attention_dropout": config.attention_dropout})
        if cfg.compile:
            model.decoder.gpt2.compile(dynamic=True)
        return model

    @classmethod
    def from_pretrained(
        cls,
        model_name_or_path: str,
        checkpoint_file: str = "checkpoint_best.pt",
        data_name_or_path: str = ".",
        **kwargs: Any,
    ) -> Any:
        """fairseq's hub interface: ``sample`` takes texts and gives what follows them, as text.

            gpt2 = GPT2LanguageModel.from_pretrained("runs/x", "checkpoint_best.pt", "data-bin/x")
            gpt2.sample(["The plot"], beam=1, sampling=True, sampling_topp=0.9, max_len_b=60)

        The tokenizer is that of the data; fairseq alone would read and print its ids.

        Args:
            model_name_or_path: folder of the checkpoint.
            checkpoint_file: its name.
            data_name_or_path: the prepared data folder.
            **kwargs: settings to replace in the checkpoint's.
        """
        hub = super().from_pretrained(model_name_or_path, checkpoint_file, data_name_or_path, **kwargs)
        codec = codec_of(hub.task)
        if hub.bpe is None and codec is not None:
            hub.bpe = CodecBpe(codec)
        return hub

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
        if reads_lines and isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="surrogateescape")  # a typed line that is not UTF-8 ends no session
        # A task that cuts prompts of its own generates without blocks, and checks them itself for eval-lm.
        has_prompts = getattr(getattr(cfg, "task", None), "prefix_tokens", None) is not None
        if not reads_lines and not has_prompts:
            check_block_length(getattr(cfg, "task", None), self.max_positions())
        if is_made(self.decoder.gpt2.wte):
            fold(self.decoder.gpt2.wte)
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


def _load_pretrained(folder: str, gpt2: GPT2, task: Any) -> str:
    """Fill the network from a folder; a task whose symbols are not a tokenizer's ids knows how."""
    if hasattr(task, "load_pretrained"):
        return task.load_pretrained(folder, gpt2)
    symbols, eos = task.source_dictionary.symbols, task.source_dictionary.eos()
    complete = hasattr(task, "codec_end_id")  # tasks that know their tokenizer list all of it
    return load_weights(folder, gpt2, symbols, eos, end_id=end_id(task), complete=complete)


for _arch in ARCHITECTURES:
    if _arch != "gpt2":  # register_model has registered that itself
        register_model_architecture("gpt2", _arch)(lambda args: None)
