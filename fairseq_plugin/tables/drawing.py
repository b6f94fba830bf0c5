"""Draw the symbols of rows with a network.

A row that repeats a rare text is drawn again, under a seed made of the first one and of how often it was
drawn. So a row depends on (model, seed, its number), and its distribution is the model's, over rows that
repeat none.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import count

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.sampling.constraints import ConstraintMaker
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import RowCode
from fairseq_plugin.tables.walk import only_rows

Groups = Sequence[tuple[Sequence[int], Sequence[int]]]
MOST_DRAWS = 100  # for each row, on average, and
_FEWEST_DRAWS = 64 * MOST_DRAWS  # for some rows


def again_seed(seed: int, turn: int) -> int:
    """The seed under which a row is drawn again, for the ``turn``-th time."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {turn}".encode(), digest_size=8).digest(), "little")


def draw_again(
    code: RowCode,
    rows: Iterable[tuple[int, Sequence[int]]],
    given_to: Callable[[int], Collection[int]],
    seed: int,
    draw: Callable[[list[int], int], Mapping[int, Sequence[int]]],
) -> int:
    """Draw rows again until none repeats a rare text.

    Args:
        code: of the rows.
        rows: each with what names it.
        given_to: numbers of the columns that a row was given.
        seed: in [0, 2^64).
        draw: rows by their names, under a seed; keeps what it draws.

    Returns:
        How many were drawn again; one is counted each time.

    Raises:
        UserError: some rows repeat one again and again.
    """
    if not len(code.rare_texts):
        return 0
    rows = list(rows)
    most, num_redrawn = max(MOST_DRAWS * len(rows), _FEWEST_DRAWS), 0
    for turn in count(1):
        left = [name for name, symbols in rows if code.repeats_rare_text(symbols, given_to(name))]
        if not left:
            break
        if num_redrawn >= most:
            raise UserError(
                f"{len(left):,} rows repeat texts of fewer than --rare rows after {num_redrawn:,} further "
                "draws: the model knows them by heart; train it for fewer updates, or prepare the table with "
                "--rare 1, which allows them"
            )
        rows, num_redrawn = list(draw(left, again_seed(seed, turn)).items()), num_redrawn + len(left)
    return num_redrawn


class RowDrawing:
    """Rows by (seed, number, what they begin with), whatever else is drawn.

    Args:
        code: of the rows.
        gpt2: in evaluation mode.

    Attributes:
        num_redrawn: rows that were drawn again, so far.
    """

    def __init__(self, code: RowCode, gpt2: GPT2) -> None:
        self._code, self._gpt2, self._rows = code, gpt2, only_rows(code)
        self.num_redrawn = 0

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
    ) -> dict[int, list[int]]:
        """The symbols of rows by their numbers, with their ends; none repeats a rare text.

        Args:
            groups: (prompt, numbers of rows) each.
            seed: in [0, 2^64).
            temperature, constraint: see :meth:`request`.

        Raises:
            UserError: see :func:`draw_again`.
        """
        once = partial(self.once, temperature=temperature, constraint=constraint)
        return self._redrawn(once(groups, seed), groups, seed, once)

    def without_rare_texts(
        self, found: dict[int, list[int]], groups: Groups, seed: int
    ) -> dict[int, list[int]]:
        """Rows that a call drew, or a job by the same :meth:`request`; those that repeat a rare text are
        drawn again."""
        return self._redrawn(found, groups, seed, self.once)

    def _redrawn(
        self,
        found: dict[int, list[int]],
        groups: Groups,
        seed: int,
        once: Callable[[Groups, int], dict[int, list[int]]],
    ) -> dict[int, list[int]]:
        if not len(self._code.rare_texts):
            return found
        given_in = [{number for number, _ in self._code.cells_of(one[1:])} for one, _ in groups]
        group_of = {number: at for at, (_, numbers) in enumerate(groups) for number in numbers}

        def draw(numbers: list[int], new_seed: int) -> dict[int, list[int]]:
            left: dict[int, list[int]] = {}
            for number in numbers:
                left.setdefault(group_of[number], []).append(number)
            some = [(groups[at][0], of_it) for at, of_it in left.items()]
            drawn = once(some, new_seed)
            found.update(drawn)
            return drawn

        rows = list(found.items())
        self.num_redrawn += draw_again(
            self._code, rows, lambda number: given_in[group_of[number]], seed, draw
        )
        return found

    def once(
        self,
        groups: Groups,
        seed: int,
        temperature: float = 1.0,
        constraint: ConstraintMaker | None = None,
    ) -> dict[int, list[int]]:
        """:meth:`__call__`, but rows that repeat a rare text are among them."""
        by_length: dict[int, list[tuple[Sequence[int], Sequence[int]]]] = {}
        for prompt, numbers in groups:
            by_length.setdefault(len(prompt), []).append((prompt, numbers))
        found: dict[int, list[int]] = {}
        for length, some in by_length.items():  # each has the room that its rows need
            request = self.request(length, seed, temperature, constraint)
            for one in SamplePool(self._gpt2, request, length).run(some):
                new = one.continuation.tokens.tolist()
                found[one.sample_id] = [*one.prompt[1:], *new, *([] if new[-1:] == [EOS] else [EOS])]
        return found
