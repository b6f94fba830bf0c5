"""The study: which remedy makes small GPT-2s repeat themselves less, and from what point of training on?

Two forms. *From scratch*: each objective learns tinyshakespeare from its first update; checkpoints on the
way are measured too, so that the effect can be seen to grow. *Continued*: maximum likelihood first, up to its
best validation loss; then each objective goes on from there, as the published studies do. The stock
``fairseq-train`` learns, ``scripts/evaluate_lm.py`` measures. Each run has one thread, ``--processes`` run at
once. A killed study goes on where it stopped; finished runs are not done again.

    python benchmarks/repetition_study.py --data DIR --plan          # what will be run and what it costs
    python benchmarks/repetition_study.py --data DIR
    python benchmarks/repetition_study.py --data DIR --seeds 1 --no-write

DIR holds ``tinyshakespeare/input.txt``. Writes ``repetition_study.json``, the tables of
``repetition_study.md`` (between its markers; the words around them are kept) and the pictures beside it.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import study_pictures, study_report, study_runs, study_tables  # noqa: E402
from benchmarks.marked_page import write_result  # noqa: E402
from fairseq_plugin.errors import UserError, plain_errors  # noqa: E402


@plain_errors()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--data", default=ROOT.parent / "shared" / "data", metavar="DIR", help="the public texts"
    )
    parser.add_argument(
        "--to", default=ROOT / "runs" / "repetition-study", metavar="DIR", help="folder of the runs"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--more-seeds", nargs="*", type=int, default=[4, 5, 6], metavar="N",
        help="further seeds, for maximum likelihood and the --closest objectives alone",
    )  # fmt: skip
    parser.add_argument(
        "--closest", nargs="*", default=[], metavar="RUN", help="runs that get the --more-seeds"
    )
    parser.add_argument("--processes", type=int, default=2, help="runs at once, one thread each (default: 2)")
    parser.add_argument("--plan", action="store_true", help="run nothing, tell what is left to run")
    parser.add_argument(
        "--report", action="store_true", help="run nothing, report on the runs that are complete"
    )
    parser.add_argument("--no-write", action="store_true", help="leave the results beside this script alone")
    args = parser.parse_args()

    study = study_runs.Study(args.data, args.to)
    runs = study_runs.in_order(args.seeds, args.more_seeds, args.closest)
    if args.plan:
        print(study_runs.plan(study, runs))
        return
    if not args.report:
        study_runs.run_all(study, runs, args.processes)
    report = study_report.read(study)
    if not report["runs"]:
        raise UserError(f"--to {args.to} holds no run that is done; run the study first")
    lines = study_tables.tables(report)
    print("\n".join(lines))
    if not args.no_write:
        base = Path(__file__).with_suffix("")
        write_result(base, report, lines, "Repetition study")
        study_pictures.draw(report, base)


if __name__ == "__main__":
    main()
