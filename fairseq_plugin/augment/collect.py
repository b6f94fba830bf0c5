"""Generated samples -> an augmented set in the source's own format, with its manifest and report."""

import json
import platform
import random
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from fairseq_plugin.augment.augmented_set import FORMAT, RECORD, REPORT, VERSION, load_record
from fairseq_plugin.augment.filters import KEYS, REASONS, SPLITS, find_reasons, tally
from fairseq_plugin.augment.gather import gather
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, sha256
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.label_folders import write_label_folders
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import Row, read_rows, representable, write_rows
from fairseq_plugin.reports import facts as report_facts
from fairseq_plugin.reports import page
from fairseq_plugin.reports.training_log import find_training_log
from fairseq_plugin.storage.folders import whole_folder
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.text.codec import load_codec

SYNTHETIC = "synthetic"  # stem of the file without real rows, where train.* holds both
_EXAMPLES = 5  # rejected texts shown per reason


@dataclass(frozen=True)
class Wishes:
    """What a person may choose; see the flags of ``scripts/collect.py``."""

    compare: str = "exact"
    keep_copies: tuple = ()
    join_train: bool = False
    shuffle: bool = False
    binary: bool = True
    report: bool = True
    train_log: str | None = None


def collect(folders, data, destination, wishes=Wishes(), overwrite=False):
    """Collect results folders into ``destination``.

    Args:
        folders: ``--results-path`` of every shard or run.
        data: the prepared data folder the samples were made with.
        destination: folder to make: ``train.tsv`` (or .csv, .jsonl), ``manifest.json``, ``report.html``,
            ``binary/``.
        wishes: :class:`Wishes`.
        overwrite: replace an augmented set that stands there.

    Returns:
        The manifest that was written, as a dictionary.

    Raises:
        UserError: anything missing, damaged or of other data; nothing is left behind then.
    """
    began = time.monotonic()
    data, destination = Path(data), Path(destination)
    _check_destination(destination, overwrite)
    manifest, codec = Manifest.load(data), load_codec(data)
    names = [label.name for label in manifest.labels]
    prompts = [label.text + manifest.separator for label in manifest.labels]
    manifest_sha256 = sha256(data / MANIFEST)
    generation = gather(folders, codec.decode, prompts, names, manifest_sha256, data)
    curves, log = find_training_log(wishes.train_log, next(iter(generation.facts.checkpoint), None))
    real = {
        split: read_texts(data, split) for split in ("train", "valid", "test") if split in manifest.splits
    }
    samples = generation.samples
    if not manifest.source.keep_whitespace:  # as the real rows were read
        samples = [replace(sample, text=sample.text.strip()) for sample in samples]
    reasons = _judge(samples, generation.labels, real, manifest.source, codec, wishes)
    counts = tally(generation.labels, reasons, names)
    if not counts["kept"]:
        told = ", ".join(f"{count:,} {reason}" for reason, count in counts["reasons"].items() if count)
        raise UserError(
            f"none of the {counts['generated']:,} samples is kept ({told}); not_ended asks for a higher "
            "--max-len-b, the rest for a longer trained model or another --temperature"
        )
    kept = [
        (label, s.text) for label, s, reason in zip(generation.labels, samples, reasons) if reason is None
    ]
    record = _record(manifest, manifest_sha256, generation, counts, wishes, data)
    with whole_folder(destination) as folder:
        record["files"] = _write_sets(folder, data, kept, real, names, manifest, record["seed"], wishes)
        if wishes.report:
            measured = report_facts.measure(
                [label.text for label in manifest.labels], real, kept, record["seed"]
            )
            record["statistics"] = _statistics(measured)
            rejected = _examples(samples, reasons)
            report = _report(data, manifest, record, measured, rejected, curves, log, generation)
            with atomic_write(folder / REPORT) as stream:
                stream.write(page.render(report))
        record["time"] = {
            "collected": datetime.now(UTC).isoformat(timespec="seconds"),
            "collect_seconds": round(time.monotonic() - began, 3),
        }
        with atomic_write(folder / RECORD) as stream:
            json.dump(record, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
    return record


def _check_destination(destination, overwrite):
    if not destination.exists():
        return
    if not overwrite:
        raise UserError(f"--to {destination} exists; give another folder, or --overwrite to replace it")
    if load_record(destination) is None:
        raise UserError(
            f"--to {destination} is not an augmented set, so --overwrite does not touch it; remove it "
            "yourself"
        )


def _judge(samples, labels, real, source, codec, wishes):
    key = KEYS[wishes.compare]
    known = {split: {key(text) for _, text in rows} for split, rows in real.items()}
    # A given sentencepiece model may alter what it writes itself (two spaces, say): no exact binary form
    # then.
    texts = list({sample.text for sample in samples})
    inexact = {text for text, ids in zip(texts, codec.try_encode_batch(texts)) if ids is None}

    def fits(text):
        return text not in inexact and representable(text, source)

    return find_reasons(samples, labels, known, fits, key, wishes.keep_copies)


def _write_sets(folder, data, kept, real, names, manifest, seed, wishes):
    """Write the text files and the binary form.

    Returns:
        ``{file name: {"rows", "real", "synthetic", "bytes", "sha256"}}`` of the text files.
    """
    rows = (real["train"] if wishes.join_train else []) + kept
    if wishes.shuffle:
        random.Random(seed).shuffle(rows)
    contents = {f"train.{manifest.source.format}": (rows, len(rows) - len(kept))}
    if wishes.join_train:
        contents[f"{SYNTHETIC}.{manifest.source.format}"] = (kept, 0)
    files = {}
    for name, (content, num_real) in contents.items():
        path = folder / name
        written = [Row(text, names[label]) for label, text in content]
        write_rows(path, written, manifest.source)
        _check_reads_back(path, written, manifest.source)
        sizes = {"rows": len(written), "real": num_real, "synthetic": len(written) - num_real}
        files[name] = sizes | {"bytes": path.stat().st_size, "sha256": sha256(path)}
    if wishes.binary:
        write_label_folders(folder / "binary", real | {"train": rows}, data)
    return files


def _check_reads_back(path, written, source):
    """A file gets its final name only if reading it gives the rows back."""
    read, rejected = read_rows(path, source)
    if rejected or [(row.text, row.label) for row in read] != [(row.text, row.label) for row in written]:
        raise AssertionError(
            f"{path.name} does not read back to its {len(written)} rows: a bug, please report it"
        )


def _record(manifest, manifest_sha256, generation, counts, wishes, data):
    facts, tokens, seconds = generation.facts, generation.tokens, generation.seconds
    choices = asdict(wishes) | {"keep_copies": list(wishes.keep_copies)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": {"name": data.resolve().name, "manifest_sha256": manifest_sha256},
        "source": manifest.source.to_json(),
        "checkpoint": [
            {"path": path, "sha256": digest}
            for path, digest in zip(facts.checkpoint, facts.checkpoint_sha256)
        ],
        "seed": facts.seed,
        "settings": facts.settings,
        "runs": [part.to_json() for part in generation.parts],
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
        "collect": choices,
        "counts": counts,
        "versions": _versions(),
    }


def _versions():
    found = {"python": platform.python_version()}
    for name in ("fairseq-scalegrad", "fairseq-fixed", "torch", "numpy", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _statistics(measured):
    """The figures of the report without its texts and drawings."""
    return {
        "words_per_sentence": {part: measured["lengths"][part] for part in ("median", "mean")},
        "distinct": measured["distinct"],
        "novelty": measured["novelty"],
    }


def _examples(samples, reasons):
    examples = {reason: [] for reason in REASONS}
    for sample, reason in zip(samples, reasons):
        if reason is not None and len(examples[reason]) < _EXAMPLES:
            examples[reason].append(sample.text)
    return examples


def _report(data, manifest, record, measured, rejected, curves, log, generation):
    """What :func:`page.render` shows."""
    compare = record["collect"]["compare"]
    how = "as they stand" if compare == "exact" else "without regard to case and spacing"
    notes = [f"Sentences count as equal when they are so {how}, without the white space around them."]
    if record["collect"]["keep_copies"]:
        notes.append(
            f"Copies of {', '.join(record['collect']['keep_copies'])} sentences were kept on request."
        )
    if record["collect"]["join_train"]:
        notes.append(
            "The training file holds the real training set too; this page measures the new rows alone."
        )
    lines = [("data", f"{record['data']['name']}, manifest sha256 {record['data']['manifest_sha256']}")]
    lines += [("checkpoint", f"{one['path']}, sha256 {one['sha256']}") for one in record["checkpoint"]]
    lines += [
        (name, f"{own['rows']:,} rows, sha256 {own['sha256']}") for name, own in record["files"].items()
    ]
    lines += [("seed", record["seed"])]
    lines += [(name.replace("_", " "), value) for name, value in record["settings"].items()]
    lines += [
        (
            "tokens",
            f"{record['tokens']:,} in {record['seconds']} s of {len(record['runs'])} run(s), added up",
        ),
        ("started", ", ".join(str(part.started) for part in generation.parts)),
        (
            "versions",
            ", ".join(f"{name} {version}" for name, version in record["versions"].items() if version),
        ),
    ]
    return {
        "name": record["data"]["name"],
        "labels": [(label.name, label.text) for label in manifest.labels],
        "counts": record["counts"],
        "reasons": REASONS,
        "facts": measured,
        "curves": curves,
        "log": log,
        "rejected": rejected,
        "seed": record["seed"],
        "tokens": record["tokens"],
        "seconds": record["seconds"],
        "provenance": lines,
        "notes": notes,
    }


def keepable_splits():
    """Splits whose copies may be kept."""
    return sorted(SPLITS)
