"""The flags that say what rows are written: the same for ``augment.py`` and ``generate.py``."""

import argparse

from fairseq_plugin.augment.jobs.fastest_dtype import FASTEST
from fairseq_plugin.augment.jobs.quota import MOST_TRIES
from fairseq_plugin.augment.jobs.row_files import FORMATS
from fairseq_plugin.augment.judges.score_columns import LABEL_PROBABILITY, LOG_PROBABILITY
from fairseq_plugin.pretrained.network import DTYPES
from fairseq_plugin.text.spreadsheet_flags import add_spreadsheet_flag


def add_output_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add them, in a group of their own.

    Returns:
        The group, for flags of one script alone.
    """
    group = parser.add_argument_group("the new rows")
    add = group.add_argument
    add("--format", dest="form", choices=FORMATS, help="default: the source's own, with all its columns")
    scores = (
        f"{LOG_PROBABILITY} of the sentence given its label (nats), {LABEL_PROBABILITY} by the model (Bayes)"
    )
    add_spreadsheet_flag(group)
    add("--scores", action="store_true", help=f"two columns more: {scores}")
    add("--soft-labels", action="store_true", help="a column p_LABEL for each label: its probability")
    tries = f"give a label up after N samples per row asked for (default: {MOST_TRIES:g})"
    add("--most-tries", type=float, default=MOST_TRIES, metavar="N", help=tries)
    add("--allow-fewer", action="store_true", help="write what there is where a label falls short")
    dtype = (
        "of matrix products; int8: on CPUs only; fastest: by measurement, where perplexity stays within 1 %% "
        "of fp32's (default: bf16 on a GPU, else as it was trained)"
    )
    add("--compute-dtype", choices=(*DTYPES, FASTEST), help=dtype)
    return group
