"""The stages that end with a trained model, run for a notebook: output in its cell, warnings as warnings."""

import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from fairseq_plugin.augment.notebook.arguments import ARGUMENTS
from fairseq_plugin.augment.pipeline.stages import Stages
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.python_names import in_python
from fairseq_plugin.stages.stage import Everything, Runner, require_scripts


def train_model(stages: Stages, verbose: bool, stacklevel: int) -> Manifest:
    """Prepare the rows of a request and train on them, or pass over what has run.

    Args:
        stages: with a source.
        verbose: show commands and what they say.
        stacklevel: of warnings, counted from here: 2 is the caller.

    Returns:
        The manifest of the prepared rows.

    Warns:
        UserWarning: rows that were left out; too few rows.

    Raises:
        UserError: a command failed, or its programs are not there.
    """
    require_scripts()
    runner = Runner(sys.stdout if verbose else None)
    for stage in stages.model():
        if stage.prepares:  # it speaks for itself, which a notebook does not show
            stage = replace(stage, log=stages.request.to / "prepare.log", watcher=Everything)
        runner.run(stage)
        if stage.prepares:
            told = [*left_out(Manifest.load(stages.data).rejected), *stages.plan().warnings]
            for line in told:
                line = in_python(line.replace("--from GPT2_FOLDER", "pretrained=FOLDER"), ARGUMENTS)
                warnings.warn(line.removeprefix("WARNING: "), stacklevel=stacklevel)
    return Manifest.load(stages.data)


def left_out(rejected: Mapping[str, Mapping[str, list[int]]]) -> list[str]:
    """A line on the rows that preparation left out, or none.

    >>> left_out({"train": {"empty": [3, 4], "too_long": []}, "valid": {"empty": []}})
    ['rows left out: 2 empty (the first: row 2 of train, from 0)']
    """
    counts = Counter({name: 0 for own in rejected.values() for name in own})
    for own in rejected.values():
        counts.update({name: len(lines) for name, lines in own.items()})
    if not counts.total():
        return []
    split, line = next((s, min(lines)) for s, own in rejected.items() for lines in own.values() if lines)
    reasons = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return [f"rows left out: {reasons} (the first: row {line - 1} of {split}, from 0)"]
