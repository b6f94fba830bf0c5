"""The stages from a table to a trained model: our script and fairseq's own command, each shown as it runs.

Everything is below ``to``::

    split/         rows to learn from, and those held out
    data/          prepared for fairseq (data-from-NAME/ with --from)
    checkpoints/   the model and its log (checkpoints-from-NAME/)
    drawn/         units of new rows
    steps/         marks of finished stages, and what each command said
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.stages.stage import ROOT, Stage, flags, python, short, stock
from fairseq_plugin.stages.training_progress import TrainingProgress
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.synthesis.held_out import Source
from fairseq_plugin.synthesis.request import AUTO, SynthesisRequest
from fairseq_plugin.synthesis.target_place import target_place
from fairseq_plugin.tables.averaging import AVERAGED, BEST, SIZES
from fairseq_plugin.tables.code.rows import FIXED
from fairseq_plugin.tables.manifest import TableManifest, load_code
from fairseq_plugin.tables.observed import condition_on
from fairseq_plugin.tables.request import types_of

TASK = ("--user-dir", "fairseq_plugin", "--task", "table_rows")
_UPDATES = 1500  # about, of a training that does not stop early
_SMALL = 20_000  # training rows, below which a narrow network learns as much in a quarter of the time
_LEAST_EPOCHS, _MOST_EPOCHS = 4, 60
_PATIENCE, _LONG_PATIENCE = 4, 10  # epochs without a better validation; with few validation rows
_MANY = 1000  # validation rows
_BATCH = 64  # rows
_AT_ONCE = 16  # of them in memory, of a GPT-2
_KEPT_OF_GPT2 = 3  # epochs, which may be averaged: each takes 1.5 GB of disk at 124 million weights


@dataclass(frozen=True)
class SynthesisStages:
    """What is run for a request, and where it writes.

    Attributes:
        request: what to make.
        source: the table's rows to learn from.
    """

    request: SynthesisRequest
    source: Source

    @property
    def data(self) -> Path:
        """The prepared folder."""
        return short(self.request.to) / f"data{self._suffix}"

    @property
    def checkpoint(self) -> Path:
        """The model: the best by validation, a mean of epochs or a single one."""
        return self._save_dir / AVERAGED

    @property
    def num_learnt(self) -> int:
        """Rows of the prepared folder."""
        return sum(split.rows for split in TableManifest.load(ROOT / self.data).splits.values())

    @property
    def _save_dir(self) -> Path:
        return short(self.request.to) / f"checkpoints{self._suffix}"

    @cached_property
    def target_place(self) -> str | None:
        """``first``, ``last`` or ``file``; None without a target, or where schema or order say it."""
        request = self.request
        if request.target is None or request.schema is not None or request.order != FIXED:
            return None
        if request.target_place != AUTO:
            return request.target_place
        return target_place(self.source.learnt, request.target, types_of(request.types), request.seed)

    @property
    def _suffix(self) -> str:
        return f"-from-{self.request.pretrained.resolve().name}" if self.request.pretrained else ""

    def __iter__(self) -> Iterator[Stage]:
        """The stages, each made when those before it have run."""
        yield self.prepare()
        self.check_condition()
        yield self.train()
        yield self.average()

    def prepare(self) -> Stage:
        """The table in fairseq's form."""
        request, learnt = self.request, self.source.learnt
        types = [word for pair in request.types for word in ("--type", pair)]
        options = flags(
            to=self.data,
            schema=request.schema and short(request.schema),
            header="yes" if self.source.is_ours else None if request.header == "auto" else request.header,
            columns=None if self.source.is_ours else request.columns,
            target=request.target,
            target_place=self.target_place,
            order=None if request.order == FIXED else request.order,
            rare=request.rare,
            seed=request.seed,
            overwrite=request.overwrite,
            **{"from": request.pretrained and short(request.pretrained)},
        )
        command = python("prepare_table.py", short(learnt.path), *options, *types)
        return Stage("Look at the table, and prepare it for fairseq", command, prepares=True)

    def check_condition(self) -> None:
        """Refuse a condition that no row fulfils, or that cannot be read, before anything is learnt."""
        if self.request.where is not None:
            code = load_code(self.data, TableManifest.load(self.data))
            condition_on(self.request.where, code, self.data)

    def _forget_a_torn_start(self) -> None:
        """A training that was killed while it wrote the checkpoints of its first epoch may have no best one,
        and would never write one if later epochs are worse: it begins again."""
        if not (self._save_dir / BEST).exists():
            for path in self._save_dir.glob("checkpoint*.pt"):
                path.unlink()

    def train(self) -> Stage:
        """The epochs; training stops early."""
        self._forget_a_torn_start()
        manifest = TableManifest.load(self.data)
        if "valid" not in manifest.splits:
            raise UserError(f"{self.request.table} has one row: nothing can be learnt from it")
        save_dir, request = self._save_dir, self.request
        updates = -(-manifest.splits["train"].rows // _BATCH)
        epochs = request.epochs or min(max(_UPDATES // updates, _LEAST_EPOCHS), _MOST_EPOCHS)
        command = stock(
            "fairseq-train",
            self.data,
            *TASK,
            *self._network(manifest),
            *flags(
                criterion="scale_grad",
                gamma=f"{request.gamma:g}",
                optimizer="fused_adamw",
                lr_scheduler="cosine",
                max_update=epochs * updates,
                warmup_updates=min(100, 2 * updates, epochs * updates // 4),
                clip_norm=1.0,
                max_epoch=epochs,
                patience=_PATIENCE if manifest.splits["valid"].rows >= _MANY else _LONG_PATIENCE,
                seed=request.seed,
                keep_last_epochs=_KEPT_OF_GPT2 if request.pretrained else max(SIZES),
                save_dir=save_dir,
                log_format="json",
                log_interval=10,
                log_file=save_dir / "train.log",
            ),
        )
        steps = short(request.to) / "steps"
        return Stage(
            "Train GPT-2 on its rows",
            command,
            inputs=(self.data / MANIFEST,),
            outputs=(save_dir / BEST,),
            mark=steps / "train.json",
            log=steps / "train.log",
            watcher=lambda: TrainingProgress(epochs),
        )

    def _network(self, manifest: TableManifest) -> list[str]:
        """Its sizes, and those of a step."""
        pretrained = self.request.pretrained
        if pretrained is not None:
            start = {"arch": "gpt2", "pretrained_model": short(pretrained), "dropout": 0.1, "lr": 5e-5}
            return flags(**start, place_bumps=8, batch_size=_AT_ONCE, update_freq=_BATCH // _AT_ONCE)
        is_small = manifest.splits["train"].rows < _SMALL
        return flags(
            arch="gpt2_tiny",
            n_layer=3,
            n_embd=64 if is_small else 128,
            n_positions=-(-manifest.longest // 8) * 8,
            place_bumps=16,
            value_bumps=8,
            no_own_rows=is_small,
            marginal_bias=True,
            dropout=0.2 if is_small else 0.1,
            attention_dropout=0,  # or a sum over columns, as of the parts of a whole, loses some
            lr=0.002 if is_small else 0.001,
            batch_size=_BATCH,
        )

    def average(self) -> Stage:
        """The model."""
        best = self._save_dir / BEST
        return Stage(
            "Average its last epochs, where validation finds that better",
            python("average_epochs.py", *flags(data=self.data, save_dir=self._save_dir)),
            inputs=(self.data / MANIFEST, best),
            outputs=(self.checkpoint,),
            mark=short(self.request.to) / "steps" / "average.json",
        )
