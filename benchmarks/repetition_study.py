"""The study: do small GPT-2s that learn from scratch repeat themselves less under ScaleGrad or unlikelihood?

Two texts (WikiText-2's validation part as training text, tinyshakespeare), six objectives, several seeds; the
stock ``fairseq-train`` learns, ``scripts/evaluate_lm.py`` measures. Each run has one thread, ``--processes``
run at once. A killed study goes on where it stopped; finished runs are not done again.

    python benchmarks/repetition_study.py --data DIR                 # an hour on 2 cores; seeds 1, 2, 3
    python benchmarks/repetition_study.py --data DIR --seeds 1 --texts tinyshakespeare --no-write

DIR holds ``wikitext-2/valid.txt``, ``wikitext-2/test.txt`` and ``tinyshakespeare/input.txt``. Writes
``repetition_study.json``, the tables of ``repetition_study.md`` (between its markers; the words around them
are kept) and the pictures beside it.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import study_report  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402

BIN = Path(sys.executable).parent
PREFIX, NEW, WINDOW = 50, 100, 256
DECODINGS = "greedy,beam=5,top-p=0.9"


@dataclass(frozen=True)
class Text:
    """A text to learn from: files by split, or one file cut into contiguous parts."""

    name: str
    vocabulary: int
    updates: int


@dataclass(frozen=True)
class Objective:
    """What is minimised; ``start`` names the objective whose best checkpoint the run goes on from."""

    name: str
    title: str
    flags: tuple
    start: str | None = None


TEXTS = (Text("tinyshakespeare", 1000, 1000), Text("wikitext-2", 1000, 500))
SCALE_GRAD = ("--criterion", "scale_grad", "--gamma")
OBJECTIVES = (
    Objective("mle", "maximum likelihood", (*SCALE_GRAD, "1")),
    Objective("ul-token", "unlikelihood, token", ("--criterion", "unlikelihood", "--alpha", "1")),
    Objective("sg-0.8", "ScaleGrad 0.8", (*SCALE_GRAD, "0.8")),
    Objective("sg-0.5", "ScaleGrad 0.5", (*SCALE_GRAD, "0.5")),
    Objective("sg-0.2", "ScaleGrad 0.2", (*SCALE_GRAD, "0.2")),
    Objective(
        "ul-sequence",
        "unlikelihood, sequence (after maximum likelihood)",
        ("--criterion", "unlikelihood", "--alpha", "0", "--sequence-share", "0.5"),
        start="mle",
    ),
)
SEQUENCE_UPDATES = 120


class Study:
    """Runs what is missing in ``folder`` and tells where the results are."""

    def __init__(self, data, folder, texts, seeds, max_prefixes):
        self.data, self.folder, self.texts = Path(data), Path(folder), texts
        self.seeds, self.max_prefixes = seeds, max_prefixes

    def prepare(self, text):
        """The binarised text, made once."""
        to = self.folder / text.name / "data"
        if (to / "manifest.json").is_file():
            return to
        source = self.data / text.name
        if text.name == "wikitext-2":
            valid, test = self._two_parts(source / "test.txt")
            files = [source / "valid.txt", "--valid", valid, "--test", test]
        else:
            files = [source / "input.txt", "--split", "0.9,0.05,0.05"]
        call(
            [sys.executable, ROOT / "scripts" / "prepare_text.py", *files, "--to", to, "--codec", "bytes",
             "--vocab-size", text.vocabulary, "--workers", 1],
            to.parent / "prepare.log",
        )  # fmt: skip
        return to

    def _two_parts(self, path):
        """WikiText-2's test part as valid and test, cut at the article nearest to its first fifth."""
        lines = path.read_text("utf-8").split("\n")
        starts = [n for n, line in enumerate(lines) if line.startswith(" = ") and not line.startswith(" = =")]
        cut = min(starts, key=lambda n: abs(n - len(lines) / 5))
        paths = [self.folder / "wikitext-2" / f"{part}.txt" for part in ("valid", "test")]
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        for path, part in zip(paths, ("\n".join(lines[:cut]) + "\n", "\n".join(lines[cut:]))):
            with atomic_write(path) as stream:
                stream.write(part)
        return paths

    def run_of(self, text, objective, seed):
        return self.folder / text.name / f"{objective.name}-seed-{seed}"

    def results_of(self, text, objective, seed):
        return self.run_of(text, objective, seed) / "evaluation" / "results.json"

    def found(self):
        """``{text: {objective: {seed: path of results.json}}}`` of what is done.

        A seed counts once its "mle" is done.
        """
        found = {}
        for text in self.texts:
            seeds = [seed for seed in self.seeds if self.results_of(text, OBJECTIVES[0], seed).is_file()]
            done = {
                objective.name: {
                    seed: path for seed in seeds if (path := self.results_of(text, objective, seed)).is_file()
                }
                for objective in OBJECTIVES
            }
            if seeds:
                found[text.name] = {name: paths for name, paths in done.items() if paths}
        return found

    def do(self, text, objective, seed, before=None):
        """Train and evaluate one run, unless it is done; ``before``: the future of the run it needs."""
        if before is not None:
            before.result()
        run = self.run_of(text, objective, seed)
        if self.results_of(text, objective, seed).is_file():
            return
        run.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        if not (run / "trained").is_file():
            call(self._training(text, objective, seed, run), run / "train.console")
            (run / "trained").touch()
        trained = time.monotonic()
        checkpoint = run / ("checkpoint_last.pt" if objective.start else "checkpoint_best.pt")
        call(
            [sys.executable, ROOT / "scripts" / "evaluate_lm.py", f"{objective.name}={checkpoint}",
             "--data", self.folder / text.name / "data", "--split", "test", "--window", WINDOW,
             "--decoding", DECODINGS, "--prefix-tokens", PREFIX, "--new-tokens", NEW, "--seed", seed,
             "--max-prefixes", self.max_prefixes, "--to", run / "evaluation", "--threads", 1],
            run / "evaluate.console",
        )  # fmt: skip
        done = time.monotonic()
        print(
            f"{run.relative_to(self.folder)}: training {trained - began:.0f} s, "
            f"evaluation {done - trained:.0f} s",
            flush=True,
        )

    def _training(self, text, objective, seed, run):
        length = ["--lr", "3e-3", "--max-update", text.updates, "--warmup-updates", 50]
        if objective.start:
            start = self.run_of(text, next(o for o in OBJECTIVES if o.name == objective.start), seed)
            length = ["--lr", "5e-4", "--max-update", SEQUENCE_UPDATES, "--warmup-updates", 10,
                      "--finetune-from-model", start / "checkpoint_best.pt"]  # fmt: skip
        return [
            BIN / "fairseq-train", self.folder / text.name / "data", "--user-dir", ROOT / "fairseq_plugin",
            "--task", "language_modeling", "--tokens-per-sample", WINDOW, "--sample-break-mode", "none",
            "--arch", "gpt2_tiny", "--dropout", "0.1", "--compute-dtype", "bf16", *objective.flags,
            "--optimizer", "fused_adamw", "--weight-decay", "0.1", "--clip-norm", "1.0", *length,
            "--lr-scheduler", "cosine", "--warmup-init-lr", "1e-6", "--min-lr", "1e-5", "--batch-size", 8,
            "--seed", seed, "--save-dir", run, "--no-epoch-checkpoints", "--validate-interval-updates", 150,
            "--cpu", "--num-workers", 0, "--log-format", "json", "--log-interval", 50, "--log-file",
            run / "train.log", "--no-progress-bar",
        ]  # fmt: skip


