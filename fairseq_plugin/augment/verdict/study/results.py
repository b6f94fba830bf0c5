"""Write what a study has found: ``.md``, ``.json``, ``.png`` and ``.svg``."""

import json
from pathlib import Path

from fairseq_plugin.augment.verdict.study.comparisons import Found, compare
from fairseq_plugin.augment.verdict.study.plot import draw_study
from fairseq_plugin.augment.verdict.study.report import tables, to_json
from fairseq_plugin.augment.verdict.study.run import Study
from fairseq_plugin.augment.verdict.study.splits import LabelledSet
from fairseq_plugin.files import atomic_write


def found_so_far(study: Study) -> Found:
    """The comparisons of the points that are there."""
    labels = [label for label, _ in study.whole.test]
    return compare(study.points(), study.request.ks, labels)


def write_results(study: Study, base: Path) -> tuple[list[str], list[Path]]:
    """Write the report of the points that are there.

    Args:
        study: whole or in part.
        base: path of the files without their ending.

    Returns:
        The report's lines, and the files.
    """
    found = found_so_far(study)
    lines = tables(study.request, study.whole, found)
    paths = [base.with_name(f"{base.name}.{ending}") for ending in ("md", "json")]
    with atomic_write(paths[0]) as stream:
        stream.write("\n".join([f"# {study.whole.name}: do new rows help?", "", *lines]))
    with atomic_write(paths[1]) as stream:
        json.dump(to_json(study.request, study.whole, found), stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    if found.comparisons:
        paths += draw_study(found, base, most_frequent_share(study.whole))
    return lines, paths


def most_frequent_share(whole: LabelledSet) -> float:
    """Accuracy of the label that is right most often on the rows that measure, whatever the text."""
    labels = [label for label, _ in whole.test]
    return max(map(labels.count, set(labels))) / len(labels)
