"""Text -> token files: scripts/prepare_text.py against fairseq's two official steps with GPT-2's BPE.

The official way is examples/roberta's: a pool of processes encodes lines with fairseq's Python BPE (here the
same loop over the same encoder), then fairseq-preprocess turns the symbols into binary files. Both ways start
as fresh commands, use the same number of workers, and take turns, so that a machine that gets slower or
faster meets both alike; a ratio is taken within a turn. Ours encodes the line breaks too and keeps documents;
theirs drops blank space at the ends of lines and puts </s> after each. The ids of all lines are compared
once, before.

    python benchmarks/prepare_text.py                  # some minutes on 2 cores; writes prepare_text.json
    python benchmarks/prepare_text.py --rounds 1 --no-write
"""

import argparse
import datetime
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fairseq_plugin.files import atomic_write  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
BPE = DATA / "gpt2-bpe"
TEXTS = ("wikitext-2/valid.txt", "wikitext-2/test.txt", "tinyshakespeare/input.txt")
NEEDED = 6.0  # times faster

_encoder = None


# -- the official way: fairseq's multiprocessing BPE encoder -----------------------------------------------


def start_encoder():
    from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

    global _encoder
    _encoder = get_encoder(BPE / "encoder.json", BPE / "vocab.bpe")


def encode_line(line):
    return " ".join(map(str, _encoder.encode(line.strip())))


def encode_file(source, destination, workers):
    """What examples/roberta/multiprocessing_bpe_encoder.py does with ``--keep-empty``."""
    import fairseq.data.encoders.gpt2_bpe_utils  # noqa: F401  (once, before the pool forks, as there)

    with (
        open(source, encoding="utf-8") as lines,
        open(destination, "w", encoding="utf-8") as output,
        multiprocessing.Pool(workers, start_encoder) as pool,
    ):
        for encoded in pool.imap(encode_line, lines, 100):
            print(encoded, file=output)


# -- both ways as commands ---------------------------------------------------------------------------------


def official(text, folder, workers):
    """The two commands, in order."""
    here = [sys.executable, __file__, "--encode", text, folder / "text.bpe", "--workers", workers]
    preprocess = [
        Path(sys.executable).parent / "fairseq-preprocess", "--only-source",
        "--trainpref", folder / "text.bpe", "--srcdict", BPE / "dict.txt",
        "--destdir", folder / "theirs", "--workers", workers,
    ]  # fmt: skip
    return [here, preprocess]


def ours(text, folder, workers):
    return [[
        sys.executable, ROOT / "scripts" / "prepare_text.py", text, "--to", folder / "ours",
        "--codec", "gpt2",        "--gpt2-bpe", BPE, "--workers", workers,
    ]]  # fmt: skip


def run(commands):
    """``(seconds, peak bytes of the largest process)`` of commands one after the other."""
    start, peak = time.perf_counter(), 0
    for command in commands:
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        error = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(map(str, command))}\n{error.decode()[-2000:]}")
        peak = max(peak, usage.ru_maxrss * 1024)
    return time.perf_counter() - start, peak


def measure(text, args):
    """Seconds and peak bytes of each way, by round."""
    found = {"ours": [], "official": []}
    for _ in range(args.rounds):
        for name, commands in (("ours", ours), ("official", official)):
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(run(commands(text, Path(folder), args.workers)))
    return found


def different_lines(text):
    """Number of lines whose ids differ between the two encoders, and the number of lines."""
    from fairseq_plugin.text.codec import load_codec

    start_encoder()
    lines = [line.strip() for line in text.read_text("utf-8").split("\n")]
    rows = load_codec(BPE).encode_batch(lines)
    return sum(row != _encoder.encode(line) for row, line in zip(rows, lines, strict=True)), len(lines)


def machine(workers):
    """What kind of machine this is, without its name."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        names = [
            line for line in Path("/proc/cpuinfo").read_text().split("\n") if line.startswith("model name")
        ]
        model = names[0].partition(":")[2].strip() if names else model
    return {"cpu": model, "cores": os.cpu_count(), "workers": workers, "python": platform.python_version()}


def summarise(found, size):
    """Seconds (median), MB/s and peaks of each way, and the ratio within a turn (median, least, most)."""
    seconds = {name: [taken for taken, _ in runs] for name, runs in found.items()}
    ratios = [theirs / our for our, theirs in zip(seconds["ours"], seconds["official"], strict=True)]
    result = {
        name: {
            "seconds": round(statistics.median(taken), 2),
            "mb_per_s": round(size / 1e6 / statistics.median(taken), 2),
            "peak_mb_of_largest_process": round(max(peak for _, peak in found[name]) / 1e6),
        }
        for name, taken in seconds.items()
    }
    return result | {"times_faster": [round(f(ratios), 2) for f in (statistics.median, min, max)]}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of both ways, >= 1")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="workers of both ways")
    parser.add_argument("--no-write", action="store_true", help="print only; leave the written result alone")
    parser.add_argument(
        "--encode", nargs=2, metavar=("TEXT", "OUTPUT"), help="one step of the official way, alone"
    )
    args = parser.parse_args()
    if args.encode:
        return encode_file(*args.encode, args.workers)
    sources = [DATA / name for name in TEXTS]
    if not (all(source.is_file() for source in sources) and BPE.is_dir()):
        raise SystemExit(
            "error: this benchmark needs wikitext-2, tinyshakespeare and gpt2-bpe in ../shared/data beside "
            "the repository"
        )
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_bytes(b"".join(source.read_bytes() for source in sources))
        result = {
            "date": datetime.date.today().isoformat(),
            "machine": machine(args.workers),
            "text": f"WikiText-2 valid and test, tinyshakespeare: {text.stat().st_size / 1e6:.1f} MB",
            "rounds": args.rounds,
            "load_before": load,  # above 0.5 the seconds say little; the ratios suffer less
            **summarise(measure(text, args), text.stat().st_size),
        }
        result["different_lines"], result["lines"] = different_lines(text)
    median, least, most = result["times_faster"]
    for name in ("ours", "official"):
        way = result[name]
        print(
            f"{name}: {way['seconds']} s, {way['mb_per_s']} MB/s, peak {way['peak_mb_of_largest_process']} MB"
        )
    print(f"{median} times faster ({least} to {most}); needed: {NEEDED}")
    print(f"{result['different_lines']} of {result['lines']} lines have other ids")
    if not args.no_write:
        with atomic_write(Path(__file__).with_suffix(".json")) as stream:
            stream.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
