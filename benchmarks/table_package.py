"""Rows by another package, in the environment that has it. ``tables.py`` calls this; we import none of them.

    PYTHON benchmarks/table_package.py PACKAGE fit TRAIN.csv MODEL --seconds 300 --bpe DIR
    PYTHON benchmarks/table_package.py PACKAGE sample MODEL NEW.csv --rows 3000 --seconds 900
    PYTHON benchmarks/table_package.py PACKAGE rate TRAIN.csv MODEL --bpe DIR    # training rows per second

PACKAGE is be_great, realtabformer, ctgan, tvae or mostlyai; MODEL a folder. The last line that it prints is
JSON: what was done in how many seconds of the processor, which other work on the machine does not change.

Each package runs with its own defaults but for what stands here. be_great and realtabformer get a GPT-2 of
our depth and width from random weights, and our step size: theirs is for pretrained models. They learn for so
many seconds: some steps are timed first, so that the whole decay of their step size falls into that time.

be_great needs GPT-2's BPE (``--bpe``: a folder with ``encoder.json`` and ``vocab.bpe``).
"""

import argparse
import importlib
import json
import os
import signal
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "WANDB_DISABLED": "true",
               "LOKY_MAX_CPU_COUNT": "1"}  # fmt: skip # seconds of other processes would not count

import pandas as pd

SIZE = {"n_layer": 3, "n_embd": 64, "n_head": 4}  # of synthesize.py for tables of this size
STEP_SIZE = 2e-3
BATCH = 64  # rows
TIMED_STEPS, TIMED_EPOCHS = 8, 10


class BeGreat:
    """GReaT: rows as sentences in GPT-2's 50,257 symbols."""

    def __init__(self, frame, folder, args):
        transformers = importlib.import_module("transformers")
        vocabulary, merges = args.bpe / "encoder.json", args.bpe / "vocab.bpe"
        self.start = str(folder / "start")
        self.tokenizer = transformers.GPT2Tokenizer(str(vocabulary), str(merges))
        self.tokenizer.save_pretrained(self.start)
        transformers.set_seed(args.seed)
        config = transformers.GPT2Config(**SIZE, vocab_size=len(self.tokenizer))
        transformers.GPT2LMHeadModel(config).save_pretrained(self.start)
        self.folder, self.frame = folder, frame

    def fit(self, **length):
        """Learn for ``epochs``, or for ``max_steps``."""
        kind = importlib.import_module("be_great").GReaT
        self.model = kind(
            self.start, str(self.folder / "trainer"), length.pop("epochs", 1), BATCH, learning_rate=STEP_SIZE,
            save_strategy="no", use_cpu=True, **length,
        )  # fmt: skip
        self.model.fit(self.frame)

    def save(self):
        self.model.save(str(self.folder / "fitted"))
        (self.folder / "longest.txt").write_text(str(self.longest()))

    def longest(self):
        """Tokens of its longest rows, and some more: no row has an end, so each is sampled up to a length."""
        named = [[f"{name} is {value}" for name, value in zip(self.frame, row)]
                 for row in self.frame.itertuples(index=False)]  # fmt: skip
        lengths = [len(ids) for ids in self.tokenizer([", ".join(row) for row in named])["input_ids"]]
        return max(lengths) + 4

    @staticmethod
    def sampler(folder):
        model = importlib.import_module("be_great").GReaT.load_from_dir(str(folder / "fitted"))
        longest = int((folder / "longest.txt").read_text())
        return lambda rows: model.sample(rows, max_length=longest, device="cpu")


class RealTabFormer:
    """Rows as digits and categories in symbols of their own. Its critic, which samples 1,500 rows for every
    five epochs, is left out."""

    def __init__(self, frame, folder, args):
        self.frame, self.folder, self.seed = frame, folder, args.seed

    def fit(self, **length):
        package, transformers = map(importlib.import_module, ("realtabformer", "transformers"))
        self.model = package.REaLTabFormer(
            "tabular", transformers.GPT2Config(**SIZE), checkpoints_dir=str(self.folder / "checkpoints"),
            samples_save_dir=str(self.folder / "samples"), epochs=length.pop("epochs", 1), batch_size=BATCH,
            random_state=self.seed, gradient_accumulation_steps=1, learning_rate=STEP_SIZE,
            save_strategy="no", report_to=[], **length,
        )  # fmt: skip
        self.model.training_args_kwargs.pop("overwrite_output_dir", None)  # gone from transformers 5
        self.model.fit(self.frame, device="cpu", n_critic=0)

    def save(self):
        self.model.full_save_dir = str(self.model.full_save_dir)  # or its settings are not JSON
        self.model.save(str(self.folder / "fitted"))

    @staticmethod
    def sampler(folder):
        kind = importlib.import_module("realtabformer").REaLTabFormer
        (fitted,) = (folder / "fitted").glob("id*")
        model = kind.load_from_dir(str(fitted))
        return lambda rows: model.sample(n_samples=rows, device="cpu")


