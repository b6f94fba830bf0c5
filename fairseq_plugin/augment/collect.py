"""Generated samples -> an augmented set in the source's own format, with its record and report."""

import platform
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from fairseq_plugin.augment.augmented_set import RECORD, REPORT, Options, SetRecord, is_augmented_set
from fairseq_plugin.augment.filters import KEYS, SPLITS, control_characters, find_reasons, tally
from fairseq_plugin.augment.gather import Generation, gather
from fairseq_plugin.augment.read_generation import Sample
from fairseq_plugin.augment.set_report import make_report
from fairseq_plugin.augment.write_sets import Examples, other_columns, write_sets
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write, sha256
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import SourceSpec, representable
from fairseq_plugin.reports import facts, page
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.training_log import find_training_log
from fairseq_plugin.storage.folders import Place, whole_folder
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.storage.sealed import write_sealed
from fairseq_plugin.text.codec import Codec, load_codec


@dataclass(frozen=True)
class Verdicts:
    """Samples in the order of their ids, and why each is not kept (None: it is)."""

    samples: list[Sample]
    labels: list[int]
    reasons: list[str | None]

    @property
    def kept(self) -> list[tuple[int, str]]:
        """Label index and text of each kept sample."""
        together = zip(self.labels, self.samples, self.reasons, strict=True)
        return [(label, sample.text) for label, sample, reason in together if reason is None]


def collect(
    folders: Sequence[str | Path],
    data: str | Path,
    destination: str | Path,
    options: Options | None = None,
    overwrite: bool = False,
) -> SetRecord:
    """Collect results folders into ``destination``.

    Args:
        folders: ``--results-path`` of every shard or run.
        data: the prepared data folder the samples were made with.
        destination: folder to make: ``train.tsv`` (or .csv, .jsonl), ``manifest.json``, ``report.html``,
            ``binary/``.
        options: see the class; None: all defaults.
        overwrite: replace the augmented set that is there now.

    Returns:
        The record that was written.

    Raises:
        UserError: anything missing, damaged or of other data; nothing is left behind then.
    """
    began, options = time.monotonic(), options or Options()
    data, place = Path(data), _look_at(destination, overwrite)
    manifest, codec = Manifest.load(data), load_codec(data)
    prompts = [label.text + manifest.separator for label in manifest.labels]
    names = [label.name for label in manifest.labels]
    generation = gather(folders, codec.decode, prompts, names, sha256(data / MANIFEST), data)
    curves, log = find_training_log(options.train_log, next(iter(generation.facts.checkpoint), None))
    real = {split: read_texts(data, split) for split in SPLITS if split in manifest.splits}
    verdicts = _judge(generation, real, manifest.source, codec, options)
    record = _record(manifest, generation, verdicts, options, data)
    with whole_folder(place) as folder:
        files = write_sets(folder, data, verdicts.kept, real, manifest, record.seed, options)
        record = replace(record, files=files)
        if options.report:
            measured = facts.measure(
                [label.text for label in manifest.labels], real, verdicts.kept, record.seed
            )
            record = replace(record, statistics=_statistics(measured))
            report = make_report(
                manifest,
                record,
                measured,
                verdicts.samples,
                verdicts.reasons,
                real,
                verdicts.kept,
                curves,
                log,
            )
            with atomic_write(folder / REPORT) as stream:
                stream.write(page.render(report))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        seconds = round(time.monotonic() - began, 3)
        record = replace(record, time={"collected": now, "collect_seconds": seconds})
        write_sealed(folder / RECORD, record.to_json())
    return record


def _look_at(destination: str | Path, overwrite: bool) -> Place:
    """The place as it is now; what appears there later is not replaced."""
    place = Place.look(destination)
    if place.seen is None:
        return place
    if not overwrite:
        raise UserError(f"--to {destination} exists; give another folder, or --overwrite to replace it")
    if not is_augmented_set(destination):
        raise UserError(
            f"--to {destination} is not an augmented set, so --overwrite does not touch it; remove it "
            "yourself"
        )
    return place


def _judge(
    generation: Generation, real: Mapping[str, Examples], source: SourceSpec, codec: Codec, options: Options
) -> Verdicts:
    samples = generation.samples
    if not source.keep_whitespace:  # as the real rows were read
        samples = [replace(sample, text=sample.text.strip()) for sample in samples]
    key = KEYS[options.compare]
    known = {split: {key(text) for _, text in examples} for split, examples in real.items()}
    # A given sentencepiece model may alter what it writes itself (two spaces, say): no exact binary form
    # then.
    texts = list({sample.text for sample in samples})
    inexact = {text for text, ids in zip(texts, codec.try_encode_batch(texts)) if ids is None}
    reasons = find_reasons(
        samples,
        generation.labels,
        known,
        lambda text: text not in inexact and representable(text, source),
        key,
        options.keep_copies,
        control_characters(text for _, text in real["train"]),
    )
    return Verdicts(samples, generation.labels, reasons)


def _record(
    manifest: Manifest, generation: Generation, verdicts: Verdicts, options: Options, data: Path
) -> SetRecord:
    run = generation.facts
    counts = tally(verdicts.labels, verdicts.reasons, run.labels)
    if not counts.total.kept:
        told = ", ".join(f"{count:,} {reason}" for reason, count in counts.total.reasons.items() if count)
        raise UserError(
            f"none of the {counts.total.generated:,} samples is kept ({told}); not_ended asks for a higher "
            "--max-len-b, the rest for a longer trained model or another --temperature"
        )
    return SetRecord(
        data_name=data.resolve().name,
        manifest_sha256=run.manifest_sha256,
        source=manifest.source,
        checkpoints=[
            {"path": path, "sha256": digest} for path, digest in zip(run.checkpoint, run.checkpoint_sha256)
        ],
        seed=run.seed,
        settings=run.settings,
        runs=[part.to_json() for part in generation.parts],
        tokens=generation.tokens,
        seconds=generation.seconds,
        options=options,
        counts=counts,
        versions=_versions(),
        other_columns=other_columns(manifest, options),
    )


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("fairseq-scalegrad", "fairseq-fixed", "torch", "numpy", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _statistics(measured: Facts) -> dict[str, object]:
    """The figures of the report without its texts and drawings."""
    return {
        "words_per_sentence": {"median": measured.lengths.median, "mean": measured.lengths.mean},
        "distinct": [{"label": entry.label, **asdict(entry.pair)} for entry in measured.distinct],
        "novelty": {side: asdict(own) for side, own in measured.novelty.items()},
    }


def keepable_splits() -> Collection[str]:
    """Splits whose copies may be kept."""
    return sorted(SPLITS)
