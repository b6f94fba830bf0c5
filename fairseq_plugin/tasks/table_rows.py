"""``--task table_rows``: learn the rows of a table and write new ones."""

import dataclasses
import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, cast

import torch
from fairseq.data import Dictionary, FairseqDataset, data_utils
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING, DictConfig

from fairseq_plugin.core.distributed import refuse_lonely_worker
from fairseq_plugin.core.feature_embedding import SymbolFeatures
from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.datasets.prompts import Prompts
from fairseq_plugin.datasets.table_rows import TableRows
from fairseq_plugin.errors import UserError, addressed_to_the_user, plain_errors
from fairseq_plugin.pretrained.symbol_means import load_means
from fairseq_plugin.sampling.keyed_random import LARGEST_ID
from fairseq_plugin.storage.dictionary import NUM_SPECIALS, check_dictionary
from fairseq_plugin.tables.cells import RowCells
from fairseq_plugin.tables.code.features import log_frequencies, symbol_features
from fairseq_plugin.tables.code.rows import RANDOM
from fairseq_plugin.tables.code.symbol_texts import ids_of_symbols
from fairseq_plugin.tables.drawing import draw_again
from fairseq_plugin.tables.identity import identity_of
from fairseq_plugin.tables.manifest import TableManifest, load_code, split_files
from fairseq_plugin.tables.prompts import parse_given, prompt_of
from fairseq_plugin.tables.walk import Walker, only_rows
from fairseq_plugin.tables.writing import line_of, write_table
from fairseq_plugin.tasks.column_scores import ColumnScores
from fairseq_plugin.tasks.decoding_flags import check_flags, choose_decoder
from fairseq_plugin.tasks.prompt_decoders import PromptDecoder
from fairseq_plugin.tasks.prompted import continue_all, put_before
from fairseq_plugin.tasks.verified_checkpoints import VerifiedCheckpoints
from fairseq_plugin.tasks.whole_examples import WholeExamples
from fairseq_plugin.text.one_line import OneLineBpe

logger = logging.getLogger(__name__)
TASK = "table_rows"
ROWS = "rows"  # the --gen-subset that asks for new rows instead of naming a split


