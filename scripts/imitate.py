#!/usr/bin/env python3
"""From one text to its style, in one command.

    bash scripts/imitate.sh FILE|FOLDER [--minutes M] [--prompt TEXT]... [--to DIR]

makes the environment and runs this. It trains a GPT-2 on a text until its validation loss stops falling or
the time is over, draws the curves, lets the model write at three temperatures, by fairseq's own commands,
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
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq_plugin.augment.verdict.quick import DO_NOT_USE, EXIT_STATUS
from fairseq_plugin.errors import plain_errors
from fairseq_plugin.imitation.learnt import Learnt
from fairseq_plugin.imitation.request import ImitationRequest, name_of
from fairseq_plugin.imitation.results import samples_of, write_pages
from fairseq_plugin.imitation.stages import TEMPERATURES, ImitationStages, train_model
from fairseq_plugin.reports.display import visible
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


def tell(stages: ImitationStages, learnt: Learnt, pages: Sequence[Path], seconds: float) -> None:
    """The last lines."""
    samples, report = pages
    # First: a model that has learnt nothing must not look like a success.
    print(f"\n{learnt.sentence}\nDone in {seconds:.0f} s.")
    loss = f"{learnt.bits_per_token:.4f} bits per token, {learnt.model:.4f} nats per character"
    print(f"  validation loss: {loss}")
    print(f"  report:   {report}")
    print(f"  curves:   {stages.to / 'training.png'}")
    print(f"  samples:  {samples} (while training: {stages.checkpoint.parent / 'samples.md'})")
    print(f"  model:    {stages.checkpoint}")
    prompt, text = samples_of(stages)["temperature 0.8"][-1]
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
        for temperature in TEMPERATURES:
            runner.run(stages.write(temperature))
        learnt, *pages = write_pages(stages)
        tell(stages, learnt, pages, time.monotonic() - began)
    if not learnt.verdict.is_worth_using:
        sys.exit(EXIT_STATUS[DO_NOT_USE])


if __name__ == "__main__":
    main()
