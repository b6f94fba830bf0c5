#!/usr/bin/env python3
"""From one text to its style, in one command.

    bash scripts/imitate.sh FILE|FOLDER [--minutes M] [--prompt TEXT]... [--to DIR]

makes the environment and runs this. It trains a GPT-2 on a text until its validation loss stops falling or
the time is over, draws the curves, and lets the model write at three temperatures, by fairseq's own commands,
each shown as it runs. The last tenth of the text is for validation. Run it again to go on after an
interruption: it takes the settings it began with.

What it chooses, by the size of the text (from scratch; a tokenizer is trained on the text; 128 tokens read at
once):
  below 300 KB    4 layers x 128,   512 token ids, dropout 0.3
  below 5 MB      6 layers x 256, 1,000 token ids, dropout 0.2
  from 5 MB on    6 layers x 384, 4,000 token ids, dropout 0.1
A short trial run measures this machine's speed; the number of updates is what fits into the time, and at the
most 40 passes over the text (3 with --from). The learning rate falls to zero when the time is over,
validation comes 25 times (6 with --from; less often in less than three minutes), and five (two) validations
without a better loss end the training.

Exit status: 0; 3 if the model has learnt nothing worth reading (the last lines begin with the reason); 1 for
an error.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.augment.verdict.by_labels import Verdict
from fairseq_plugin.augment.verdict.quick import DO_NOT_USE, EXIT_STATUS
from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.errors import plain_errors
from fairseq_plugin.imitation.request import ImitationRequest, name_of
from fairseq_plugin.imitation.stages import TEMPERATURES, ImitationStages, train_model
from fairseq_plugin.imitation.verdict import verdict_on_text
from fairseq_plugin.reports.display import visible
from fairseq_plugin.reports.sample_book import read_samples, write_page
from fairseq_plugin.stages.stage import ROOT, Runner
from fairseq_plugin.storage.lock import FolderLock
from fairseq_plugin.text.one_line import unescape


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="imitate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("text", type=Path, metavar="FILE|FOLDER",
        help="UTF-8 text: a book, plays, songs, a log of messages, 100 KB and more; or a folder: its files, "
        "and those below it, in the order of their paths")  # fmt: skip
    add("--pattern", metavar="NAMES", default="*.txt",
        help="which files of a folder, several with commas: '*.md,*.py' (default: '*.txt')")  # fmt: skip
    add("--to", type=Path, metavar="DIR",
        help="folder for everything that is written (default: runs/ and the text's name)")  # fmt: skip
    add("--minutes", type=float, default=15.0, metavar="M", help="of training, > 0 (default: 15)")
    add("--from", dest="pretrained", type=Path, metavar="FOLDER",
        help="go on from a GPT-2 in Hugging Face's format (scripts/convert_gpt2.py fetch gpt2 --to FOLDER) "
        "instead of from nothing: far better English, and far slower on a CPU")  # fmt: skip
    add("--prompt", dest="prompts", action="append", default=[], metavar="TEXT",
        help="what the samples begin with; may be repeated; \\n is a line's end (default: a new paragraph, "
        "and the first line of the validation text)")  # fmt: skip
    add("--gamma", type=float, default=1.0, metavar="G",
        help="ScaleGrad's gamma in (0, 1]; below 1 the text repeats itself less (default: 1, maximum "
        "likelihood)")  # fmt: skip
    add("--seed", type=int, default=1, metavar="N", help="of training and of the samples (default: 1)")
    return parser


def write_samples(stages: ImitationStages, runner: Runner) -> Path:
    """Let the model write; the page of what it wrote."""
    for temperature in TEMPERATURES:
        runner.run(stages.write(temperature))
    groups = [
        (f"temperature {temperature}", read_samples(ROOT / stages.samples(temperature) / "test_samples.tsv"))
        for temperature in TEMPERATURES
    ]
    page = ROOT / stages.to / "samples.md"
    write_page(page, f"In the style of {stages.request.text.name}", groups)
    return stages.to / "samples.md"


def tell(stages: ImitationStages, verdict: Verdict, bits: float, samples: Path, seconds: float) -> None:
    """The last lines."""
    valid = TextManifest.load(ROOT / stages.data).splits["valid"]
    nats = bits * math.log(2) * valid.tokens / max(1, valid.characters)
    print(f"\n{verdict.sentence}\nDone in {seconds:.0f} s.")
    print(f"  validation loss: {bits:.4f} bits per token, {nats:.4f} nats per character")
    print(f"  curves:   {stages.to / 'training.png'}")
    print(f"  samples:  {samples} (while training: {stages.checkpoint.parent / 'samples.md'})")
    print(f"  model:    {stages.checkpoint}")
    prompt, text = read_samples(ROOT / stages.samples("0.8") / "test_samples.tsv")[-1]
    print("A sample, temperature 0.8:")
    for line in (prompt + text).split("\n"):
        print("  " + visible(line))


@plain_errors()
def main(argv: Sequence[str] | None = None) -> None:
    given = vars(build_parser().parse_args(argv))
    given["prompts"] = [unescape(prompt) for prompt in given["prompts"]]
    given["to"] = given["to"] or ROOT / "runs" / name_of(given["text"])
    request = ImitationRequest(**given)
    request.check()
    began = time.monotonic()
    request.to.mkdir(parents=True, exist_ok=True)
    stages, runner = ImitationStages(request), Runner()
    with FolderLock(request.to / "imitate", what=request.to):
        train_model(stages, runner)
        runner.run(stages.draw())
        runner.run(stages.measure())
        samples = write_samples(stages, runner)
        bits = stages.bits_per_token()
        # The verdict comes first: a model that has learnt nothing must not look like a success.
        verdict = verdict_on_text(ROOT / stages.data, bits)
        tell(stages, verdict, bits, samples, time.monotonic() - began)
    if not verdict.is_worth_using:
        sys.exit(EXIT_STATUS[DO_NOT_USE])


if __name__ == "__main__":
    main()