def call(command, console):
    """Run a command on one thread, its words in a file.

    Raises:
        UserError: it failed; names the file.
    """
    console.parent.mkdir(parents=True, exist_ok=True)
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with open(console, "a", encoding="utf-8") as stream:
        status = subprocess.run(
            [str(word) for word in command], stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT,
            env={**os.environ, **one, "TOKENIZERS_PARALLELISM": "false"}, check=False,
        ).returncode  # fmt: skip
    if status:
        raise UserError(
            f"{Path(command[0]).name} ended with status {status}; its last words are in {console}"
        )


def run_all(study, args):
    """Everything that is missing, ``--processes`` runs at once.

    A seed of a text at a time, so that a study that is cut short has whole seeds.
    """
    for text in study.texts:
        study.prepare(text)
    with ThreadPoolExecutor(args.processes) as pool:
        jobs = []
        for text in study.texts:
            for seed in args.seeds:
                of_seed = {}
                for (
                    objective
                ) in OBJECTIVES:  # one that goes on from another stands behind it, in the pool too
                    before = of_seed.get(objective.start)
                    of_seed[objective.name] = pool.submit(study.do, text, objective, seed, before)
                jobs += of_seed.values()
        for job in jobs:
            job.result()


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    names = [text.name for text in TEXTS]
    parser.add_argument(
        "--data", default=ROOT.parent / "shared" / "data", metavar="DIR", help="the public texts"
    )
    parser.add_argument(
        "--to", default=ROOT / "runs" / "repetition-study", metavar="DIR", help="folder of the runs"
    )
    parser.add_argument("--texts", nargs="+", default=names, choices=names)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--max-prefixes", type=int, default=60, metavar="N", help="prefixes continued (default: 60)"
    )
    parser.add_argument("--processes", type=int, default=2, help="runs at once, one thread each (default: 2)")
    parser.add_argument(
        "--report", action="store_true", help="run nothing, report on the runs that are complete"
    )
    parser.add_argument("--no-write", action="store_true", help="leave the results beside this script alone")
    args = parser.parse_args()

    texts = [text for text in TEXTS if text.name in args.texts]
    study = Study(args.data, args.to, texts, args.seeds, args.max_prefixes)
    if not args.report:
        run_all(study, args)
    found = study.found()
    if not found:
        raise UserError(f"--to {args.to} holds no run that is done; run the study first")
    titles = {objective.name: objective.title for objective in OBJECTIVES}
    report = study_report.read(found, titles)
    print("\n".join(study_report.tables(report)))
    if not args.no_write:
        study_report.write(report, Path(__file__).with_suffix(""))


if __name__ == "__main__":
    main()
