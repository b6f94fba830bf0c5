"""The stages from a text to its style: our scripts and fairseq's own commands, each shown as it runs.

Everything is below ``to``::

    data/          prepared for fairseq; the last tenth of the text is for validation
    recipe         what was decided when the run began
    prompts.txt    what samples begin with
    checkpoints/   the model, its log, and what it wrote while it was trained (samples.md)
    samples/       of the best checkpoint, a folder per temperature
    training.png   the curves; samples.md: the samples
    steps/         marks of finished stages, and what each command said
"""

import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fairseq_plugin.corpus.folder import load_codec, read_stream, text_of
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.corpus.reading import text_files
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.imitation.recipe import CONTEXT, Recipe, Sizes, check_begun, chosen_sizes, sizes_for
from fairseq_plugin.imitation.request import ImitationRequest
from fairseq_plugin.pretrained.hf_folder import read_sizes
from fairseq_plugin.stages.stage import ROOT, Runner, Stage, flags, python, short, stock
from fairseq_plugin.stages.training_progress import UpdateProgress
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.text.one_line import escape

TASK = ("--user-dir", "fairseq_plugin", "--task", "open_ended_generation")
BLOCKS = ("--sample-break-mode", "none", "--tokens-per-sample", str(CONTEXT))
TEMPERATURES = ("0.5", "0.8", "1.0")
SAMPLES_EACH = 3  # per prompt and temperature
_TRIAL_UPDATES, _TRIAL_SECONDS = 40, 30  # at most
_TRIAL_INTERVAL = 5  # updates whose speed is told
_NEVER = 1_000_000  # epochs
_LONGEST_PROMPT = 80  # characters of the line that is a prompt by default
_TOKENS_LOOKED_AT = 20_000  # for that line


