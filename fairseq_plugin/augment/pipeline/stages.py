"""The stages from a labelled file to an augmented set and its verdict: fairseq's commands, our scripts.

Everything is below ``to``::

    data/                     prepared for fairseq (data-from-NAME/ with --from)
    gamma-0.5-seed-1/         one folder per setting: results stand side by side
        checkpoints/          the model, its log and curves
        generated/ID/         the samples of one model and one way to draw them: units of work
        augmented/            the new set, its record and report
        judge.json            a classifier of the real rows on the new ones
        verdict.json          what classifiers learn from the new rows
        steps/                marks of finished stages, and what each command said
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fairseq_plugin.augment.filters.flags import words_of
from fairseq_plugin.augment.filters.user_function import load_function
from fairseq_plugin.augment.jobs.job import MadeWith, Settings
from fairseq_plugin.augment.jobs.quota import MOST_TRIES
from fairseq_plugin.augment.judges.teacher import load_teacher
from fairseq_plugin.augment.label_counts import samples_per_label
from fairseq_plugin.augment.pipeline.earlier_run import begin_run, check_source
from fairseq_plugin.augment.pipeline.plan import BATCH_TOKENS, BATCHES_PER_UPDATE, Plan, plan, vocabulary
from fairseq_plugin.augment.pipeline.request import AugmentRequest
from fairseq_plugin.augment.verdict.quick import EXIT_STATUS
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.folder import digest_of
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.pretrained.hf_config import read_config
from fairseq_plugin.stages.stage import Picked, Stage, Watcher, flags, python, short, stock
from fairseq_plugin.stages.training_progress import TrainingProgress
from fairseq_plugin.storage.manifest import NAME as MANIFEST

TASK = ("--user-dir", "fairseq_plugin", "--task", "conditional_augmentation")
_POSITIONS = 256  # of a model from scratch (gpt2_tiny), unless longer rows are asked for
_EVAL_TOKENS = 4096  # of a batch, padding included


@dataclass(frozen=True)
class Stages:
    """What is run for a request, and where it writes."""

    request: AugmentRequest

    @property
    def data(self) -> Path:
        """The prepared folder."""
        return short(self.request.data or self.request.to / f"data{self._start}")

    @property
    def run(self) -> Path:
        """The folder of this setting."""
        return short(self.request.to) / f"gamma-{self.request.gamma:g}-seed-{self.request.seed}{self._start}"

    @property
    def _start(self) -> str:
        """What tells folders of another start apart: its tokenizer is another, too."""
        return f"-from-{self.request.pretrained.resolve().name}" if self.request.pretrained else ""

    @property
    def augmented(self) -> Path:
        """The new set."""
        return self.run / "augmented"

    @property
    def checkpoint(self) -> Path:
        """The model that generates."""
        return short(self.request.path or self.run / "checkpoints" / "checkpoint_best.pt")

    def __iter__(self) -> Iterator[Stage]:
        """The stages, each made when those before it have run."""
        yield from self.model()
        yield self.generate()
        if self.has_several_labels:
            yield self.judge()
        yield self.verdict()
        yield self.report()

    def model(self) -> Iterator[Stage]:
        """Those of them that end with a trained model whose perplexity is known."""
        yield from self.training()
        yield self.perplexity()

    def training(self) -> Iterator[Stage]:
        """Those of them that make the model; none where data and a checkpoint are given."""
        if self.request.data is None:
            check_source(self.request, self.data)
            yield self.prepare()
        self.check_asked()
        train = [] if self.request.path is not None else list(self.train().command)
        begin_run(self.run, self.data, train, self.request.overwrite)
        if self.request.path is None:
            yield self.train()

    def check_asked(self) -> None:
        """Refuse what cannot be written of these labels, before anything is trained.

        Raises:
            UserError: an unknown label, or a function or file of the person's own that cannot be read.
        """
        labels, filters = Manifest.load(self.data).labels, self.request.filters
        samples_per_label(self.request.per_label, labels, "--per-label")
        if filters.predicate is not None:
            load_function(filters.predicate, "--predicate")
        if filters.teacher is not None:
            load_teacher(filters.teacher, [label.name for label in labels])

    def plan(self) -> Plan:
        """How the prepared data is trained on."""
        manifest = Manifest.load(self.data)
        counts = [label.counts.get("train", 0) for label in manifest.labels]
        tokens = manifest.splits["train"].tokens
        return plan(tokens, counts, self.request.pretrained is not None, self.request.epochs)

    @property
    def longest(self) -> int:
        """Tokens of the longest row, which a batch must hold."""
        return max(split.longest for split in Manifest.load(self.data).splits.values())

    @property
    def has_several_labels(self) -> bool:
        """Whether there is anything to judge about labels."""
        return len(Manifest.load(self.data).labels) > 1

    @property
    def settings(self) -> Settings:
        """How sentences are drawn."""
        return Settings(
            seed=self.request.seed,
            temperature=self.request.temperature,
            sampling_topk=self.request.top_k or -1,
            sampling_topp=self.request.top_p,
            max_len_b=self.request.max_len,
            compute_dtype=self.request.compute_dtype,
        )

    def job_folder(self, settings: Settings) -> Path:
        """One for each model and way to draw: what was made stays, whatever is asked for next."""
        facts = asdict(MadeWith.of(self.data, self.checkpoint, settings))
        return self.run / "generated" / digest_of(facts)[:8]

    # -- the stages --------------------------------------------------------------------------------------

    def prepare(self) -> Stage:
        """The source in fairseq's form."""
        request, files = self.request, self.request.files()
        longest = request.reading.max_row_tokens or _POSITIONS
        if request.pretrained is not None:
            positions = read_config(request.pretrained).n_positions
            longest = request.reading.max_row_tokens or positions
            if longest > positions:
                raise UserError(
                    f"--max-row-tokens {longest}: {request.pretrained} has {positions} positions; give fewer"
                )
            codec = flags(codec="gpt2", gpt2_bpe=short(request.pretrained))
        else:
            codec = flags(codec="bytes", vocab_size=vocabulary(files["train"].stat().st_size))
        paths = {split: short(path) for split, path in files.items()}
        return Stage(
            "Prepare it for fairseq",
            python(
                "prepare_labelled.py",
                paths["train"],
                *flags(
                    valid=paths.get("valid"),
                    test=paths.get("test"),
                    to=self.data,
                    seed=request.seed if "valid" not in paths else None,
                    overwrite=request.overwrite,
                ),
                *codec,
                *replace(request.reading, max_row_tokens=longest).words(),
            ),
            prepares=True,
        )

    def train(self) -> Stage:
        """The model; it stops early, and its best checkpoint by validation is taken."""
        chosen, save_dir = self.plan(), self.run / "checkpoints"
        is_long = self.request.pretrained is None and self.longest > _POSITIONS
        return self._stage(
            "train",
            "Train GPT-2 with ScaleGrad",
            stock(
                "fairseq-train",
                self.data,
                *TASK,
                *flags(
                    arch=chosen.arch,
                    pretrained_model=self.request.pretrained and short(self.request.pretrained),
                    n_positions=self.longest if is_long else None,
                    dropout=chosen.dropout,
                    criterion="scale_grad",
                    gamma=f"{self.request.gamma:g}",
                    optimizer="fused_adamw",
                    lr=f"{chosen.lr:g}",
                    lr_scheduler="inverse_sqrt",
                    warmup_updates=chosen.warmup,
                    clip_norm=1.0,
                    max_tokens=max(BATCH_TOKENS, self.longest),
                    update_freq=BATCHES_PER_UPDATE,
                    max_epoch=chosen.epochs,
                    patience=chosen.patience,
                    validate_interval=chosen.interval,
                    save_interval=chosen.interval,
                    seed=self.request.seed,
                    no_epoch_checkpoints=True,
                    save_dir=save_dir,
                    log_format="json",
                    log_interval=10,
                    log_file=save_dir / "train.log",
                ),
            ),
            outputs=(self.checkpoint,),
            watcher=lambda: TrainingProgress(chosen.epochs),
        )

    def perplexity(self) -> Stage:
        """Perplexity of sentences that the model has not seen."""
        return self._stage(
            "eval-lm",
            "Perplexity of unseen sentences, given their labels",
            stock(
                "fairseq-eval-lm", self.data, *TASK,
                *flags(path=self.checkpoint, gen_subset="valid", max_tokens=max(_EVAL_TOKENS, self.longest)),
            ),
            watcher=lambda: Picked("Perplexity of the sentences given their label", "perplexity"),
        )  # fmt: skip

    def generate(self) -> Stage:
        """New sentences of each label, until as many as asked for are accepted."""
        request, settings = self.request, self.settings
        filters = replace(request.filters, teacher=self._teacher)
        return Stage(
            f"Write new sentences until enough are accepted, per label: {request.per_label}",
            python(
                "generate.py",
                *flags(
                    data=self.data,
                    path=self.checkpoint,
                    to=self.job_folder(settings),
                    rows_to=self.augmented,
                    per_label=request.per_label,
                    seed=settings.seed,
                    temperature=f"{settings.temperature:g}",
                    sampling_topk=request.top_k,
                    sampling_topp=f"{settings.sampling_topp:g}",
                    max_len_b=settings.max_len_b,
                    format=request.form,
                    spreadsheet_safe=request.spreadsheet_safe,
                    scores=request.scores,
                    soft_labels=request.soft_labels,
                    compute_dtype=request.compute_dtype,
                    most_tries=None if request.most_tries == MOST_TRIES else f"{request.most_tries:g}",
                    workers=request.workers,
                    allow_fewer=request.allow_fewer,
                ),
                *words_of(filters),
            ),
            modules=Path.cwd() if filters.predicate or self._teaches_by_function else None,
        )

    @property
    def _teaches_by_function(self) -> bool:
        teacher = self.request.filters.teacher
        return teacher is not None and not Path(teacher).is_file()

    @property
    def _teacher(self) -> str | None:
        """As commands take it: they run elsewhere."""
        teacher = self.request.filters.teacher
        return teacher if teacher is None or self._teaches_by_function else str(Path(teacher).resolve())

    def judge(self) -> Stage:
        """Do a classifier of the real rows, and the model by Bayes' rule, agree with the new labels?"""
        return Stage(
            "Ask two judges about the labels: a classifier trained on the real rows, and the model itself",
            python(
                "judge_agreement.py",
                *flags(
                    data=self.data,
                    samples=self.augmented,
                    path=self.checkpoint,
                    json=self.run / "judge.json",
                ),
            ),
        )

    def verdict(self) -> Stage:
        """Is it worth using? Soft labels of a teacher are what a classifier will learn from."""
        teacher = self._teacher if self.request.soft_labels else None
        return Stage(
            "The verdict: what a plain classifier learns from the new rows",
            python(
                "verdict.py", "quick",
                *flags(data=self.data, samples=self.augmented, path=self.checkpoint, seed=self.request.seed,
                       teacher=teacher, json=self.verdict_file),
            ),
            modules=Path.cwd() if teacher and self._teaches_by_function else None,
            statuses=(0, *EXIT_STATUS.values()),
        )  # fmt: skip

    def report(self) -> Stage:
        """The page, with all that is known now."""
        return Stage(
            "Write the report",
            python(
                "report.py",
                *flags(
                    data=self.data,
                    samples=self.augmented,
                    judge=self.run / "judge.json" if self.has_several_labels else None,
                    verdict=self.verdict_file,
                ),
            ),
        )

    @property
    def verdict_file(self) -> Path:
        """The verdict's sentence and figures."""
        return self.run / "verdict.json"

    def _stage(
        self,
        name: str,
        title: str,
        command: tuple[str, ...],
        watcher: Callable[[], Watcher],
        inputs: tuple[Path, ...] = (),
        outputs: tuple[Path, ...] = (),
    ) -> Stage:
        steps = self.run / "steps"
        return Stage(
            title,
            command,
            inputs=(self.data / MANIFEST, *inputs),
            outputs=outputs,
            mark=steps / f"{name}.json" if outputs else None,
            log=steps / f"{name}.log",
            watcher=watcher,
        )
