#!/usr/bin/env python3
"""Say whether a result is worth using; quickstart.sh and imitate.sh end with it.

    python scripts/verdict.py quick --data data-bin/sst2 --samples augmented/sst2 [--seed N] [--json FILE]

    python scripts/verdict.py study --data DIR --to DIR [--k 5,10,...] [--gamma 1,0.5]     # hours; resumable

    python scripts/verdict.py labels runs/reviews/gamma-0.5-seed-1/judge.json   # of judge_agreement.py --json
    python scripts/verdict.py text data-bin/my-text --bits 5.27      # validation loss in bits per token

Prints one sentence, and with "quick" the figures behind it: a plain classifier is trained on the real rows,
on the real rows used better, and with the new rows, and answers real rows that were held out. Its sentence
begins with "Use this", "No gain", "Do not use this" or "Not checked".

Exit status: 0; 3 if the result is not worth using ("Do not use this"); 4 for "No gain"; 1 for an error.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.augment.verdict.bar import VerdictBar
from fairseq_plugin.augment.verdict.by_labels import Verdict, verdict
from fairseq_plugin.augment.verdict.quick import DO_NOT_USE, EXIT_STATUS, describe, judge_set
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.files import atomic_write
from fairseq_plugin.imitation.verdict import verdict_on_text
from scripts import study_flags


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    quick = kinds.add_parser("quick", help="of an augmented set, measured on held-out real rows")
    quick.add_argument("--data", metavar="DIR", required=True, help="the prepared folder of the real rows")
    quick.add_argument("--samples", metavar="DIR", required=True, help="folder written by scripts/collect.py")
    path = "the model that wrote them: has it learnt the language? (checkpoint of conditional_augmentation)"
    quick.add_argument("--path", metavar="FILE", help=path)
    device = "where the model computes: cpu or cuda (default: cpu)"
    quick.add_argument("--device", default="cpu", help=device)
    teacher = (
        "gives the new rows soft labels to learn from: a TSV file with the texts and a column of scores per"
    )
    function = "label, or a Python function of texts and labels' names (distillation)"
    quick.add_argument("--teacher", metavar="FILE|MODULE:FUNCTION", help=f"{teacher} {function}")
    quick.add_argument("--seed", type=int, default=1, help="of every draw (default: 1)")
    quick.add_argument("--json", metavar="FILE", help="also write the figures to this file")
    labels = kinds.add_parser("labels", help="of the labels of an augmented set")
    labels.add_argument("judged", metavar="FILE", help="what judge_agreement.py --json wrote")
    study = kinds.add_parser("study", help="of augmentation itself: for how many rows per class does it pay?")
    study_flags.add_flags(study)
    text = kinds.add_parser("text", help="of a model of running text")
    text.add_argument("data", metavar="DIR", help="prepared text folder")
    text.add_argument("--bits", type=float, required=True, help="validation loss, bits per token")
    return parser


def of_set(args: argparse.Namespace) -> tuple[str, int]:
    """The verdict on an augmented set, by what a classifier learns from it; and the exit status."""
    to = args.json
    if to and not Path(to).resolve().parent.is_dir():
        raise UserError(f"--json {to}: its folder does not exist; make it first")
    began = time.monotonic()
    model = BayesJudge.load(args.path, args.data, args.device) if args.path else None
    with VerdictBar() as bar:
        found = judge_set(args.data, args.samples, args.seed, model, bar.said, args.teacher)
    if to:
        with atomic_write(to) as stream:
            json.dump(found.to_json(), stream, indent=1, ensure_ascii=False)
            stream.write("\n")
    lines = [found.sentence, *describe(found), f"took {time.monotonic() - began:.1f} s"]
    return "\n".join(lines), EXIT_STATUS.get(found.outcome, 0)


def of_labels(path: Path) -> Verdict:
    """The verdict on an augmented set, from the judge's figures."""
    try:
        judged = json.loads(path.read_text("utf-8"))
        labels, valid, synthetic = judged["labels"], judged["valid"], judged["synthetic"]["confusion"]
        real = valid and valid["confusion"]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} was not written by judge_agreement.py --json") from error
    return verdict(labels, real, synthetic)


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(arguments)
    if args.kind == "study":
        study_flags.run_study(args)
        return
    if args.kind == "quick":
        said, status = of_set(args)
    else:
        found = (
            of_labels(Path(args.judged))
            if args.kind == "labels"
            else verdict_on_text(Path(args.data), args.bits)
        )
        said, status = found.sentence, EXIT_STATUS[DO_NOT_USE] if found.is_worth_using is False else 0
    print(said)
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