@dataclass
class TableRowsConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder written by scripts/prepare_table.py"})
    num_rows: int = field(default=100, metadata={"help": "rows for --gen-subset rows, >= 1"})
    first_row: int = field(
        default=0, metadata={"help": "number of the first row, >= 0: go on after an earlier run of this seed"}
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


@register_task(TASK, dataclass=TableRowsConfig)
class TableRowsTask(WholeExamples, VerifiedCheckpoints, FairseqTask):
    """One example per row of a table; only symbols that make rows have a probability."""

    record_kind = ROWS
    example_is = "row"
    cfg: Any  # a TableRowsConfig, as fairseq's DictConfig
    codec_end_id = None  # of the model: the dictionary's symbols are no tokenizer's ids
    codec = None

    def __init__(self, cfg: Any, dictionary: Dictionary, manifest: TableManifest) -> None:
        super().__init__(cfg)
        self.dictionary, self.manifest = dictionary, manifest
        self.code = load_code(cfg.data, manifest)
        self.cells = RowCells(self.code)
        self._num_redrawn = 0
        self._written: dict[int, list[str]] = {}  # rows of --gen-subset rows by number

    @classmethod
    @plain_errors()
    def setup_task(cls, cfg: Any, **kwargs: Any) -> "TableRowsTask":
        with addressed_to_the_user(RuntimeError):
            refuse_lonely_worker()
        manifest = TableManifest.load(cfg.data)
        check_dictionary(cfg.data, manifest.files)
        dictionary = Dictionary.load(str(Path(cfg.data) / "dict.txt"))
        task = cls(cfg, dictionary, manifest)
        if len(dictionary) != task.code.num_symbols:
            raise UserError(
                f"{cfg.data}/dict.txt has {len(dictionary)} symbols but its code has "
                f"{task.code.num_symbols}: the folder is mixed from two preparations; prepare it again"
            )
        # From a checkpoint: fairseq has read it, and its --path is not the user's.
        if not kwargs.get("from_checkpoint"):
            task.verify_checkpoints(cfg, TASK)
        return task

    def data_identity(self) -> dict[str, object]:
        """See :class:`VerifiedCheckpoints`."""
        return identity_of(self.code, self.dictionary.symbols, self.manifest.files)

    # -- data ------------------------------------------------------------------------------------------

    @plain_errors()
    def load_dataset(self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any) -> None:
        """Load a split of the data folder, or make the prompts of new rows."""
        if split == ROWS:
            self.prompts_asked = self.datasets[split] = self._prompts_asked()
        else:
            self.datasets[split] = self._rows(split)

    def _rows(self, split: str) -> TableRows:
        files = split_files(self.cfg.data, split, self.manifest)
        files.require_verified((".bin", ".idx"))
        files.check()
        path = str(Path(self.cfg.data) / split)
        is_random = self.code.order_kind == RANDOM
        return TableRows(
            cast(Any, data_utils.load_indexed_dataset(path, self.dictionary, "mmap")),
            Walker(self.code).ranges,
            self.dictionary.pad(),
            self.dictionary.eos(),
            shuffle=split.startswith("train"),
            column_of_marker=self.code.column_of_marker() if is_random else None,
            num_columns=len(self.code.order),
            seed=self.cfg.seed,
        )

    def _prompts_asked(self) -> Prompts:
        ids = self._ids_asked_for(self.cfg)
        return Prompts(ids, [[self.dictionary.eos()]] * len(ids), self.dictionary.pad(), self.code.longest)

    @staticmethod
    def _ids_asked_for(cfg: Any) -> range:
        if cfg.num_rows < 1:
            raise UserError(f"--num-rows {cfg.num_rows} must be at least 1")
        if not 0 <= cfg.first_row <= LARGEST_ID - cfg.num_rows:
            raise UserError(f"--first-row {cfg.first_row} must be in 0 .. {LARGEST_ID - cfg.num_rows}")
        return range(cfg.first_row, cfg.first_row + cfg.num_rows)

    def check_generation(self, config: DictConfig) -> None:
        """See :meth:`~.before_generation.ChecksBeforeGeneration.check_generation`."""
        check_flags(self._flags(config.generation))
        if config.dataset.gen_subset == ROWS:
            self._ids_asked_for(self.cfg)
        else:
            split_files(self.cfg.data, config.dataset.gen_subset, self.manifest)

    @plain_errors()
    def get_interactive_tokens_and_lengths(
        self, lines: Sequence[str], encode_fn: Any
    ) -> tuple[list[torch.Tensor], list[int]]:
        """Read given cells, ``NAME=CELL<TAB>NAME=CELL``; an empty line gives none."""
        return self.typed.read(
            lines, lambda line: prompt_of(self.code, parse_given(line), f"line {line!r}")[1:]
        )

    @plain_errors()
    def build_dataset_for_inference(
        self, src_tokens: Sequence[torch.Tensor], src_lengths: Sequence[int], **kwargs: Any
    ) -> Prompts:
        """Prompts of ``fairseq-interactive``."""
        ids, prompts = self.typed.prompts(src_tokens, lambda prompt: None)
        return Prompts(ids, prompts, self.dictionary.pad(), self.code.longest)

    def eval_lm_dataloader(self, dataset: FairseqDataset, **flags: Any) -> ColumnScores:
        """Batches of whole rows for ``fairseq-eval-lm``, observed by column."""
        batches = self.whole_batches(dataset, **flags)
        pad, to = self.dictionary.pad(), self.cfg.results_path
        return ColumnScores(batches, self._model, self.code.names, pad, to)

    # -- model and generation ---------------------------------------------------------------------------

    def symbol_features(self, place_bumps: int, value_bumps: int) -> SymbolFeatures:
        """What the embeddings read; see :func:`~fairseq_plugin.tables.code.features.symbol_features`."""
        return symbol_features(self.code, self.dictionary.count, place_bumps, value_bumps)

    def log_frequencies(self) -> torch.Tensor:
        """What a bias begins with; see :func:`~fairseq_plugin.tables.code.features.log_frequencies`."""
        return log_frequencies(self.code, self.dictionary.count)

    def load_pretrained(self, folder: str, gpt2: GPT2) -> str:
        """Fill the network for ``--pretrained-model``; what was done, in a sentence.

        Raises:
            UserError: the table is not written in this GPT-2's vocabulary.
        """
        if self.code.codec is None:
            raise UserError(
                f"--pretrained-model {folder}: {self.cfg.data} is written in a vocabulary of its own; "
                f"prepare the table with prepare_table.py --from {folder}"
            )
        return load_means(folder, gpt2, self.code.codec, lambda end: ids_of_symbols(self.code, end))

    def longest_example(self) -> int:
        return self.code.longest

    def does_not_fit(self, longest: int, positions: int) -> str:
        return (
            f"the longest row can have {longest} symbols but the model has {positions} "
            f"positions: give --n-positions {longest}"
        )

    def _flags(self, args: Any) -> Namespace:
        """Generation flags with the length of rows, which the code knows."""
        if not args.sampling:
            raise UserError("rows are drawn at random: add --sampling --beam 1 --nbest 1")
        return Namespace(**{**args, "max_len_b": self.code.longest, "min_len": 1})

    @plain_errors()
    def build_generator(
        self,
        models: Sequence[Any],
        args: Any,
        seq_gen_cls: Any = None,
        extra_gen_cls_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> PromptDecoder:
        """Our sampler under the constraint that every text is a row."""
        flags = self._flags(args)
        decoder = choose_decoder(models, flags, _no_stock, self.dictionary, seed=self.cfg.seed, min_new=0)
        assert isinstance(decoder, PromptDecoder)
        decoder.request = dataclasses.replace(decoder.request, constraints=(only_rows(self.code),))
        return decoder

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
        """Continue each prompt to a row; given cells are part of it."""
        prompts, ids = self.prompts_of(sample)
        hypotheses = continue_all(generator, prompts, ids)
        self._draw_again(generator, prompts, ids, hypotheses)
        for prompt, found in zip(prompts, hypotheses):
            if prompt[1:]:
                put_before(prompt[1:], found)
        if self.prompts_asked is not None and self.cfg.results_path:
            for number, found in zip(ids, hypotheses):
                self._written[number] = self.cells(found[0]["tokens"].tolist(), number)
            if len(self._written) == self.num_expected:
                self._write_rows()
        return hypotheses

    def _draw_again(
        self, generator: PromptDecoder, prompts: list[list[int]], ids: list[int], hypotheses: list[Any]
    ) -> None:
        """Replace hypotheses that repeat a rare text; see :func:`~.drawing.draw_again`."""

        def symbols_of(place: int) -> list[int]:
            return [*prompts[place][1:], *hypotheses[place][0]["tokens"].tolist()]

        def given_to(place: int) -> set[int]:
            return {number for number, _ in self.code.cells_of(prompts[place][1:])}

        def draw(places: list[int], seed: int) -> dict[int, list[int]]:
            again = PromptDecoder(generator.gpt2, dataclasses.replace(generator.request, seed=seed))
            found = continue_all(again, [prompts[one] for one in places], [ids[one] for one in places])
            for place, new in zip(places, found):
                hypotheses[place] = new
            return {place: symbols_of(place) for place in places}

        rows = ((place, symbols_of(place)) for place in range(len(prompts)))
        self._num_redrawn += draw_again(self.code, rows, given_to, self.cfg.seed, draw)

    def _write_rows(self) -> None:
        source = self.manifest.source_files["train"]
        form = source.format if source.format in ("csv", "tsv") else "csv"
        shard, shards = self.shard
        name = f"rows.{form}" if shards == 1 else f"rows-{shard}-of-{shards}.{form}"
        names = self.cells.names if source.header else None
        rows = (self._written[number] for number in sorted(self._written))
        write_table(Path(self.cfg.results_path) / name, names, rows, form)
        if self._num_redrawn:
            logger.info(f"{self._num_redrawn:,} rows were drawn again: each repeated a text of few rows")

    # -- text ------------------------------------------------------------------------------------------

    def build_bpe(self, args: Any) -> OneLineBpe:
        """Rows are printed as lines of a CSV file, with escapes for line breaks."""
        return OneLineBpe(_RowsAsText(self.cells))


class _RowsAsText:
    """Symbols of a row <-> a line of cells, in the shape of a fairseq BPE."""

    def __init__(self, cells: Callable[[Sequence[int], int], list[str]]) -> None:
        self._cells = cells

    def encode(self, x: str) -> str:
        return x

    def decode(self, x: str) -> str:
        """A line of CSV; keys are those of row 0. A row that has only begun is shown as it is."""
        symbols = [int(symbol) + NUM_SPECIALS for symbol in x.split() if symbol.isdigit()]
        try:
            return line_of(self._cells(symbols, 0), ",")
        except ValueError:
            return x


def _no_stock(flags: Namespace, more: dict[str, Any]) -> Any:
    raise UserError("rows are drawn by a single model of --arch gpt2 (or a size of it); give its --path")
