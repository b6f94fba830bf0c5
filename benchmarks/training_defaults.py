"""Which settings should train a small GPT-2 on a small labelled set? Measured; augment.py takes the answer.

Sets of k training rows per class (and a valid set of k rows per class, which decides when to stop) are cut
from larger ones; every setting is trained by fairseq-train, and its best checkpoint is measured on one test
set that no training has seen: nats per character of a sentence given its label. Lower is better. The seconds
say little: other work ran beside some of the trainings.

    python benchmarks/training_defaults.py --data DIR     # DIR holds sst2/ and atis/; two hours on 2 cores

Without ``--data`` only the embedded reviews are measured. Every point is written as soon as it is there; the
same command goes on.
"""

import argparse
import json
import math
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402
from fairseq_plugin.labelled.manifest import Manifest  # noqa: E402

BIN = Path(sys.executable).parent
RESULT = Path(__file__).with_suffix(".json")
BATCH = 2048  # tokens of an update, padding included: 512 in a batch, four batches
TEST_ROWS = 400


@dataclass(frozen=True)
class Setting:
    """What is varied; ``updates`` 0: as many epochs as quickstart.sh used to run, without stopping early."""

    lr: float
    dropout: float
    vocabulary: int
    updates: int = 800
    warmup: int = 50
    weight_decay: float = 0.01

    @property
    def name(self) -> str:
        length = f"{self.updates} updates, stops early" if self.updates else "3 to 40 epochs"
        return f"lr {self.lr:g}, dropout {self.dropout:g}, vocabulary {self.vocabulary}, {length}"


SETTINGS = (
    Setting(3e-3, 0.1, 2000, updates=0, warmup=100),
    Setting(3e-3, 0.1, 2000),
    Setting(3e-3, 0.3, 2000),
    Setting(1e-3, 0.1, 2000),
    Setting(1e-3, 0.3, 2000),
    Setting(1e-3, 0.3, 500),
    Setting(1e-3, 0.1, 500),
)
SIZES = (10, 100, 1000)


def read(path: Path) -> dict[str, list[str]]:
    """``{label: its different sentences}`` of a TSV with a header."""
    found: dict[str, dict[str, None]] = {}
    for line in path.read_text("utf-8").splitlines()[1:]:
        text, _, label = line.rpartition("\t")
        found.setdefault(label, {})[text.strip()] = None
    return {label: list(texts) for label, texts in found.items()}