class Ctgan:
    """A generative adversarial network over a whole row."""

    name = "CTGAN"

    def __init__(self, frame, folder, args):
        importlib.import_module("torch").manual_seed(args.seed)
        importlib.import_module("numpy").random.seed(args.seed)
        self.frame, self.folder = frame, folder

    def fit(self, epochs):
        self.model = getattr(importlib.import_module("ctgan"), self.name)(epochs=epochs)
        words = [name for name in self.frame if not pd.api.types.is_numeric_dtype(self.frame[name])]
        self.model.fit(self.frame, words)

    def save(self):
        self.model.save(str(self.folder / "fitted.pt"))

    @classmethod
    def sampler(cls, folder):
        # The package's own reader unpickles: a file that this script has just written, nothing else.
        return getattr(importlib.import_module("ctgan"), cls.name).load(str(folder / "fitted.pt")).sample


class Tvae(Ctgan):
    """A variational autoencoder over a whole row."""

    name = "TVAE"


class MostlyAi:
    """TabularARGN: a network per column over the columns before it. It stops early by its own validation."""

    def __init__(self, frame, folder, args):
        self.frame, self.folder, self.seed = frame, folder, args.seed

    def fit(self, epochs):
        self.model = importlib.import_module("mostlyai.engine").TabularARGN(
            max_epochs=epochs, device="cpu", random_state=self.seed, workspace_dir=str(self.folder / "fitted")
        )
        self.model.fit(self.frame)

    def save(self):
        """Its folder holds it already."""

    @staticmethod
    def sampler(folder):
        engine = importlib.import_module("mostlyai.engine")

        def sample(rows):
            engine.generate(workspace_dir=folder / "fitted", sample_size=rows, device="cpu")
            return pd.read_parquet(folder / "fitted" / "SyntheticData")

        return sample


PACKAGES = {
    "mostlyai": MostlyAi,
    "be_great": BeGreat,
    "ctgan": Ctgan,
    "tvae": Tvae,
    "realtabformer": RealTabFormer,
}


def fit(args):
    """Learn and save; ``{"processor", "epochs"}``: seconds of the learning alone."""
    frame = pd.read_csv(args.source)
    args.to.mkdir(parents=True, exist_ok=True)
    package = PACKAGES[args.package](frame, args.to, args)
    length, per_epoch = {"epochs": args.epochs}, -(-len(frame) // BATCH)
    if args.steps or args.seconds:
        length = {"max_steps": args.steps or max(int(args.seconds / seconds_of_a_step(package)), 1)}
    began = time.process_time()
    package.fit(**length)
    seconds = time.process_time() - began
    package.save()
    epochs = length.get("epochs") or round(length["max_steps"] / per_epoch, 2)
    return {"processor": seconds, "epochs": epochs, "rows": len(frame)}


def seconds_of_a_step(package, unit="max_steps", times=TIMED_STEPS):
    """Of a fit's later steps (or epochs); its first one, and what it prepares, are paid once."""
    seconds = []
    for length in (1, 1, 1 + times):  # the very first fit also imports
        began = time.process_time()
        package.fit(**{unit: length})
        seconds.append(time.process_time() - began)
    return (seconds[2] - seconds[1]) / times


def rate(args):
    """Training ``{"rows_per_second"}``."""
    frame = pd.read_csv(args.source)
    args.to.mkdir(parents=True, exist_ok=True)
    package = PACKAGES[args.package](frame, args.to, args)
    if isinstance(package, (Ctgan, MostlyAi)):
        return {"rows_per_second": len(frame) / seconds_of_a_step(package, "epochs", TIMED_EPOCHS)}
    return {"rows_per_second": BATCH / seconds_of_a_step(package)}


def sample(args):
    """Rows to a file; ``{"processor", "rows"}``: seconds, and fewer rows where the time ends and the package
    gives what it has, as be_great does."""
    drawn = PACKAGES[args.package].sampler(args.source)

    def stop(*_):
        raise TimeoutError(f"no more than {args.seconds} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, args.seconds)
    began = time.process_time()
    frame = drawn(args.rows)
    seconds = time.process_time() - began
    signal.setitimer(signal.ITIMER_PROF, 0)
    args.to.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(args.to, index=False)
    return {"processor": seconds, "rows": len(frame)}


ACTIONS = {"fit": fit, "sample": sample, "rate": rate}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("package", choices=list(PACKAGES))
    add("action", choices=list(ACTIONS))
    add("source", type=Path, help="rows to learn, or the folder of a model")
    add("to", type=Path, help="the folder of a model, or new rows")
    add("--seed", type=int, default=1)
    add("--rows", type=int, default=1000, help="to sample")
    add("--epochs", type=int, help="to learn")
    add("--steps", type=int, help="to learn, instead; be_great and realtabformer")
    add("--seconds", type=float, default=0, help="to learn, instead; the most to sample")
    add("--bpe", type=Path, help="folder of GPT-2's BPE")
    args = parser.parse_args()
    print(json.dumps(ACTIONS[args.action](args)))


if __name__ == "__main__":
    main()