@dataclass(frozen=True)
class ImitationStages:
    """What is run for a request, and where it writes.

    Args:
        request: that was checked.
    """

    request: ImitationRequest

    @property
    def to(self) -> Path:
        """The folder of the run, as commands show it."""
        return short(self.request.to)

    @property
    def data(self) -> Path:
        """The prepared folder."""
        return self.to / "data"

    @property
    def checkpoint(self) -> Path:
        """The model: the best by validation."""
        return self.to / "checkpoints" / "checkpoint_best.pt"

    @property
    def train_log(self) -> Path:
        """fairseq's own log of the training."""
        return self.to / "checkpoints" / "train.log"

    @property
    def prompts(self) -> Path:
        """What samples begin with, one per line."""
        return self.to / "prompts.txt"

    @property
    def recipe(self) -> Path:
        """What was decided when the run began."""
        return self.to / "recipe"

    def samples(self, temperature: str) -> Path:
        """Folder of the samples of a temperature."""
        return self.to / "samples" / f"temperature-{temperature}"

    def _files(self) -> list[tuple[str, int]]:
        """Names and bytes of the files that make the text."""
        files = text_files(self.request.text, "TEXT", self.request.pattern).files
        return [(path.name, path.stat().st_size) for path in files]

    @cached_property
    def candidates(self) -> tuple[Sizes, ...]:
        """What the size of the text allows, the largest network first."""
        return sizes_for(sum(size for _, size in self._files()), self.request.pretrained is not None)

    @property
    def sizes(self) -> Sizes:
        """What was chosen when the run began."""
        return chosen_sizes(ROOT / self.recipe, self.candidates)

    def check_text(self) -> None:
        """A run that is there goes on with its own text only.

        Raises:
            UserError: it was begun with other files.
        """
        if not (ROOT / self.data / MANIFEST).is_file():
            return
        begun = TextManifest.load(ROOT / self.data).source.get("files", {}).get("train", [])
        if [(one["path"], one["bytes"]) for one in begun] != self._files():
            raise UserError(
                f"{self.to} was begun with another text, or other files of it; give the same, or another --to"
            )

    def _step(self, name: str) -> Path:
        return self.to / "steps" / name

    # -- to a trained model ------------------------------------------------------------------------------

    def prepare(self) -> Stage:
        """The text in fairseq's form."""
        pretrained = self.request.pretrained
        if pretrained is None:
            codec = flags(codec="bytes", vocab_size=self.sizes.vocab_size)
        else:
            codec = flags(codec="gpt2", gpt2_bpe=short(pretrained))
        command = python(
            "prepare_text.py",
            short(self.request.text),
            *flags(pattern=self.request.pattern, split="0.9,0.1", to=self.data),
            *codec,
        )
        return Stage("Cut the text and encode it", command, prepares=True)

    def write_prompts(self) -> None:
        """Write what samples begin with; without prompts of one's own only where nothing is there.

        Raises:
            UserError: a prompt that leaves no room for a sample, before minutes are spent on training.
        """
        path, prompts = ROOT / self.prompts, self.request.prompts
        if not prompts and path.is_file():
            return
        codec, room = load_codec(ROOT / self.data), self._positions() - CONTEXT
        for prompt in prompts:
            if (tokens := 1 + len(codec.encode(prompt))) > room:
                raise UserError(
                    f"--prompt {prompt[:40]!r}... has {tokens} tokens, the model reads {room} before a "
                    "sample; give a shorter one"
                )
        with atomic_write(path) as stream:
            stream.write("".join(escape(prompt) + "\n" for prompt in prompts or self._first_prompts()))

    def _positions(self) -> int:
        pretrained = self.request.pretrained
        return 2 * CONTEXT if pretrained is None else int(read_sizes(pretrained)["n_positions"])

    def _first_prompts(self) -> list[str]:
        data = ROOT / self.data
        stream, codec = read_stream(data, "valid")[:_TOKENS_LOOKED_AT], load_codec(data)
        lines = text_of(stream, codec).split("\n")
        line = next((line for line in lines if line.strip()), "")[:_LONGEST_PROMPT]
        while len(codec.encode(line)) > CONTEXT // 2:  # a few tokens a character, where alphabets are large
            line = line[: len(line) // 2]
        return ["\n\n", line + "\n"]

    def _train_command(self, sizes: Sizes) -> tuple[str, ...]:
        request = self.request
        if request.pretrained is None:
            model = flags(
                arch="gpt2_mini", n_layer=sizes.layers, n_head=sizes.heads, n_embd=sizes.width,
                n_positions=2 * CONTEXT,
            )  # fmt: skip
        else:
            model = flags(arch="gpt2", pretrained_model=short(request.pretrained))
        return stock(
            "fairseq-train",
            self.data,
            *TASK,
            *BLOCKS,
            *model,
            *flags(
                dropout=sizes.dropout, compute_dtype="bf16", criterion="scale_grad",
                gamma=f"{request.gamma:g}", optimizer="fused_adamw", adam_betas="(0.9, 0.99)",
                weight_decay=sizes.decay, clip_norm=1.0, lr=sizes.lr, batch_size=sizes.batch,
                seed=request.seed, log_format="json",
            ),
        )  # fmt: skip

    @property
    def _trial_log(self) -> Path:
        return self._step("trial.log")

    @property
    def _trial_folder(self) -> Path:
        return self.to / "trial"

    def trial(self, sizes: Sizes) -> Stage:
        """A few updates, to see how many fit into the time."""
        more = flags(
            max_update=_TRIAL_UPDATES, stop_time_hours=f"{_TRIAL_SECONDS / 3600:.6f}", no_save=True,
            disable_validation=True, no_plot=True, num_sample_prefixes=0, log_interval=_TRIAL_INTERVAL,
            save_dir=self._trial_folder,
        )  # fmt: skip
        model = "the pretrained model" if sizes.layers is None else f"{sizes.layers} layers of {sizes.width}"
        title = f"Try {model}: how many updates fit into {self.request.minutes:g} minutes?"
        command = (*self._train_command(sizes), *more)
        return Stage(
            title, command, log=self._trial_log, watcher=lambda: UpdateProgress(_TRIAL_UPDATES, "trial")
        )

    def decide(self, sizes: Sizes) -> str:
        """Look at the trial of these sizes; write the recipe if they will do. What is decided, in words."""
        told = re.findall(
            r'"ups": "([0-9.]+)"', (ROOT / self._trial_log).read_text("utf-8", errors="replace")
        )
        speed = float(told[-1]) if told and float(told[-1]) > 0 else 1.0
        tokens = TextManifest.load(ROOT / self.data).splits["train"].tokens
        recipe = Recipe.fit(sizes, tokens, speed, self.request.minutes)
        shutil.rmtree(ROOT / self._trial_folder, ignore_errors=True)
        passes = recipe.updates * sizes.batch * CONTEXT / tokens
        words = (
            f"{speed:g} updates a second: {recipe.updates:,} updates, {passes:.1f} passes over {tokens:,} "
            "tokens"
        )
        if sizes != self.candidates[-1] and not recipe.is_enough(sizes, tokens):
            return f"{words}; a smaller network learns more in this time"
        recipe.save(ROOT / self.recipe, self.request, sizes)
        return words

    def train(self) -> Stage:
        """The model. The learning rate is zero when it stops: by its updates, or earlier by the clock."""
        recipe, sizes, save_dir = Recipe.load(ROOT / self.recipe), self.sizes, self.checkpoint.parent
        more = flags(
            lr_scheduler="timed_cosine", warmup_updates=recipe.warmup, max_update=recipe.updates,
            stop_time_hours=f"{self.request.minutes / 60:.6g}", patience=sizes.patience,
            sample_prompts=self.prompts, num_sample_prefixes=1,
            validate_interval_updates=recipe.every, save_interval_updates=recipe.every,
            keep_interval_updates=1, validate_interval=_NEVER, save_interval=_NEVER,
            no_epoch_checkpoints=True, save_dir=save_dir,
            log_interval=(recipe.every + 4) // 5, log_file=self.train_log, no_plot=True,
        )  # fmt: skip
        return Stage(
            "Train",
            (*self._train_command(sizes), *more),
            inputs=(ROOT / self.data / MANIFEST,),
            outputs=(ROOT / self.checkpoint,),
            mark=ROOT / self._step("train.json"),
            log=self._step("train.log"),
            watcher=lambda: UpdateProgress(recipe.updates),
        )

    # -- what it has learnt ------------------------------------------------------------------------------

    def draw(self) -> Stage:
        """The curves."""
        words = flags(names=self.request.name, to=self.to / "training")
        return Stage("Draw the curves", python("plot_training.py", self.train_log, *words))

    @property
    def _measured(self) -> Path:
        return self._step("eval-lm.log")

    def measure(self) -> Stage:
        """The loss on the last tenth of the text."""
        command = stock(
            "fairseq-eval-lm", self.data, *TASK, *BLOCKS,
            *flags(path=self.checkpoint, gen_subset="valid", batch_size=32),
        )  # fmt: skip
        title = "Measure the best checkpoint on the last tenth of the text"
        return Stage(title, command, log=self._measured)

    def bits_per_token(self) -> float:
        """What :meth:`measure` has found.

        Raises:
            UserError: it has not said so.
        """
        told = re.findall(
            r"Loss \(base 2\): ([0-9.]+)", (ROOT / self._measured).read_text("utf-8", errors="replace")
        )
        if not told:
            raise UserError(f"{self._measured} tells no loss; run the command again")
        return float(told[-1])

    def write(self, temperature: str) -> Stage:
        """Samples of a temperature."""
        command = stock(
            "fairseq-generate", self.data, *TASK,
            *flags(
                path=self.checkpoint, gen_subset="prompts", prompts=self.prompts, sampling=True,
                sampling_topp=0.9, temperature=temperature, beam=SAMPLES_EACH, nbest=SAMPLES_EACH,
                max_len_b=CONTEXT, seed=self.request.seed, results_path=self.samples(temperature),
            ),
        )  # fmt: skip
        return Stage(f"Write, temperature {temperature}", command, log=self._step("generate.log"))


def train_model(stages: ImitationStages, runner: Runner) -> None:
    """Run the stages up to a trained model, or pass over what has run.

    Raises:
        UserError: a run in the same folder was begun with other settings, or a command failed.
    """
    check_begun(ROOT / stages.recipe, stages.request)
    stages.check_text()
    (ROOT / stages.checkpoint).parent.mkdir(parents=True, exist_ok=True)
    runner.run(stages.prepare())
    stages.write_prompts()
    for sizes in stages.candidates:
        if not (ROOT / stages.recipe).is_file():
            runner.run(stages.trial(sizes))
            runner.say(stages.decide(sizes))
    runner.run(stages.train())
