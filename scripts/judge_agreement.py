#!/usr/bin/env python
"""Let an independent classifier, trained on the real training set, read the labels of an augmented set.

    python scripts/judge_agreement.py --data data-bin/sst2 --samples augmented/sst2 [--json FILE]

prints the classifier's own accuracy on the real valid set, and the share of synthetic rows whose label it
agrees with, overall and per label. TF-IDF of words and word pairs, logistic regression; a few seconds on
SST-2.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_plugin.augment.judge import describe, judge_samples
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.files import atomic_write


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", required=True, help="the prepared data folder the samples were made with")
    parser.add_argument("--samples", required=True, help="folder written by scripts/collect.py")
    parser.add_argument("--seed", type=int, default=1, help="of the classifier (default: 1)")
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args(arguments)


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.json and not Path(args.json).resolve().parent.is_dir():
        raise UserError(f"--json {args.json}: its folder does not exist; make it first")
    judged = judge_samples(args.data, args.samples, args.seed)
    names = judged.labels
    if judged.valid is None:
        print("the data has no valid set: how often the judge is wrong is not known")
    else:
        print("\n".join(["real valid set: the judge's own accuracy", *describe(judged.valid, names)]))
    print("\n".join(["synthetic rows: the judge agrees with the label", *describe(judged.synthetic, names)]))
    if args.json:
        with atomic_write(args.json) as stream:
            json.dump(asdict(judged), stream, indent=1, ensure_ascii=False)
            stream.write("\n")


if __name__ == "__main__":
    main()
