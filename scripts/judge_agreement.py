#!/usr/bin/env python
"""Let an independent classifier, trained on the real training set, read the labels of an augmented set.

    python scripts/judge_agreement.py --data data-bin/sst2 --samples augmented/sst2 [--json FILE]

prints the classifier's own accuracy on the real valid set, and the share of synthetic rows whose label it
agrees with, overall and per label. TF-IDF of words and word pairs, logistic regression; a few seconds on
SST-2. With --path CHECKPOINT the model that wrote the rows judges too, by Bayes' rule: how far each judge can
be trusted stands side by side, and real rows whose label the model does not believe are listed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.judges.by_model import judge_by_model
from fairseq_plugin.augment.judges.words import Judged, JudgedRows, describe, judge_samples
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.display import percent, short, visible
from fairseq_plugin.text.table import isolated


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", required=True, help="the prepared data folder the samples were made with")
    parser.add_argument("--samples", required=True, help="folder written by scripts/collect.py")
    parser.add_argument("--seed", type=int, default=1, help="of the classifier (default: 1)")
    parser.add_argument("--path", metavar="FILE", help="a checkpoint of the data: let the model judge too")
    parser.add_argument(
        "--device", default="cpu", help="where the model computes: cpu or cuda (default: cpu)"
    )
    most = "most rows of valid, of train and of the set that the model reads; 0: all (default: 2,000)"
    parser.add_argument("--most-rows", type=int, default=2000, metavar="N", help=most)
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args(arguments)


def report(judged: Judged) -> list[str]:
    """Lines of text: what each judge says of real and new rows, and how far it can be trusted."""
    names, lines = judged.labels, []
    for title, own in (("the judge", judged), ("the model", judged.by_model)):
        if own is None:
            continue
        if own.valid is None:
            lines.append(f"the data has no valid set: how often {title} is wrong is not known")
        else:
            lines += [f"real valid set: {title}'s own accuracy", *describe(own.valid, names)]
        lines += [f"synthetic rows: {title} agrees with the label", *describe(own.synthetic, names)]
    for one in judged.calibration:
        told = f"right in {percent(one.accuracy)} of {one.rows:,} real sentences"
        lines.append(f"{one.judge}: {told}, log loss {one.log_loss:.3f} nats")
        lines += [
            f"  {percent(own.confidence)} sure: right in {percent(own.accuracy)} of {own.count:,}"
            for own in one.bins
        ]
    if judged.by_model is not None:
        lines.append(f"real rows whose label the model does not believe: {len(judged.doubtful):,}")
        lines += [
            f"  {_shown(row.label)} {percent(row.probability)}, rather {_shown(row.judged)}: "
            f"{_shown(short(row.text, 100))}"
            for row in judged.doubtful[:10]
        ]
    return lines


def _shown(text: str) -> str:
    return isolated(visible(text))


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.json and not Path(args.json).resolve().parent.is_dir():
        raise UserError(f"--json {args.json}: its folder does not exist; make it first")
    if args.most_rows < 0:
        raise UserError(f"--most-rows {args.most_rows} must be at least 0")
    most_rows = args.most_rows or None
    rows = JudgedRows.read(args.data, args.samples)
    judged = judge_samples(rows, args.seed, most_rows)
    if args.path:
        model = BayesJudge.load(args.path, args.data, args.device)
        judged = judge_by_model(judged, rows, model, most_rows)
    print("\n".join(report(judged)))
    if args.json:
        with atomic_write(args.json) as stream:
            json.dump(asdict(judged), stream, indent=1, ensure_ascii=False)
            stream.write("\n")


if __name__ == "__main__":
    main()
