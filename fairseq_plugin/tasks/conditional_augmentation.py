"""``--task conditional_augmentation``: learn ``label -> sentence`` and write new sentences of each label."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, cast

import numpy as np
import torch
from fairseq.data import Dictionary, FairseqDataset, data_utils
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING, DictConfig

from fairseq_plugin.augment.generations.record import GenerationRecord, closing_on_error, facts_of_run
from fairseq_plugin.augment.label_counts import SampleIds, check_sample_ids, samples_per_label
from fairseq_plugin.core.distributed import refuse_lonely_worker
from fairseq_plugin.datasets.label_prompts import LabelPrompts
from fairseq_plugin.datasets.labelled_examples import LabelledExamples
from fairseq_plugin.datasets.prompts import Prompts
from fairseq_plugin.errors import UserError, addressed_to_the_user, plain_errors
from fairseq_plugin.labelled.binary import check_split
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.storage.data_identity import identity
from fairseq_plugin.storage.dictionary import check_dictionary
from fairseq_plugin.tasks.decoding_flags import (
    SETTINGS,
    check_flags,
    check_limits,
    choose_decoder,
    least_length,
)
from fairseq_plugin.tasks.label_perplexity import LabelPerplexity
from fairseq_plugin.tasks.prompted import check_max_tokens, continue_all, put_before
from fairseq_plugin.tasks.stock_search import StockSearch
from fairseq_plugin.tasks.verified_checkpoints import VerifiedCheckpoints
from fairseq_plugin.tasks.whole_examples import WholeExamples
from fairseq_plugin.text.codec import Codec, load_codec
from fairseq_plugin.text.one_line import CodecBpe, OneLineBpe, unescape

TASK = "conditional_augmentation"
AUGMENT = "augment"  # the --gen-subset that asks for new samples instead of naming a split


@dataclass
class ConditionalAugmentationConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder written by scripts/prepare_labelled.py"})
    score_prompt: bool = field(
        default=False,
        metadata={"help": "train on the label and separator too, so that the model also learns p(label)"},
    )
    samples_per_label: str = field(
        default="100",
        metadata={
            "help": "samples for --gen-subset augment: one number for every label (2000), numbers by label "
            "(negative=100,positive=50), or train:TOTAL for the training set's proportions"
        },
    )
    first_sample: int = field(
        default=0,
        metadata={
            "help": "number of each label's first sample, >= 0: go on after an earlier run with the same seed"
        },
    )
    accept_changed_settings: bool = field(
        default=False,
        metadata={
            "help": "go on from a checkpoint although data, seed, batch size, loss or other settings that "
            "decide the result differ from those it was trained with"
        },
    )
    # Settings that are elsewhere in fairseq's configuration (no help: no flag of ours).
    seed: int = II("common.seed")
    path: Optional[str] = II("common_eval.path")
    results_path: Optional[str] = II("common_eval.results_path")
    gen_subset: str = II("dataset.gen_subset")
    max_len_b: int = II("generation.max_len_b")


@register_task(TASK, dataclass=ConditionalAugmentationConfig)
class ConditionalAugmentationTask(WholeExamples, VerifiedCheckpoints, FairseqTask):
    """One example per sentence: the label's text and a separator as prompt, a sentence, the end token."""

    record_kind = AUGMENT
    example_is = "sentence"
    cfg: Any  # a ConditionalAugmentationConfig, as fairseq's DictConfig

    def __init__(self, cfg: Any, dictionary: Dictionary, manifest: Manifest) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.manifest = manifest
        self._codec: Codec | None = None
        self._record: GenerationRecord | None = None
        self._sample_ids = SampleIds(())  # of --gen-subset augment, once it is loaded

    @classmethod
    @plain_errors()
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "ConditionalAugmentationTask":
        with addressed_to_the_user(RuntimeError):
            refuse_lonely_worker()
        manifest = Manifest.load(cfg.data)
        check_dictionary(cfg.data, manifest.files)
        dictionary = Dictionary.load(str(Path(cfg.data) / "dict.txt"))
        if len(dictionary) != manifest.vocabulary:
            raise UserError(
                f"{cfg.data}/dict.txt has {len(dictionary)} symbols but manifest.json says "
                f"{manifest.vocabulary}: "
                "the folder is mixed from two preparations; prepare it again"
            )
        if cfg.first_sample < 0:
            raise UserError(f"--first-sample {cfg.first_sample} must be 0 or more")
        task = cls(cfg, dictionary, manifest)
        # From a checkpoint: fairseq has read it, and its --path is not the user's.
        if not kwargs.get("from_checkpoint"):
            task.verify_checkpoints(cfg, TASK)
        return task

    def data_identity(self) -> dict[str, object]:
        """See :class:`VerifiedCheckpoints`."""
        labels = {label.name: [label.text, label.prompt] for label in self.manifest.labels}
        codec = self._load_codec()
        return identity(self.dictionary.symbols, codec.digest(), self.manifest.files, labels)

    # -- data ------------------------------------------------------------------------------------------

    @plain_errors()
    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Load a split of the data folder, or make the prompts of ``augment``."""
        if split == AUGMENT:
            self.prompts_asked = self.datasets[split] = self._augment_prompts()
        else:
            self.datasets[split] = self._examples(split)

    def _examples(self, split: str) -> LabelledExamples:
        folder = Path(self.cfg.data)
        check_split(folder, split, deep=True)
        return LabelledExamples(
            cast(Any, data_utils.load_indexed_dataset(str(folder / split), self.dictionary, "mmap")),
            np.load(folder / f"{split}.labels.npy"),
            [label.prompt for label in self.manifest.labels],
            self.dictionary.pad(),
            self.dictionary.eos(),
            score_prompt=self.cfg.score_prompt,
            shuffle=split.startswith("train"),
        )

    def _augment_prompts(self) -> LabelPrompts:
        if self.manifest.splits.get(AUGMENT):
            raise UserError(f"the data folder has a split named {AUGMENT}; that name asks for new samples")
        self._sample_ids = ids = self._ids_asked_for(self.cfg, self.manifest)
        prompts = [label.prompt for label in self.manifest.labels]
        max_new = self._max_new(1 + max(map(len, prompts)))  # </s> comes first
        return LabelPrompts(ids, prompts, ids.labels(), self.dictionary.pad(), self.dictionary.eos(), max_new)

    def check_generation(self, config: DictConfig) -> None:
        """See :meth:`~.before_generation.ChecksBeforeGeneration.check_generation`."""
        check_flags(config.generation)
        if config.dataset.gen_subset == AUGMENT:
            counts = self._ids_asked_for(self.cfg, self.manifest).counts
            lengths = [1 + len(label.prompt) for label in self.manifest.labels]
            self._positions = self.trained_positions() or sys.maxsize
            asked = max(length for length, count in zip(lengths, counts) if count)
            check_max_tokens(config.dataset.max_tokens, asked + self._max_new(max(lengths)))
        else:
            check_split(self.cfg.data, config.dataset.gen_subset)

    @staticmethod
    def _ids_asked_for(cfg: Any, manifest: Manifest) -> SampleIds:
        counts = samples_per_label(cfg.samples_per_label, manifest.labels)
        ids = SampleIds(tuple(counts), cfg.first_sample)
        check_sample_ids(ids)
        return ids

    def _max_new(self, longest: int) -> int:
        """New tokens for which a prompt of ``longest`` tokens leaves room."""
        room = self._positions - longest
        if room < 1:
            raise UserError(
                f"a prompt of {longest} tokens leaves no room in the model's {self._positions} positions"
            )
        return min(self.cfg.max_len_b, room)

    @plain_errors()
    def build_dataset_for_inference(
        self, src_tokens: Sequence[torch.Tensor], src_lengths: Sequence[int], **kwargs: Any
    ) -> Prompts:
        """Prompts of ``fairseq-interactive``."""
        ids, prompts = self.typed.prompts(src_tokens, lambda prompt: self._max_new(len(prompt)))
        max_new = self._max_new(max(map(len, prompts), default=1))
        return Prompts(ids, prompts, self.dictionary.pad(), max_new)

    @plain_errors()
    def get_interactive_tokens_and_lengths(
        self, lines: Sequence[str], encode_fn: Any
    ) -> tuple[list[torch.Tensor], list[int]]:
        """Read ``label`` or ``label<TAB>beginning``; the beginning may hold the escapes ``\\n \\t \\r
        \\\\``."""

        def read(line: str) -> list[int]:
            name, _, beginning = line.partition("\t")
            prompt = list(self.manifest.label(name.strip()).prompt)
            ids = self._load_codec().encode(unescape(beginning))
            return prompt + [self.dictionary.index(str(one)) for one in ids]

        return self.typed.read(lines, read)

    def eval_lm_dataloader(self, dataset: FairseqDataset, **flags: Any) -> LabelPerplexity:
        """Batches of whole examples for ``fairseq-eval-lm``, observed by label."""
        batches, names = self.whole_batches(dataset, **flags), [label.name for label in self.manifest.labels]
        return LabelPerplexity(batches, self._model, names, self.dictionary.pad(), self.cfg.results_path)

    # -- model and generation ---------------------------------------------------------------------------

    def longest_example(self) -> int:
        return max((split.longest for split in self.manifest.splits.values()), default=0)

    def does_not_fit(self, longest: int, positions: int) -> str:
        return (
            f"the longest example has {longest} tokens but the model has {positions} positions: "
            f"raise --n-positions, or prepare the data again with --max-row-tokens {positions}"
        )

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
        check_limits(args)

        def stock(flags: Any, more: Mapping[str, Any]) -> Any:
            build = super(ConditionalAugmentationTask, self).build_generator
            return build(models, flags, seq_gen_cls, {**(extra_gen_cls_kwargs or {}), **more}, **kwargs)

        # An empty sentence counts as one, and collect.py drops it.
        min_new = least_length(args)
        generator = choose_decoder(models, args, stock, self.dictionary, seed=self.cfg.seed, min_new=min_new)
        if AUGMENT in self.datasets and self.cfg.results_path:
            self._start_record(args, generator)
        return generator

    def _start_record(self, args: Any, generator: Any) -> None:
        settings = {name: getattr(args, name) for name in SETTINGS}
        settings["sampler"] = "fairseq" if isinstance(generator, StockSearch) else "keyed"
        labels = [label.name for label in self.manifest.labels]
        facts = facts_of_run(
            self.cfg, settings, self.shard, labels=labels, counts=list(self._sample_ids.counts)
        )
        self._record = GenerationRecord(
            self.cfg.results_path, AUGMENT, facts, self.num_expected, self.symbols_of, args.nbest
        )

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
        """Continue each prompt; a beginning given by the user is part of the returned text."""
        prompts, ids = self.prompts_of(sample)
        with closing_on_error(self._record):
            hypotheses = continue_all(generator, prompts, ids)
            if self._record is not None:
                self._record.add(ids, hypotheses)
                if self._record.complete:
                    self._record.finish()
        for prompt, found in zip(prompts, hypotheses):
            self._put_beginning(prompt, found)
        return hypotheses

    def _put_beginning(self, prompt: Sequence[int], found: Sequence[dict[str, Any]]) -> None:
        beginning = next(
            prompt[1 + len(label.prompt) :]
            for label in self.manifest.labels
            if prompt[1 : 1 + len(label.prompt)] == list(label.prompt)
        )
        if beginning:
            put_before(beginning, found)

    # -- text ------------------------------------------------------------------------------------------

    def _load_codec(self) -> Codec:
        if self._codec is None:
            self._codec = load_codec(self.cfg.data)
        return self._codec

    @plain_errors()
    def build_bpe(self, args: Any) -> OneLineBpe:
        """``--bpe`` if given, else the tokenizer of the data folder; printed texts stay on one line."""
        return OneLineBpe(super().build_bpe(args) or CodecBpe(self._load_codec()))

    @property
    def codec_end_id(self) -> int | None:
        """The tokenizer's own id for the end of a text, which ``</s>`` stands for; ``None``: it has none."""
        return self._load_codec().end_id
