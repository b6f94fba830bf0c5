"""Draw the symbols of rows with a network."""

from collections.abc import Sequence

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import ConstraintMaker
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.walk import only_rows

Groups = Sequence[tuple[Sequence[int], Sequence[int]]]


class RowDrawing:
    """Rows by (seed, number, what they begin with), whatever else is drawn.

    Args:
        code: of the rows.
        gpt2: in evaluation mode.
    """

    def __init__(self, code: RowCode, gpt2: GPT2) -> None:
        self._gpt2, self._rows = gpt2, only_rows(code)

    def request(
        self,
        longest_prompt: int,
        seed: int,
        temperature: float = 1.0,
        constraint: ConstraintMaker | None = None,
    ) -> DecodingRequest:
        """How rows are sampled; ``constraint`` is another than that every text is a row."""
        return DecodingRequest(
            Sampling(temperature=temperature),
            end=EOS,
            max_new=self._gpt2.config.n_positions - longest_prompt,
            seed=seed,
            constraints=(constraint or self._rows,),
        )

    def __call__(
        self,
        groups: Groups,
        seed: int,
        temperature: float = 1.0,
        constraint: ConstraintMaker | None = None,
        num_slots: int | None = None,
    ) -> dict[int, list[int]]:
        """The symbols of rows by their numbers, with their ends.

        Args:
            groups: (prompt, numbers of rows) each.
            seed: in [0, 2^64).
            temperature, constraint: see :meth:`request`.
            num_slots: rows at once; default: by the network's size.
        """
        by_length: dict[int, list[tuple[Sequence[int], Sequence[int]]]] = {}
        for prompt, numbers in groups:
            by_length.setdefault(len(prompt), []).append((prompt, numbers))
        found: dict[int, list[int]] = {}
        for length, some in by_length.items():  # each has the room that its rows need
            request = self.request(length, seed, temperature, constraint)
            for one in SamplePool(self._gpt2, request, length, num_slots).run(some):
                new = one.continuation.tokens.tolist()
                found[one.sample_id] = [*one.prompt[1:], *new, *([] if new[-1:] == [EOS] else [EOS])]
        return found
