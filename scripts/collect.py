#!/usr/bin/env python
"""Collect what fairseq-generate wrote into an augmented set in the source's own format.

    python scripts/collect.py results/sst2 --data data-bin/sst2 --to augmented/sst2

writes augmented/sst2/train.tsv (or .csv, .jsonl), manifest.json, report.html, and binary/ for fairseq's
sentence_prediction. A sample is dropped, and counted under its reason, if it was cut before its end, is
empty, cannot be written in the format, repeats another one or almost so, copies a real sentence or almost so,
or holds more invented words than real sentences do.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_plugin.augment.augmented_set import Options, SetRecord
from fairseq_plugin.augment.filters.flags import add_filter_flags, filter_options_of
from fairseq_plugin.augment.generations.collect import collect
from fairseq_plugin.errors import plain_errors
from fairseq_plugin.reports.display import percent, visible
from fairseq_plugin.text.spreadsheet import marked_told
from fairseq_plugin.text.spreadsheet_flags import add_spreadsheet_flag
from fairseq_plugin.text.table import isolated


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("results", nargs="+", help="--results-path of fairseq-generate; one per shard")
    parser.add_argument("--data", required=True, help="the prepared data folder the samples were made with")
    parser.add_argument("--to", required=True, help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the augmented set at --to")
    parser.add_argument(
        "--join-train",
        action="store_true",
        help="put the real training rows before the new ones (the new ones alone: synthetic.*)",
    )
    parser.add_argument(
        "--shuffle", action="store_true", help="shuffle the training file with the generation's seed"
    )
    add_spreadsheet_flag(parser)
    parser.add_argument(
        "--train-log",
        help="fairseq-train's --log-file, for the report; else looked for beside the checkpoint",
    )
    parser.add_argument("--no-report", action="store_true", help="do not measure, and write no report.html")
    parser.add_argument("--no-binary", action="store_true", help="do not write the binary form")
    add = add_filter_flags(parser).add_argument
    add("--path", metavar="FILE", help="the model that judges labels (default: the one of the samples)")
    add("--device", default="cpu", help="where it computes: cpu or cuda (default: cpu)")
    return parser.parse_args(arguments)


def summary(record: SetRecord, destination: str | Path) -> list[str]:
    """Lines of text: what was kept, what was not, and why."""
    counts = record.counts.total
    lines = [
        f"generated {counts.generated:,}   kept {counts.kept:,} "
        f"({percent(counts.kept_share)})   rejected {counts.rejected:,}"
    ]
    lines += [
        f"  {count:>9,}  {reason}: {record.reasons[reason]}"
        for reason, count in counts.reasons.items()
        if count
    ]
    lines += [
        f"  label {isolated(visible(name))}: kept {own.kept:,} of {own.generated:,}"
        for name, own in record.counts.labels.items()
    ]
    lines += record.notes
    for name, own in record.files.items():
        lines.append(f"{Path(destination) / name}: {own.rows:,} rows{marked_told(own.marked)}")
    if record.other_columns:
        lines.append(f"other columns of the source: {record.other_columns}")
    unverified = [str(run["folder"]) for run in record.runs if not run["verified"]]
    if unverified:
        lines.append(
            f"read from what fairseq printed, which has no checksum (written by an earlier version): "
            f"{', '.join(unverified)}"
        )
    if record.options.report:
        lines.append(f"{Path(destination) / 'report.html'}: open it in a browser")
    return lines


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    options = Options(
        **vars(filter_options_of(args)),
        join_train=args.join_train,
        shuffle=args.shuffle,
        spreadsheet_safe=args.spreadsheet_safe,
        binary=not args.no_binary,
        report=not args.no_report,
        train_log=args.train_log,
    )
    record = collect(args.results, args.data, args.to, options, args.overwrite, args.path, args.device)
    print("\n".join(summary(record, args.to)))


if __name__ == "__main__":
    main()