def sources(work: Path, data: Path | None) -> dict[str, dict[str, list[str]]]:
    """The sets to cut from: by name, sentences by label."""
    reviews = work / "reviews"
    if not (reviews / "train.tsv").exists():
        command = [sys.executable, ROOT / "scripts" / "make_reviews.py", "--to", reviews, "--noise", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = {"reviews, 2 classes": read(reviews / "train.tsv")}
    if data is not None:
        found["SST-2, 2 classes"] = read(data / "sst2" / "train.tsv")
        atis = read(data / "atis" / "train.tsv")
        most = sorted(atis, key=lambda label: -len(atis[label]))[:6]
        found["ATIS, 6 classes"] = {label: atis[label] for label in most}
    return found


def cut(texts: dict[str, list[str]], k: int, folder: Path) -> None:
    """Write train, valid and test files; a class with too few sentences gives what it has."""
    folder.mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for label, own in texts.items():
        own = random.Random(f"{label} {k}").sample(own, len(own))
        test = min(TEST_ROWS // len(texts), len(own) // 3)
        size = min(k, (len(own) - test) // 2)
        parts = {"test": own[:test], "valid": own[test : test + size], "train": own[test + size :][:size]}
        for split, part in parts.items():
            splits[split] += [f"{text}\t{label}" for text in part]
    for split, lines in splits.items():
        (folder / f"{split}.tsv").write_text("\n".join(["sentence\tlabel", *lines, ""]), "utf-8")


def call(*words: object, log: Path) -> str:
    done = subprocess.run(
        list(map(str, words)), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONWARNINGS": "ignore", "OMP_WAIT_POLICY": "passive"},
    )  # fmt: skip
    log.write_text(done.stdout)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout[-3000:]}")
    return done.stdout


def measure(folder: Path, setting: Setting) -> dict[str, float]:
    """Train with one setting on the files of ``folder`` and measure the best checkpoint."""
    place = folder / re.sub(r"[^a-z0-9.]+", "-", setting.name)
    data, save = place / "data", place / "checkpoints"
    place.mkdir(exist_ok=True)
    call(
        sys.executable, "scripts/prepare_labelled.py", folder / "train.tsv", "--valid", folder / "valid.tsv",
        "--test", folder / "test.tsv", "--to", data, "--codec", "bytes", "--vocab-size", setting.vocabulary,
        "--max-tokens", 256, log=place / "prepare.log",
    )  # fmt: skip
    tokens = Manifest.load(data).splits["train"].tokens
    updates_per_epoch = max(1, round(1.2 * tokens / BATCH))
    limit = ["--max-epoch", min(40, max(3, 1_600_000 // tokens))]
    if setting.updates:
        # About forty validations, whatever the size of the set: more of them cost more than the training.
        interval = max(1, round(setting.updates / 40 / updates_per_epoch))
        limit = ["--max-update", setting.updates, "--patience", 8]
        limit += ["--validate-interval", interval, "--save-interval", interval]
    start = time.monotonic()
    task = ["--user-dir", "fairseq_plugin", "--task", "conditional_augmentation"]
    call(
        BIN / "fairseq-train", data, *task, "--arch", "gpt2_tiny", "--criterion", "scale_grad",
        "--gamma", 0.5,
        "--optimizer", "fused_adamw", "--lr", setting.lr, "--lr-scheduler", "inverse_sqrt",
        "--warmup-updates", setting.warmup, "--clip-norm", 1.0, "--weight-decay", setting.weight_decay,
        "--dropout", setting.dropout, "--max-tokens", 512, "--update-freq", 4, "--seed", 1, *limit,
        "--no-epoch-checkpoints", "--no-last-checkpoints", "--save-dir", save, "--log-format", "json",
        log=place / "train.log",
    )  # fmt: skip
    seconds = time.monotonic() - start
    said = call(
        BIN / "fairseq-eval-lm", data, *task, "--path", save / "checkpoint_best.pt", "--gen-subset", "test",
        "--max-tokens", 4096, log=place / "eval.log",
    )  # fmt: skip
    num_tokens = int(re.findall(r"Evaluated ([\d,]+) tokens", said)[0].replace(",", ""))
    bits = float(re.findall(r"Loss \(base 2\): ([\d.]+)", said)[0])
    characters = sum(
        len(line.rpartition("\t")[0]) + 1  # the end counts as one
        for line in (folder / "test.tsv").read_text("utf-8").splitlines()[1:]
    )
    nats = num_tokens * bits * math.log(2)
    return {"nats_per_character": round(nats / characters, 4), "seconds": round(seconds, 1)}


def markdown(points: list[dict]) -> str:
    """A table per set: settings down, sizes across."""
    lines = ["# Which settings train a small set?", "", *(str(__doc__).split("\n\n")[1].split("\n")), ""]
    for name in dict.fromkeys(point["set"] for point in points):
        own = {(p["k"], p["setting"]): p for p in points if p["set"] == name}
        sizes = sorted({k for k, _ in own})
        head = ["setting", *(f"k = {k}: nats per character (seconds)" for k in sizes)]
        cells = [
            [s.name, *(_cell(own.get((k, s.name))) for k in sizes)]
            for s in SETTINGS
            if any((k, s.name) in own for k in sizes)
        ]
        rule = ["---", *("---:" for _ in sizes)]
        lines += [f"## {name}", "", *(f"| {' | '.join(row)} |" for row in (head, rule, *cells)), ""]
    return "\n".join(lines)


def _cell(point: dict | None) -> str:
    return "" if point is None else f"{point['nats_per_character']:.3f} ({point['seconds']:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with sst2/ and atis/")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "training_defaults", help="folder")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="training rows per class")
    parser.add_argument("--settings", type=int, nargs="+", default=range(1, len(SETTINGS) + 1),
        help="which of them, by their number in the page's tables")  # fmt: skip
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    points = json.loads(RESULT.read_text())["points"] if RESULT.exists() else []
    done = {(p["set"], p["k"], p["setting"]) for p in points}
    for k in args.sizes:
        for name, texts in sources(args.work, args.data).items():
            folder = args.work / f"{name.split(',')[0]}-{k}"
            cut(texts, k, folder)
            for setting in (SETTINGS[number - 1] for number in args.settings):
                if (name, k, setting.name) in done:
                    continue
                point = {"set": name, "k": k, "setting": setting.name, **asdict(setting)}
                points.append(point | measure(folder, setting))
                print(f"{name}, k = {k}, {setting.name}: {_cell(points[-1])}", flush=True)
                result = {"machine": machine_class(os.cpu_count() or 1), "points": points}
                with atomic_write(RESULT) as stream:
                    json.dump(result, stream, indent=1)
                with atomic_write(RESULT.with_suffix(".md")) as stream:
                    stream.write(markdown(points))


if __name__ == "__main__":
    main()
