"""800,000 accepted rows through the path from units to files: seconds, and what memory holds on the way.

No model draws the samples: an executor writes units of the real format with sentences of random words, among
them 2 % repeats and 2 % near-copies of earlier ones. All that follows is the command's own: every unit read
and verified, filters with what they must remember of all rows (repeats, conflicts, near-duplicates by
MinHash), a second round for what was rejected, rows in parts of 100,000, each read back. Each case is a
process of its own; its peak is the kernel's figure (ru_maxrss), less what it held before the job began.

    python benchmarks/many_rows.py                      # some minutes of one core; writes many_rows.json
    python benchmarks/many_rows.py --rows 8000 --no-write
"""

import argparse
import datetime
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_class  # noqa: E402
from fairseq_plugin.augment.filters.options import FilterOptions  # noqa: E402
from fairseq_plugin.augment.jobs.generate import GenerateRequest, generate  # noqa: E402
from fairseq_plugin.files import atomic_write  # noqa: E402
from fairseq_plugin.jobs.units import write_unit  # noqa: E402
from fairseq_plugin.labelled.prepare import Request, prepare  # noqa: E402
from fairseq_plugin.storage.sample_file import SampleLine  # noqa: E402
from fairseq_plugin.text.codec import load_codec  # noqa: E402

LABELS = ("negative", "positive")
NUM_WORDS, NUM_REAL = 5000, 4000
ROWS_PER_FILE = 100_000
REPEATS, NEAR_COPIES = 0.02, 0.02
MEBI = 2**20


def words() -> list[str]:
    """Words that can be read, the same ones on every machine."""
    chance, found = random.Random(1), set()
    while len(found) < NUM_WORDS:
        syllables = (chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(9))
        found.add("".join(list(syllables)[: chance.choice((1, 2, 2, 3))]) + chance.choice("nrst"))
    return sorted(found)


def sentence(key: int) -> list[int]:
    """Numbers of 8 to 16 words, by a key alone."""
    chance = random.Random(key)
    return chance.choices(range(NUM_WORDS), k=chance.randint(8, 16))


class MadeUnits:
    """An executor whose samples no model has drawn; a sample depends on its id alone.

    Attributes:
        seconds: that the writing of units took; the command would spend them on the model.
    """

    def __init__(self, codec) -> None:
        # The symbols of each word at the beginning of a sentence, and after a space.
        self._first, self._later = (
            [" ".join(map(str, codec.encode(space + word))) for word in words()] for space in ("", " ")
        )
        self.seconds = 0.0

    def run(self, job, units):
        for unit in units:
            began = time.monotonic()
            lines = [self._line(sample_id, unit.label) for sample_id in unit.ids(job.num_labels)]
            write_unit(job.units, unit, job.digest, lines, 0.0)
            self.seconds += time.monotonic() - began
            yield unit

    def _line(self, sample_id: int, label: int) -> SampleLine:
        drawn, chance = sentence(sample_id), random.Random(2 * 10**9 + sample_id)
        if (kind := chance.random()) < REPEATS + NEAR_COPIES and sample_id >= len(LABELS):
            drawn = sentence(chance.randrange(label, sample_id, len(LABELS)))  # an earlier one of the label
            if kind >= REPEATS:
                drawn.append(drawn[0])
        symbols = " ".join([self._first[drawn[0]], *(self._later[number] for number in drawn[1:])])
        return SampleLine(sample_id, 0, symbols, True, -1.5 * len(drawn))

    def model(self, job):
        return None

    def close(self):
        pass


def prepare_data(folder: Path) -> Path:
    """A prepared folder whose train holds every word."""
    vocabulary = words()
    lines = ["sentence\tlabel"]
    for number in range(NUM_REAL):
        drawn = [*sentence(10**9 + number), number % NUM_WORDS, (number + NUM_REAL) % NUM_WORDS]
        lines.append(f"{' '.join(vocabulary[one] for one in drawn)}\t{LABELS[number % 2]}")
    (folder / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = {"train": str(folder / "train.tsv"), "valid": str(folder / "train.tsv")}
    prepare(Request(**source, to=str(folder / "data"), codec="bytes", vocab_size=2000))
    return folder / "data"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Watch:
    """Notes what the process holds at every tenth of the rows that were judged."""

    def __init__(self, rows: int) -> None:
        self._rows, self.held = rows, {}

    def planned(self, num_samples):
        pass

    def made(self, num_samples):
        pass

    def judged(self, acceptance):
        tenth = acceptance.num_added * 10 // self._rows
        if tenth not in self.held:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.held[tenth] = round(pages * os.sysconf("SC_PAGE_SIZE") / MEBI)


def measure(rows: int, near_duplicates: bool) -> dict:
    """One case, in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = prepare_data(folder)
        (folder / "no-model.pt").write_bytes(b"the samples come from no model")
        filters = FilterOptions() if near_duplicates else FilterOptions(near_duplicates=None)
        request = GenerateRequest(
            data, folder / "no-model.pt", folder / "job", str(rows // len(LABELS)),
            filters=filters, rows_per_file=ROWS_PER_FILE,
        )  # fmt: skip
        executor, watch = MadeUnits(load_codec(data)), Watch(rows)
        before, began = peak_mb(), time.monotonic()
        cpu = time.process_time()
        found = generate(request, executor, watch)
        took, peak = time.monotonic() - began, peak_mb()
        counts = found.record.counts.total
        assert counts.kept == sum(file.rows for file in found.record.files.values()) == rows
        return {
            "rows": rows,
            "near_duplicates": near_duplicates,
            "samples": counts.generated,
            "rejected": {reason: count for reason, count in counts.reasons.items() if count},
            "files": len(found.record.files),
            "megabytes_of_rows": round(sum(file.bytes for file in found.record.files.values()) / 1e6, 1),
            "seconds": round(took - executor.seconds, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "seconds_of_making_samples": round(executor.seconds, 1),
            "mb_before": round(before),
            "mb_peak": round(peak),
            "mb_more": round(peak - before),
            "bytes_a_row": round((peak - before) * MEBI / rows),
            "mb_held_by_tenths": watch.held,
        }


def in_a_process(rows: int, near_duplicates: bool) -> dict:
    """One case in a process of its own, so that its peak is no other's."""
    command = [sys.executable, __file__, "--one", str(rows)] + ["--no-near-duplicates"] * (
        not near_duplicates
    )
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--rows", type=int, default=800_000, help="of the large case (default: 800,000)")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--one", type=int, metavar="ROWS", help=argparse.SUPPRESS)
    parser.add_argument("--no-near-duplicates", action="store_true", help="with --one: leave that filter out")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, not args.no_near_duplicates)))
        return
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": machine_class(1),
        "load_before": round(os.getloadavg()[0], 1),
        "samples_are": "sentences of 8 to 16 random words, written as units without a model",
        "cases": [],
    }
    for near in (True, False):
        for rows in (args.rows // 10, args.rows):
            result["cases"].append(in_a_process(rows, near))
            print(json.dumps(result["cases"][-1]), flush=True)
            if not args.no_write:
                with atomic_write(Path(__file__).with_suffix(".json")) as output:
                    output.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
