"""One set of samples out of several results folders: every sample exactly once, all of one kind.

Folders may be the shards of one distributed ``fairseq-generate``, and a later run that goes on
where an earlier one stopped (``--first-sample``), in any order.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.augment.read_generation import (
    GENERATED,
    SETTINGS,
    ids_asked_for,
    read_samples,
    read_settings,
)
from fairseq_plugin.errors import UserError
from fairseq_plugin.files import sha256

# What all folders must share: the model, the data, and everything a text depends on.
_SHARED = ("manifest_sha256", "labels", "checkpoint_sha256", "seed", "settings")


@dataclass(frozen=True)
class Generation:
    """All samples that were asked for.

    Attributes:
        samples: list of :class:`~.read_generation.Sample` in the order of their ids.
        labels: their label indices.
        settings: ``augment.json`` of the first folder.
        parts: per results folder ``{"folder", "first_sample", "counts", "shard", "samples", "tokens",
            "seconds", "started", "generate_sha256", "augment_sha256"}``.
    """

    samples: list
    labels: list
    settings: dict
    parts: list

    @property
    def tokens(self):
        return sum(part["tokens"] for part in self.parts)

    @property
    def seconds(self):
        """Seconds of all folders added up, or None where one does not tell."""
        seconds = [part["seconds"] for part in self.parts]
        return None if None in seconds else round(sum(seconds), 3)


def gather(folders, decode, prompts, label_names, manifest_sha256, data):
    """Read and check the results folders.

    Args:
        folders: ``--results-path`` of every run, in any order.
        decode: ids -> text.
        prompts: prompt text per label index.
        label_names: names of the data's labels, in order.
        manifest_sha256: hash of the data's ``manifest.json``.
        data: the data folder, for messages.

    Returns:
        :class:`Generation`.

    Raises:
        UserError: a folder of other data or of another model, a shard or a sample missing or there twice.
    """
    settings = _read_all_settings([Path(folder) for folder in folders])
    for folder, own in settings.items():
        if own["manifest_sha256"] != manifest_sha256 or own["labels"] != label_names:
            raise UserError(
                f"{folder / SETTINGS} was made with the data {own.get('data')!r} (manifest "
                f"{own['manifest_sha256'][:12]}), --data {data} is another (manifest "
                f"{manifest_sha256[:12]}); give the data the samples were made with"
            )
    _check_one_kind(settings)
    runs = _all_ids(settings)
    found, home, parts = {}, {}, []
    for folder, own in settings.items():
        here, path = 0, folder / GENERATED
        asked, tokens = ids_asked_for(own), 0
        for sample in read_samples(
            path, decode, lambda sample_id, asked=asked: prompts[asked.label_of(sample_id)]
        ):
            if sample.id in home:
                raise UserError(
                    f"sample {sample.id} stands twice: in {home[sample.id]} and in {path}; give each run "
                    "once, and generate with --nbest 1"
                )
            found[sample.id], home[sample.id] = sample, path
            here, tokens = here + 1, tokens + sample.num_tokens
        parts.append(_part(folder, own, here, tokens))
    _check_complete(runs, found, settings)
    ids = sorted(found)
    first = next(iter(settings.values()))
    return Generation([found[i] for i in ids], [i % len(label_names) for i in ids], first, parts)


def _read_all_settings(folders):
    """``augment.json`` of every folder, sorted by first sample and shard."""
    settings = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"the results folder {folder} does not exist; give fairseq-generate's --results-path"
            )
        if folder in settings:
            raise UserError(f"the results folder {folder} is given twice; give each one once")
        settings[folder] = read_settings(folder)
        shard = settings[folder]["shard"]
        if len(shard) != 2 or not all(isinstance(n, int) for n in shard) or not 0 <= shard[0] < shard[1]:
            raise UserError(f"{folder / SETTINGS}: shard is {shard!r}, not [number, count]; generate again")
    return dict(sorted(settings.items(), key=lambda item: (item[1]["first_sample"], item[1]["shard"])))


def _check_one_kind(settings):
    """Same data, model, seed and settings everywhere."""
    (first_folder, first), *others = settings.items()
    for folder, own in others:
        for part in _SHARED:
            if own[part] != first[part]:
                raise UserError(
                    f"{first_folder} and {folder} do not belong together: their {part} differ "
                    f"({_brief(first[part])} and {_brief(own[part])}); collect them one by one"
                )


def _all_ids(settings):
    """:class:`~.label_counts.SampleIds` of all runs; every run with all its shards, no id in two runs."""
    runs = {}
    for folder, own in settings.items():
        run = (own["first_sample"], tuple(own["counts"]), own["shard"][1])
        shards = runs.setdefault(run, {})
        if own["shard"][0] in shards:
            raise UserError(
                f"{shards[own['shard'][0]]} and {folder} hold the same samples (shard {own['shard'][0]} of "
                f"{own['shard'][1]} from --first-sample {own['first_sample']}); give one of them"
            )
        shards[own["shard"][0]] = folder
    every = []
    for (first, _, count), shards in runs.items():
        missing = [str(number) for number in range(count) if number not in shards]
        if missing:
            raise UserError(
                f"shard {', '.join(missing)} of {count} (--first-sample {first}) is missing; give the "
                "--results-path of every shard"
            )
        asked = ids_asked_for(settings[shards[0]])
        twice = min((i for other in every if (i := asked.first_shared(other)) is not None), default=None)
        if twice is not None:
            raise UserError(
                f"sample {twice} was asked for in two runs, one of them {shards[0]}; collect runs whose "
                "--first-sample and --samples-per-label do not overlap"
            )
        every.append(asked)
    return every


def _check_complete(runs, found, settings):
    # Every id that was found was asked for, and no two runs share one: the numbers tell.
    expected = sum(map(len, runs))
    if len(found) < expected:
        missing = list(itertools.islice((i for ids in runs for i in ids if i not in found), 6))
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{expected - len(found):,} of {expected:,} samples are missing from {', '.join(map(str, settings))} "
            f"(ids {shown}); the file was cut short or --quiet was given: run fairseq-generate again"
        )


def _part(folder, settings, num_samples, tokens):
    seconds = settings.get("seconds")
    return {
        "folder": folder.name,
        "first_sample": settings["first_sample"],
        "counts": settings["counts"],
        "shard": settings["shard"],
        "samples": num_samples,
        "tokens": tokens,
        "seconds": seconds if isinstance(seconds, (int, float)) else None,
        "started": settings.get("started"),
        "generate_sha256": sha256(folder / GENERATED),
        "augment_sha256": sha256(folder / SETTINGS),
    }


def _brief(value):
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
