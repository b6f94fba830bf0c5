"""One text, the same minutes: scripts/imitate.sh against a character model as nanoGPT trains it.

Both train at the same time in processes of their own with the same number of threads, on the same split of
the same text, with the same layers, width, heads and dropout. Compared is the validation loss per character,
in nats: the negative log likelihood of the whole validation text divided by its number of characters. Ours
predicts tokens, whose likelihoods multiply to that of the text; it also pays for the end of the text, which
the characters do not have. Ours spends some of its minutes on validations and samples, the character model's
clock stands still when it is measured.

    python benchmarks/characters.py --minutes 8          # 10 minutes on 2 quiet cores; writes characters.json
    python benchmarks/characters.py TEXT --minutes 1 --no-write
"""

import argparse
import datetime
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.character_model import Trainer  # noqa: E402
from fairseq_plugin.corpus.folder import read_text  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402

TEXT = ROOT.parent / "shared" / "data" / "tinyshakespeare" / "input.txt"


def start_ours(args, folder):
    """``scripts/imitate.sh`` in the background, its output in ``folder/imitate.log``."""
    command = ["bash", ROOT / "scripts" / "imitate.sh", args.text, "--to", folder, "--minutes", args.minutes]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    with open(folder / "imitate.log", "wb") as log:
        return subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=log, env=environment, start_new_session=True
        )


def wait_for_training(process, folder):
    """The recipe of ours, once its training has begun."""
    recipe, log = folder / "recipe", folder / "checkpoints" / "train.log"
    while not (recipe.is_file() and log.is_file()):
        if process.poll() is not None:
            raise SystemExit(f"error: imitate.sh ended early; see {folder / 'imitate.log'}")
        time.sleep(0.2)
    return dict(line.split(" ", 1) for line in recipe.read_text("utf-8").split("\n") if line)


def result_of_ours(process, folder):
    """Wait for the end; ``{"best", "updates", "seconds"}``."""
    status = process.wait()
    said = (folder / "imitate.log").read_text("utf-8", errors="replace")
    loss = re.search(r"validation loss: \S+ bits per token, (\S+) nats per character", said)
    if status or not loss:
        raise SystemExit(f"error: imitate.sh failed; see {folder / 'imitate.log'}:\n{said[-2000:]}")
    console = (folder / "steps" / "train.log").read_text("utf-8", errors="replace")
    updates = max(map(int, re.findall(r'num_updates": "(\d+)"', console)))
    seconds = float(re.search(r"done training in ([\d.]+) seconds", console)[1])
    return {"best": float(loss[1]), "updates": updates, "seconds": round(seconds, 1)}


def machine(args):
    """What kind of machine this is, without its name."""
    name = platform.processor()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        name = found[1] if found else name
    return {"cpu": name, "cores": os.cpu_count(), "threads": args.threads, "torch": torch.__version__}


def compare(args, folder):
    """Train both; the result as a dictionary."""
    torch.set_num_threads(args.threads)
    process = start_ours(args, folder)
    try:
        recipe = wait_for_training(process, folder)
        sizes = {name: int(recipe[name]) for name in ("layers", "width", "heads")} | {
            "dropout": float(recipe["dropout"])
        }
        texts = [read_text(folder / "data", split) for split in ("train", "valid")]
        peer = Trainer(*texts, sizes, 60 * args.minutes).run()
        ours = result_of_ours(process, folder)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # imitate.sh and the training it has started
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(args),
        "text": Path(args.text).parent.name,
        "characters": {"train": len(texts[0]), "valid": len(texts[1])},
        "minutes": args.minutes,
        "sizes": sizes,
        "ours": ours,
        "character_model": peer,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "text", nargs="?", default=TEXT, help="UTF-8 text (default: ../shared/data/tinyshakespeare)"
    )
    parser.add_argument("--minutes", type=float, default=8, help="of training, each; default: 8")
    parser.add_argument("--threads", type=int, default=1, help="of each of the two; default: 1")
    parser.add_argument("--no-write", action="store_true", help="print only; leave the written result alone")
    args = parser.parse_args()
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        result = compare(args, Path(folder)) | {"load_before": load}
    ours, peer = result["ours"]["best"], result["character_model"]["best"]
    print(f"nats per character: ours {ours:.4f}, character model {peer:.4f} ({ours - peer:+.4f})")
    if not args.no_write:
        with atomic_write(Path(__file__).with_suffix(".json")) as stream:
            stream.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
