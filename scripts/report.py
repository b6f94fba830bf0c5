#!/usr/bin/env python
"""Write the report of an augmented set again, with what has been found out about it since.

    python scripts/report.py --data data-bin/sst2 --samples augmented/sst2 --judge judge.json \\
      --verdict verdict.json

scripts/collect.py writes augmented/sst2/report.html first; this command puts the verdict and the judge's
figures on it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_plugin.augment.set_report import rewrite_report
from fairseq_plugin.errors import plain_errors


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", required=True, help="the prepared data folder the samples were made with")
    parser.add_argument("--samples", required=True, help="folder written by scripts/collect.py")
    parser.add_argument("--judge", metavar="FILE", help="what judge_agreement.py --json wrote")
    parser.add_argument("--verdict", metavar="FILE", help="what verdict.py quick --json wrote")
    return parser.parse_args(arguments)


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    path = rewrite_report(args.samples, args.data, args.judge, args.verdict)
    print(f"{path}: open it in a browser")


if __name__ == "__main__":
    main()
