"""The pages of a run: ``samples.md`` and ``report.html``, from what the stages have left."""

from pathlib import Path

from fairseq_plugin.corpus.folder import read_documents
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.files import atomic_write, sha256
from fairseq_plugin.imitation.learnt import Learnt, measure_learnt
from fairseq_plugin.imitation.page import ImitationReport, render
from fairseq_plugin.imitation.stages import TEMPERATURES, ImitationStages
from fairseq_plugin.imitation.written import Written, measure_written
from fairseq_plugin.reports.sample_book import Sample, SampleBook, read_samples, write_page
from fairseq_plugin.reports.training_log import read_run
from fairseq_plugin.stages.stage import ROOT
from fairseq_plugin.text.words import words

_HELD_OUT = 2000  # characters of each piece of held-out text that is measured beside the samples
_PIECES = 20


def samples_of(stages: ImitationStages) -> dict[str, list[Sample]]:
    """What was written at each temperature, by ``temperature T``.

    Raises:
        UserError: it is not there, or was changed since.
    """
    return {
        f"temperature {temperature}": read_samples(ROOT / stages.samples(temperature) / "test_samples.tsv")
        for temperature in TEMPERATURES
    }


def write_pages(stages: ImitationStages) -> tuple[Learnt, Path, Path]:
    """Write both pages.

    Returns:
        What was learnt; paths of ``samples.md`` and ``report.html``, as commands show them.

    Raises:
        UserError: a file of the run is missing or damaged, or a page cannot be written.
    """
    samples = samples_of(stages)
    page, report = stages.to / "samples.md", stages.to / "report.html"
    write_page(ROOT / page, f"In the style of {stages.request.text.name}", [*samples.items()])
    learnt = measure_learnt(ROOT / stages.data, stages.bits_per_token())
    made = ImitationReport(
        name=stages.request.name,
        learnt=learnt,
        written=_written(stages, samples),
        entries=SampleBook(ROOT / stages.checkpoint.parent / "samples.md").entries(),
        curves=read_run([ROOT / stages.train_log]),
        provenance=_provenance(stages, learnt),
    )
    with atomic_write(ROOT / report) as stream:
        stream.write(render(made))
    return learnt, page, report


def _written(stages: ImitationStages, samples: dict[str, list[Sample]]) -> list[Written]:
    data = ROOT / stages.data
    vocabulary = {word for text in read_documents(data, "train") for word in words(text)}
    found = [measure_written(name, own, vocabulary) for name, own in samples.items()]
    held = "".join(read_documents(data, "valid"))
    # Pieces as long as a sample: a longer text repeats itself more.
    size = max(
        1, min(_HELD_OUT, sum(len(text) for own in samples.values() for _, text in own) // _num(samples))
    )
    step = max(size, len(held) // _PIECES)
    pieces = [("", held[start : start + size]) for start in range(0, max(1, len(held) - size + 1), step)]
    return [*found, measure_written("the validation text itself", pieces, vocabulary)]


def _num(samples: dict[str, list[Sample]]) -> int:
    return max(1, sum(map(len, samples.values())))


def _provenance(stages: ImitationStages, learnt: Learnt) -> dict[str, object]:
    request, sizes = stages.request, stages.sizes
    splits = TextManifest.load(ROOT / stages.data).splits
    model = (
        f"GPT-2 from {request.pretrained}"
        if request.pretrained is not None
        else f"GPT-2, {sizes.layers} layers of width {sizes.width}, {sizes.vocab_size:,} token ids"
    )
    return {
        "text": request.text,
        "characters": "; ".join(f"{name} {split.characters:,}" for name, split in splits.items()),
        "model": model,
        "minutes of training": f"{request.minutes:g}",
        "gamma": f"{request.gamma:g}",
        "seed": request.seed,
        "validation loss": f"{learnt.bits_per_token:.4f} bits per token",
        "checkpoint": stages.checkpoint,
        "SHA-256 of the checkpoint": sha256(ROOT / stages.checkpoint),
    }
