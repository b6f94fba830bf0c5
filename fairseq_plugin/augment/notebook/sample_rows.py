"""New rows of a trained model, by a job like that of ``scripts/generate.py`` in this process."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

from fairseq_plugin.augment.augmented_set import read_synthetic
from fairseq_plugin.augment.filters.options import FilterOptions
from fairseq_plugin.augment.jobs.generate import GenerateRequest, generate
from fairseq_plugin.augment.jobs.progress import JobBar
from fairseq_plugin.augment.jobs.quota import MOST_TRIES, Limits
from fairseq_plugin.augment.notebook.trained import Trained
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs.executors import ThisProcess
from fairseq_plugin.stages.stage import ROOT
from fairseq_plugin.storage.lock import FolderLock


class SampleOptions(TypedDict, total=False):
    """How rows are drawn and which are accepted; see :meth:`.augmenter.Augmenter.sample`."""

    allow_fewer: bool
    seed: int | None
    soft_labels: bool
    filters: Mapping[str, Any] | None
    most_tries: float


@dataclass(frozen=True)
class NewFrameRows:
    """What came of it.

    Attributes:
        rows: with the user's own columns and labels.
        more: names of the columns after those.
        shortage: which labels fell short, if any.
    """

    rows: list[dict[str | int, object]]
    more: list[str]
    shortage: str | None


def sample_rows(
    trained: Trained,
    asked: Mapping[str, int],
    options: SampleOptions,
    device: str,
    show_bar: bool,
) -> NewFrameRows:
    """Write sentences until so many of each label are accepted, or go on where an earlier call stopped.

    Args:
        trained: the model.
        asked: rows of each label, by name.
        options: see the class.
        device: where to compute.
        show_bar: whether to show a bar.

    Raises:
        UserError: labels that fell short, or an unknown filter.
    """
    settings, seed = trained.stages.settings, options.get("seed")
    if seed is not None:
        settings = replace(settings, seed=seed)
    soft_labels = options.get("soft_labels", False)
    request = GenerateRequest(
        data=trained.data,
        checkpoint=trained.checkpoint,
        to=ROOT / trained.stages.job_folder(settings),
        per_label=asked,
        settings=settings,
        filters=_filters(options.get("filters") or {}),
        limits=Limits(most_tries=options.get("most_tries", MOST_TRIES)),
        form="jsonl",
        scores=True,
        soft_labels=soft_labels,
        device=device,
        allow_fewer=options.get("allow_fewer", False),
    )
    more, made = trained.score_columns(soft_labels), []
    bar = JobBar(always=show_bar)
    try:
        with FolderLock(request.to / "job", flag="folder", what=request.to):
            found = generate(request, ThisProcess(device), bar)
            rows = read_synthetic(request.set_folder).rows
    finally:
        bar.close()
    for row in rows:
        assert isinstance(row.cells, dict)
        values = [row.cells[name] for name in more]
        made.append(trained.columns.row(row.text, trained.labels[row.label], more, values))
    return NewFrameRows(made, more, found.shortage)


def _filters(options: Mapping[str, Any]) -> FilterOptions:
    known = [field.name for field in fields(FilterOptions)]
    if unknown := [name for name in options if name not in known]:
        raise UserError(f"filters: there is no {unknown[0]!r}; there are {', '.join(known)}")
    return FilterOptions(**options)
