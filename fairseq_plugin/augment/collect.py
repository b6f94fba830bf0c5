"""Generated samples -> an augmented set in the source's own format, with its record and report."""

import platform
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from fairseq_plugin.augment.augmented_set import RECORD, Options, SetRecord, is_augmented_set
from fairseq_plugin.augment.filter_options import make_filters
from fairseq_plugin.augment.filters import Candidate, FilterChain, tally
from fairseq_plugin.augment.gather import Generation, gather
from fairseq_plugin.augment.set_report import rejected_texts, write_report
from fairseq_plugin.augment.text_filters import SPLITS
from fairseq_plugin.augment.write_sets import other_columns, write_sets
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.rows import SourceSpec
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.training_log import find_training_log
from fairseq_plugin.storage.folders import Place, whole_folder
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.storage.sealed import write_sealed
from fairseq_plugin.text.codec import load_codec


@dataclass(frozen=True)
class Verdicts:
    """Candidates in the order of their ids, and why each is not kept (None: it is)."""

    candidates: list[Candidate]
    reasons: list[str | None]

    @property
    def kept(self) -> list[tuple[int, str]]:
        """Label index and text of each kept sample."""
        together = zip(self.candidates, self.reasons, strict=True)
        return [(candidate.label, candidate.text) for candidate, reason in together if reason is None]


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
    find_training_log(options.train_log, None)  # a slip in its name is said before anything is written
    real = {split: read_texts(data, split) for split in SPLITS if split in manifest.splits}
    filters = make_filters(options, real, manifest.source, codec)
    verdicts = _judge(generation, manifest.source, filters)
    record = _record(manifest, generation, verdicts, filters, options, data)
    with whole_folder(place) as folder:
        files = write_sets(folder, data, verdicts.kept, real, manifest, record.seed, options)
        record = replace(record, files=files)
        if options.report:
            measured = write_report(folder, record, manifest, real, verdicts.kept)
            record = replace(record, statistics=_statistics(measured))
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


def _judge(generation: Generation, source: SourceSpec, filters: FilterChain) -> Verdicts:
    candidates = [
        Candidate(
            id=sample.id,
            label=label,
            # as the real rows were read
            text=sample.text if source.keep_whitespace else sample.text.strip(),
            symbols=sample.symbols,
            num_tokens=sample.num_tokens,
            ended=sample.ended,
            score=sample.score,
        )
        for label, sample in zip(generation.labels, generation.samples, strict=True)
    ]
    return Verdicts(candidates, filters.check(candidates))


def _record(
    manifest: Manifest,
    generation: Generation,
    verdicts: Verdicts,
    filters: FilterChain,
    options: Options,
    data: Path,
) -> SetRecord:
    run = generation.facts
    labels = [candidate.label for candidate in verdicts.candidates]
    counts = tally(labels, verdicts.reasons, run.labels, list(filters.reasons))
    if not counts.total.kept:
        told = ", ".join(f"{count:,} {reason}" for reason, count in counts.total.reasons.items() if count)
        raise UserError(
            f"none of the {counts.total.generated:,} samples is kept ({told}); not_ended asks for a higher "
            "--max-len-b, the rest for a longer trained model or another --temperature"
        )
    return SetRecord(
        data_name=manifest.data_name(data),
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
        reasons=filters.reasons,
        rejected=rejected_texts(verdicts.candidates, verdicts.reasons, list(filters.reasons)),
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
        "yardstick": measured.yardstick,
        "words_per_sentence": {"median": measured.lengths.median, "mean": measured.lengths.mean},
        "distinct": [{"label": entry.label, **asdict(entry.pair)} for entry in measured.distinct],
        "novelty": {side: asdict(own) for side, own in measured.novelty.items()},
    }


def keepable_splits() -> Collection[str]:
    """Splits whose copies may be kept."""
    return sorted(SPLITS)
