#!/usr/bin/env python
"""Write exactly N accepted sentences for each label, by as many processes or machines as there are.

    python scripts/generate.py --data data-bin/sst2 --path checkpoints/sst2/checkpoint_best.pt \\
        --per-label 5000 --to jobs/sst2
    torchrun --nproc-per-node 8 scripts/generate.py --executor ranks ...      (or srun, or a SLURM job array)

jobs/sst2/ gets one file per finished unit of work, and jobs/sst2/augmented/ the accepted rows with their
record. The same command goes on where it was stopped, killed too, and never makes a finished unit again. The
rows do not depend on the number of workers, on their kind, or on interruptions.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.augment.filters.acceptance import LESS_CONFIDENT, SURPLUS
from fairseq_plugin.augment.filters.flags import add_filter_flags, filter_options_of
from fairseq_plugin.augment.jobs.fastest_dtype import FASTEST, remembered_choice
from fairseq_plugin.augment.jobs.flags import add_output_flags
from fairseq_plugin.augment.jobs.generate import Generated, GenerateRequest, generate
from fairseq_plugin.augment.jobs.job import Settings
from fairseq_plugin.augment.jobs.progress import JobBar
from fairseq_plugin.augment.jobs.quota import Limits
from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.jobs.executors import Executor, Processes, Rank, Ranks, ThisProcess
from fairseq_plugin.jobs.ray_executor import RayActors
from fairseq_plugin.reports.display import percent, visible
from fairseq_plugin.storage.lock import FolderLock
from fairseq_plugin.text.spreadsheet import marked_told
from fairseq_plugin.text.table import isolated

EXECUTORS = ("local", "ranks", "ray")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add(
        "--data", type=Path, required=True, metavar="DIR", help="the prepared folder the model was trained on"
    )
    add("--path", type=Path, required=True, metavar="FILE", help="a checkpoint of conditional_augmentation")
    add("--to", type=Path, required=True, metavar="DIR", help="folder of the job")
    add("--rows-to", type=Path, metavar="DIR", help="folder of the accepted rows (default: TO/augmented)")
    what = "accepted rows: N of each label, LABEL=100,LABEL=50, or train:TOTAL for train's proportions"
    add("--per-label", required=True, metavar="N", help=what)
    _add_sampling(parser)
    add_filter_flags(parser)
    rows_per_file = {"type": int, "default": 1_000_000, "metavar": "N", "help": "default: 1,000,000"}
    add_output_flags(parser).add_argument("--rows-per-file", **rows_per_file)
    _add_workers(parser)
    return parser


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("how samples are drawn, as fairseq-generate --sampling does").add_argument
    add("--seed", type=int, default=1, help="with a sample's number it decides its text (default: 1)")
    add("--temperature", type=float, default=1.0, help="default: 1")
    add(
        "--top-k",
        "--sampling-topk",
        dest="sampling_topk",
        type=int,
        default=-1,
        metavar="K",
        help="keep the K most probable tokens",
    )
    top_p = "keep the most probable tokens that together reach P, in (0, 1]"
    add("--top-p", "--sampling-topp", dest="sampling_topp", type=float, default=-1.0, metavar="P", help=top_p)
    add("--max-len", "--max-len-b", dest="max_len_b", type=int, default=200, metavar="N",
        help="most tokens of a sentence (default: 200)")  # fmt: skip


def _add_workers(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("where it is done").add_argument
    place = "processes here, ranks of torchrun or SLURM that share the folder, or Ray (default: local)"
    add("--executor", choices=EXECUTORS, default="local", help=place)
    workers = "processes (local; 1: this one) or actors (ray) (default: 1)"
    add("--workers", type=int, default=1, metavar="N", help=workers)
    unit = "samples of a unit, the piece that a job remembers (default: 1000)"
    add("--unit-size", type=int, default=1000, metavar="N", help=unit)
    add("--device", default="cpu", help="cpu, or cuda: one for each worker (default: cpu)")


def executor_of(args: argparse.Namespace, rank: Rank | None) -> Executor:
    """The executor that the flags ask for."""
    if args.workers < 1:
        raise UserError(f"--workers {args.workers} must be at least 1")
    if rank is not None:
        if args.workers > 1:
            raise UserError(f"--workers {args.workers}: with --executor ranks the launcher says how many")
        return Ranks(rank, args.device)
    if args.executor == "ray":
        return RayActors(args.workers, args.device)
    return Processes(args.workers, args.device) if args.workers > 1 else ThisProcess(args.device)


def request_of(args: argparse.Namespace) -> GenerateRequest:
    """What the flags ask for."""
    return GenerateRequest(
        data=args.data,
        checkpoint=args.path,
        to=args.to,
        per_label=args.per_label,
        settings=Settings(
            args.seed,
            args.temperature,
            args.sampling_topk,
            args.sampling_topp,
            args.max_len_b,
            args.compute_dtype,
        ),
        filters=filter_options_of(args),
        limits=Limits(most_tries=args.most_tries),
        unit_size=args.unit_size,
        form=args.form,
        scores=args.scores,
        soft_labels=args.soft_labels,
        device=args.device,
        rows_per_file=args.rows_per_file,
        spreadsheet_safe=args.spreadsheet_safe,
        allow_fewer=args.allow_fewer,
        rows_to=args.rows_to,
    )


def summary(found: Generated, rows_to: Path) -> list[str]:
    """Lines of text: what was made, what is accepted, and why the rest is not."""
    record, counts = found.record, found.record.counts.total
    accepted = counts.kept + sum(counts.reasons.get(reason, 0) for reason in (SURPLUS, LESS_CONFIDENT))
    share = percent(accepted / max(1, counts.generated))
    lines = [f"{counts.generated:,} samples, {accepted:,} accepted ({share}), {counts.kept:,} rows written"]
    lines += [
        f"  {count:>9,}  {reason}: {record.reasons[reason]}"
        for reason, count in counts.reasons.items()
        if count
    ]
    lines += [
        f"  label {isolated(visible(name))}: {own.kept:,} of {own.generated:,}"
        for name, own in record.counts.labels.items()
    ]
    lines += record.notes
    if found.shortage:
        lines.append(found.shortage)
    if found.folder is None:
        return [*lines, f"all units are done; rank 0 writes the rows to {rows_to}"]
    lines += [
        f"{found.folder / name}: {own.rows:,} rows{marked_told(own.marked)}"
        for name, own in record.files.items()
    ]
    return [*lines, "they were there already"] if found.was_there else lines


def in_the_fastest_dtype(request: GenerateRequest, rank: Rank | None) -> GenerateRequest:
    """The request in the dtype that ``--compute-dtype fastest`` finds, which is told."""
    if rank is not None:
        raise UserError(
            f"--compute-dtype {FASTEST}: ranks may find different ones; give fp32, bf16 or int8 by its name"
        )
    choice = remembered_choice(request.to, request.checkpoint, request.data, request.device)
    print(choice, flush=True)
    return replace(request, settings=replace(request.settings, compute_dtype=choice.dtype))


@plain_errors()
def main(arguments: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(arguments)
    request = request_of(args)
    request.check()
    rank = Rank.of_environment(os.environ) if args.executor == "ranks" else None
    executor = executor_of(args, rank)
    lock = f"rank-{rank.number}-of-{rank.size}" if rank else "job"
    bar = JobBar()
    try:
        with FolderLock(args.to / lock, what=args.to):
            if args.compute_dtype == FASTEST:
                request = in_the_fastest_dtype(request, rank)
            found = generate(request, executor, bar, writes=rank is None or rank.number == 0)
    finally:
        bar.close()
    print("\n".join(summary(found, request.set_folder)))


if __name__ == "__main__":
    main()
