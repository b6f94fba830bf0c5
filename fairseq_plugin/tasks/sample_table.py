"""``test_samples.tsv``: one line per sample, the context, a tab, the continuation."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from fairseq_plugin.files import atomic_write
from fairseq_plugin.text.one_line import escape

FILE_NAME = "test_samples.tsv"


class SampleTable:
    """Collects the samples of a run and writes them when the last one is there, by sample id.

    Until then the table of an earlier run is as it was.

    Args:
        folder: ``--results-path``.
        decode: token indices -> text.
    """

    def __init__(self, folder: str | Path, decode: Callable[[Sequence[int]], str]) -> None:
        self.path, self.decode = Path(folder) / FILE_NAME, decode
        self._lines: list[tuple[int, int, str]] = []  # sample id, rank, what is written

    def add(self, sample_id: int, prompt: Sequence[int], continuations: Iterable[Sequence[int]]) -> None:
        """Add the texts of one sample: token indices of the prompt and of each continuation, best first."""
        context = escape(self.decode(prompt))
        for rank, tokens in enumerate(continuations):
            self._lines.append((sample_id, rank, f"{context}\t{escape(self.decode(tokens))}\n"))

    def write(self) -> Path:
        """Write the file; its path."""
        with atomic_write(self.path) as stream:
            stream.writelines(line for _, _, line in sorted(self._lines))
        return self.path
