"""Generated samples -> an augmented set in the source's own format, with its record and report."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fairseq_plugin.augment.augmented_set import RECORD, Options, SetRecord, is_augmented_set
from fairseq_plugin.augment.candidates import candidate_of
from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.filters.options import make_acceptance
from fairseq_plugin.augment.filters.text_filters import SPLITS
from fairseq_plugin.augment.generations.gather import Generation, gather
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.judges.filter import LabelFidelity
from fairseq_plugin.augment.set_report import RejectedTexts, write_report
from fairseq_plugin.augment.versions import versions
from fairseq_plugin.augment.write_sets import other_columns, write_sets
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.reports.facts import Facts
from fairseq_plugin.reports.training_log import find_training_log
from fairseq_plugin.storage.folders import Place, whole_folder
from fairseq_plugin.storage.manifest import NAME as MANIFEST
from fairseq_plugin.storage.sealed import write_sealed
from fairseq_plugin.text.codec import load_codec


def collect(
    folders: Sequence[str | Path],
    data: str | Path,
    destination: str | Path,
    options: Options | None = None,
    overwrite: bool = False,
    path: str | Path | None = None,
    device: str = "cpu",
) -> SetRecord:
    """Collect results folders into ``destination``.

    Args:
        folders: ``--results-path`` of every shard or run.
        data: the prepared data folder the samples were made with.
        destination: folder to make: ``train.tsv`` (or .csv, .jsonl), ``manifest.json``, ``report.html``,
            ``binary/``.
        options: see the class; None: all defaults.
        overwrite: replace the augmented set that is there now.
        path: the model that judges labels, where the options ask for it; None: the one of the samples.
        device: where it computes.

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
    fidelity = _fidelity(options, generation, data, path, device)
    acceptance = make_acceptance(options, real, manifest.source, codec, names, fidelity)
    candidates = [
        candidate_of(sample, label, manifest.source.keep_whitespace)
        for label, sample in zip(generation.labels, generation.samples, strict=True)
    ]
    acceptance.add(candidates)
    acceptance.limit()
    rejected = RejectedTexts(acceptance.reasons)
    judged = rejected.passing((one, acceptance.reason(one.id)) for one in candidates)
    kept = [(one.label, one.text) for one, reason in judged if reason is None]
    record = _record(manifest, generation, acceptance, options, data)
    record = replace(record, rejected=rejected.found)
    with whole_folder(place) as folder:
        files = write_sets(folder, data, kept, real, manifest, record.seed, options)
        record = replace(record, files=files)
        if options.report:
            measured = write_report(folder, record, manifest, real, kept)
            record = replace(record, statistics=_statistics(measured))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        seconds = round(time.monotonic() - began, 3)
        record = replace(record, time={"collected": now, "collect_seconds": seconds})
        write_sealed(folder / RECORD, record.to_json())
    return record


def _fidelity(
    options: Options, generation: Generation, data: Path, path: str | Path | None, device: str
) -> LabelFidelity | None:
    """The judge of labels, if one is asked for."""
    if not options.need_probabilities:
        for flag, given in (("--teacher", options.teacher), ("--path", path)):
            if given is not None:
                raise UserError(
                    f"{flag} {given} judges labels, which no rule asks for: add --judge-threshold or "
                    "--keep-best, or leave it out"
                )
        return None
    if path is not None and options.teacher is not None:
        raise UserError(f"--path {path}: the labels are judged by --teacher; give one of the two")
    facts = generation.facts
    if path is None and options.teacher is None and not Path(facts.checkpoint[0]).is_file():
        raise UserError(
            f"--judge-threshold, --keep-best: the model {facts.checkpoint[0]} that wrote the samples is not "
            "there; say where it is by --path"
        )
    return options.fidelity(facts.labels, partial(BayesJudge.load, path or facts.checkpoint[0], data, device))


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


def _record(
    manifest: Manifest,
    generation: Generation,
    acceptance: Acceptance,
    options: Options,
    data: Path,
) -> SetRecord:
    run = generation.facts
    counts = acceptance.tally()
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
        reasons=acceptance.reasons,
        notes=acceptance.notes,
        rejected={},
        versions=versions(),
        other_columns=other_columns(manifest, options),
    )


def _statistics(measured: Facts) -> dict[str, object]:
    """The figures of the report without its texts and drawings."""
    return {
        "yardstick": measured.yardstick,
        "words_per_sentence": {"median": measured.lengths.median, "mean": measured.lengths.mean},
        "distinct": [{"label": entry.label, **asdict(entry.pair)} for entry in measured.distinct],
        "novelty": {side: asdict(own) for side, own in measured.novelty.items()},
    }
