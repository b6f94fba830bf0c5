"""``test_samples.tsv``: one line per sample, the context, a tab, the continuation."""

from pathlib import Path

from fairseq_plugin.files import atomic_write
from fairseq_plugin.text.one_line import escape

FILE_NAME = "test_samples.tsv"


class SampleTable:
    """Collects the samples of a run and writes them when the last one is there, by sample id.

    The file is there and whole, or not there at all: one of an earlier run goes at the start.

    Args:
        folder: ``--results-path``.
        decode: token indices -> text.
    """

    def __init__(self, folder, decode):
        self.path, self.decode = Path(folder) / FILE_NAME, decode
        self._rows = []
        self.path.unlink(missing_ok=True)

    def add(self, sample_id, prompt, continuations):
        """Add the texts of one sample: token indices of the prompt and of each continuation, best first."""
        context = escape(self.decode(prompt))
        for rank, tokens in enumerate(continuations):
            self._rows.append((sample_id, rank, f"{context}\t{escape(self.decode(tokens))}\n"))

    def write(self):
        """Write the file."""
        with atomic_write(self.path) as stream:
            stream.writelines(row[-1] for row in sorted(self._rows))
