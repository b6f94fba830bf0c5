"""``--task open_ended_generation``: language modelling as in fairseq, and new words after prompts of one's
own."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from fairseq import utils
from fairseq.data import Dictionary
from fairseq.distributed import utils as distributed_utils
from fairseq.tasks import register_task
from fairseq.tasks.language_modeling import LanguageModelingTask
from omegaconf import DictConfig

from fairseq_plugin.augment.generations.record import GenerationRecord, closing_on_error, facts_of_run
from fairseq_plugin.core.distributed import refuse_lonely_worker
from fairseq_plugin.corpus.folder import check_split, load_codec, read_stream
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.datasets.prompts import Prompts
from fairseq_plugin.datasets.text_blocks import BlocksWithContext, TextBlocks
from fairseq_plugin.errors import UserError, addressed_to_the_user, plain_errors
from fairseq_plugin.storage.data_identity import identity
from fairseq_plugin.storage.dictionary import check_dictionary
from fairseq_plugin.tasks import prompt_sources
from fairseq_plugin.tasks.decoding_flags import (
    SETTINGS,
    OwnFlags,
    check_flags,
    check_limits,
    choose_decoder,
    gpt2_of,
    least_length,
)
from fairseq_plugin.tasks.end_of_training import DrawAtTheEnd
from fairseq_plugin.tasks.finite_scores import FiniteScores
from fairseq_plugin.tasks.open_ended_config import OpenEndedGenerationConfig
from fairseq_plugin.tasks.prompted import Prompted, check_max_tokens, continue_all
from fairseq_plugin.tasks.sample_table import SampleTable
from fairseq_plugin.tasks.stock_search import StockSearch
from fairseq_plugin.tasks.training_samples import TrainingSamples, sample_prompts
from fairseq_plugin.tasks.verified_checkpoints import VerifiedCheckpoints
from fairseq_plugin.text.one_line import CodecBpe, OneLineBpe

logger = logging.getLogger(__name__)

TASK = "open_ended_generation"
COMPLETIONS = "completions"  # what a generation's files are called
PROMPTS, UNCONDITIONAL = "prompts", "unconditional"  # what --gen-subset may name besides a split


@register_task(TASK, dataclass=OpenEndedGenerationConfig)
class OpenEndedGenerationTask(Prompted, VerifiedCheckpoints, LanguageModelingTask):
    """fairseq's language modelling over a prepared text, with one prompt per sample in generation."""

    record_kind = COMPLETIONS
    args: Any  # an OpenEndedGenerationConfig, as fairseq's DictConfig

    def __init__(
        self, args: Any, dictionary: Dictionary, output_dictionary: Any = None, targets: Any = None
    ) -> None:
        super().__init__(args, dictionary, output_dictionary, targets)
        self.codec = load_codec(args.data)
        self._bpe = CodecBpe(self.codec)
        self._models = []
        self._training_samples = None
        self._record: GenerationRecord | None = None  # of fairseq-generate
        self._table: SampleTable | None = None
        self._epoch = None

    @classmethod
    @plain_errors()
    def setup_task(cls, args: Any, **kwargs: Any) -> "OpenEndedGenerationTask":
        with addressed_to_the_user(RuntimeError):
            refuse_lonely_worker()
        manifest = TextManifest.load(args.data or "")
        check_dictionary(args.data, manifest.files)
        task = super().setup_task(args, **kwargs)
        if len(task.dictionary) != manifest.vocabulary:
            raise UserError(
                f"{args.data}/dict.txt has {len(task.dictionary)} symbols but manifest.json says "
                f"{manifest.vocabulary}: "
                "the folder is mixed from two preparations; prepare it again"
            )
        # From a checkpoint: fairseq has read it, and its --path is not the user's.
        if not kwargs.get("from_checkpoint"):
            task.verify_checkpoints(args, TASK, "language_modeling")
        return task

    def data_identity(self) -> dict[str, object]:
        """See :class:`VerifiedCheckpoints`."""
        files = TextManifest.load(self.args.data).files
        return identity(self.dictionary.symbols, self.codec.digest(), files)

    # -- data ------------------------------------------------------------------------------------------

    @plain_errors()
    def load_dataset(
        self, split: str, epoch: int | None = None, combine: bool = False, **kwargs: Any
    ) -> None:
        """Load a split in blocks, or for ``fairseq-generate`` the prompts that ``--gen-subset`` names."""
        # fairseq-generate hands over the checkpoint's configuration and no epoch; no other command does so.
        if split in (PROMPTS, UNCONDITIONAL) or ("task_cfg" in kwargs and epoch is None):
            self.prompts_asked = self.datasets[split] = self._prompts_to_continue(split)
            return
        if self.args.tokens_per_sample < 1:  # fairseq-eval-lm has taken its window off
            raise UserError("--tokens-per-sample must be 1 or more, and more than --context-window")
        check_split(self.args.data, split, deep=True)
        super().load_dataset(split, epoch=epoch or 1, combine=combine, **kwargs)
        self.datasets[split] = TextBlocks(self.datasets[split])

    def _prompts_to_continue(self, subset: str) -> Prompts:
        ids, prompts = self._ids_and_prompts(subset)
        prompt_sources.check_room(prompts, self.args.max_len_b, self._positions)
        return Prompts(ids, prompts, self.dictionary.pad(), self.args.max_len_b)

    def _ids_and_prompts(self, subset: str) -> tuple[range, Any]:
        args, eos = self.args, self.dictionary.eos()
        first, number = args.first_sample, args.num_samples
        prompt_sources.check_range(first, number)
        if subset == UNCONDITIONAL:
            ids = range(first, first + (number or 1))
            return ids, [[eos]] * len(ids)
        if subset == PROMPTS:
            given = prompt_sources.read_prompts(args.prompts, "--prompts", self._encode)
            return prompt_sources.take([[eos, *tokens] for _, tokens in given], first, number, "prompts")
        check_split(args.data, subset, deep=True)
        found, left = prompt_sources.prefixes(read_stream(args.data, subset), args.prefix_tokens, subset)
        logger.info(
            "%s: %d prefixes of %d tokens; %d tokens at the end are left over", subset, *found.shape, left
        )
        return prompt_sources.take(found, first, number, "prefixes")

    def check_generation(self, config: DictConfig) -> None:
        """See :meth:`~.before_generation.ChecksBeforeGeneration.check_generation`."""
        check_flags(config.generation, self._own_flags())
        self._check_least_length(config.generation)
        _, prompts = self._ids_and_prompts(config.dataset.gen_subset)
        longest = max(map(len, prompts), default=0)
        check_max_tokens(config.dataset.max_tokens, longest + config.generation.max_len_b)

    @plain_errors()
    def get_interactive_tokens_and_lengths(
        self, lines: Sequence[str], encode_fn: Callable[[str], str]
    ) -> tuple[list[torch.Tensor], list[int]]:
        """Read beginnings, with the escapes ``\\n \\t \\r \\\\``; an empty line asks for a text without
        one."""
        return self.typed.read(
            lines, lambda line: [self.dictionary.index(one) for one in encode_fn(line).split()]
        )

    @plain_errors()
    def build_dataset_for_inference(
        self, src_tokens: Sequence[torch.Tensor], src_lengths: Sequence[int], **kwargs: Any
    ) -> Prompts:
        """Prompts of ``fairseq-interactive``."""
        ids, prompts = self.typed.prompts(
            src_tokens, lambda prompt: prompt_sources.check_room([prompt], 1, self._positions)
        )
        room = self._positions - max(map(len, prompts), default=0)
        if room < self.args.max_len_b:
            self.tell_once(f"after a long prompt a text ends with the model's {self._positions} positions")
        return Prompts(ids, prompts, self.dictionary.pad(), min(self.args.max_len_b, room))

    @plain_errors()
    def eval_lm_dataloader(self, dataset: Any, *args: Any, context_window: int = 0, **kwargs: Any) -> Any:
        """Batches for ``fairseq-eval-lm``: the same blocks for any number of workers and shards, none left
        out."""
        longest = int(max(dataset.sizes)) + context_window
        if longest > self._positions:
            raise UserError(
                f"a block of {longest} tokens does not fit into the model's {self._positions} positions and "
                f"would be left out: give --tokens-per-sample {self._positions} or less, with "
                "--sample-break-mode none"
            )
        blocks = (
            BlocksWithContext(dataset, context_window, self.dictionary.pad()) if context_window else dataset
        )
        batches = super().eval_lm_dataloader(blocks, *args, **kwargs)
        return batches if gpt2_of(self._models) else FiniteScores(batches, self._models[-1])

    # -- model and training -----------------------------------------------------------------------------

    def build_model(self, args: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(args, from_checkpoint)
        self._models.append(model)
        if not from_checkpoint and not self.args.path and distributed_utils.get_global_rank() == 0:
            with plain_errors():
                self._prepare_training(model)
        return model

    @property
    def _positions(self) -> int:
        known: list[Any] = [utils.resolve_max_positions(model.max_positions()) for model in self._models]
        return min((one for one in known if one is not None), default=sys.maxsize)

    def _prepare_training(self, model: Any) -> None:
        args, split = self.args, self.args.valid_subset.split(",")[0]
        if split not in TextManifest.load(args.data).splits:
            split = None
        prompts = sample_prompts(
            args, split, self._positions, self.dictionary.eos(), self._encode, self._decode
        )
        if prompts:
            self._training_samples = TrainingSamples(
                args, prompts, model, lambda flags: self._decoder([model], flags, OwnFlags()), self._decode
            )
        if args.log_file and str(args.log_format) == "json" and not args.no_plot:
            DrawAtTheEnd(args.log_file, args.save_dir).listen()

    def begin_epoch(self, epoch: int, model: Any) -> None:
        super().begin_epoch(epoch, model)
        self._epoch = epoch

    @plain_errors()
    def train_step(
        self,
        sample: Mapping[str, Any],
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        ignore_grad: bool = False,
    ) -> Any:
        if self._training_samples:
            self._training_samples.before_update(update_num, self._epoch)
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    @plain_errors()
    def post_validate(self, model: Any, stats: Mapping[str, Any], agg: Any) -> None:
        """fairseq's hook after a validation: write samples."""
        if self._training_samples:
            self._training_samples.write(stats["num_updates"], self._epoch, stats.get("loss"))

    # -- generation -------------------------------------------------------------------------------------

    @plain_errors()
    def build_generator(
        self,
        models: Sequence[Any],
        args: Any,
        seq_gen_cls: Any = None,
        extra_gen_cls_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Our decoders for one GPT-2; fairseq's own generator for everything else."""
        own = self._own_flags()
        generator = self._decoder(models, args, own, seq_gen_cls, extra_gen_cls_kwargs, **kwargs)
        if self.prompts_asked is not None and self.args.results_path:
            self._start_record(args, own, generator)
        return generator

    def _own_flags(self) -> OwnFlags:
        return OwnFlags(self.args.gumbel, self.args.contrastive_alpha, self.args.contrastive_k)

    def _check_least_length(self, args: Any) -> int:
        least = least_length(args)
        if least and not self.args.stop_at_end:
            raise UserError(
                f"--min-len {least}: every sample has --max-len-b tokens; add --stop-at-end, or leave it out"
            )
        return least

    def _decoder(
        self,
        models: Sequence[Any],
        args: Any,
        own: OwnFlags,
        seq_gen_cls: Any = None,
        extra: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        check_limits(args)
        least = self._check_least_length(args)

        def stock(flags: Any, more: Mapping[str, Any]) -> Any:
            build = super(OpenEndedGenerationTask, self).build_generator
            return build(models, flags, seq_gen_cls, {**(extra or {}), **more}, **kwargs)

        min_new = least if self.args.stop_at_end else args.max_len_b
        return choose_decoder(
            models, args, stock, self.dictionary, seed=self.args.seed, min_new=min_new, own=own
        )

    def _start_record(self, args: Any, own: OwnFlags, generator: Any) -> None:
        settings = {name: getattr(args, name) for name in SETTINGS} | vars(own)
        settings["stop_at_end"] = self.args.stop_at_end
        settings["sampler"] = "fairseq" if isinstance(generator, StockSearch) else "keyed"
        facts = facts_of_run(self.args, settings, self.shard, **self._what_was_asked())
        self._record = GenerationRecord(
            self.args.results_path, COMPLETIONS, facts, self.num_expected, self.symbols_of, args.nbest
        )
        self._nbest = args.nbest
        self._table = SampleTable(self.args.results_path, self._decode)

    def _what_was_asked(self) -> dict[str, object]:
        subset = next(name for name, dataset in self.datasets.items() if dataset is self.prompts_asked)
        of_split = subset not in (PROMPTS, UNCONDITIONAL)
        return {
            "subset": subset,
            "prefix_tokens": self.args.prefix_tokens if of_split else None,
            "prompts": self.args.prompts if subset == PROMPTS else None,
            "num_samples": len(self.prompts_asked),
        }

    @torch.no_grad()
    @plain_errors()
    def inference_step(
        self,
        generator: Any,
        models: Sequence[Any],
        sample: Mapping[str, Any],
        prefix_tokens: Any = None,
        constraints: Any = None,
    ) -> list[list[dict[str, Any]]]:
        """Continue each prompt; what is returned are the new tokens alone."""
        prompts, ids = self.prompts_of(sample)
        with closing_on_error(self._record):
            hypotheses = continue_all(generator, prompts, ids)
            if self._record is not None and self._table is not None:
                for one, prompt, found in zip(ids, prompts, hypotheses):
                    self._table.add(one, prompt, [text["tokens"].tolist() for text in found[: self._nbest]])
                self._record.add(ids, hypotheses)
                if self._record.complete:
                    self._record.finish([self._table.write()])
        return hypotheses

    # -- text --------------------------------------------------------------------------------------------

    def _encode(self, text: str) -> list[int]:
        return [self.dictionary.index(str(one)) for one in self.codec.encode(text)]

    def _decode(self, tokens: Sequence[int] | torch.Tensor) -> str:
        return self._bpe.decode(self.dictionary.string(torch.as_tensor(tokens)))

    @plain_errors()
    def build_bpe(self, args: Any) -> OneLineBpe:
        """``--bpe`` if given, else the tokenizer of the data folder; printed texts stay on one line."""
        return OneLineBpe(super().build_bpe(args) or self._bpe)

    @property
    def codec_end_id(self) -> int | None:
        """The tokenizer's own id for the end of a text, which ``</s>`` stands for; ``None``: it has none."""
        return self.codec.end_id
