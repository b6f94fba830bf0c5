"""Sample the units of a job together, and write each one's file as soon as it is whole."""

import time
from collections.abc import Iterator, Sequence

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.jobs.folder import UnitJob
from fairseq_plugin.jobs.units import Unit, write_unit
from fairseq_plugin.sampling.pool import SamplePool, default_slots
from fairseq_plugin.sampling.request import Continuation, DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.storage.sample_file import SampleLine


def sample_units(
    job: UnitJob,
    units: Sequence[Unit],
    gpt2: GPT2,
    request: DecodingRequest,
    symbols: list[str],
    prompts: Sequence[Sequence[int]],
) -> Iterator[Unit]:
    """Sample units: what their samples share is read once, and slots are refilled to the last.

    Args:
        job: where the files go.
        units: at least one.
        gpt2: the network.
        request: how to sample; ``max_new`` fits every prompt.
        symbols: of the dictionary, in order.
        prompts: token indices before the first drawn one, by label.

    Yields:
        Each unit, as soon as its file is written.

    Raises:
        FloatingPointError: the model's logits are damaged; the message names the samples.
        UserError: a file cannot be written.
    """
    began = time.monotonic()
    longest = max(len(prompts[unit.label]) for unit in units)
    num_slots = min(default_slots(gpt2, longest + request.max_new), sum(unit.count for unit in units))
    unit_of = {sample_id: unit for unit in units for sample_id in unit.ids(job.num_labels)}
    lines: dict[Unit, list[SampleLine]] = {unit: [] for unit in units}
    groups = [(prompts[unit.label], unit.ids(job.num_labels)) for unit in units]
    for one in SamplePool(gpt2, request, longest, num_slots).run(groups):
        unit = unit_of[one.sample_id]
        lines[unit].append(_line(symbols, one.sample_id, one.continuation))
        if len(lines[unit]) == unit.count:
            whole = sorted(lines.pop(unit), key=lambda line: line.id)
            now = time.monotonic()
            write_unit(job.units, unit, job.digest, whole, round(now - began, 3))
            began = now  # the seconds of all units add up to those that passed
            yield unit


def _line(symbols: list[str], sample_id: int, found: Continuation) -> SampleLine:
    drawn = " ".join(symbols[index] for index in found.tokens.tolist() if index != EOS)
    return SampleLine(sample_id, 0, drawn, found.ended, float(found.scores.double().sum()))
