"""What a person sees while a verdict is measured: a bar, and the time left."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

_DELAY = 3.0  # seconds; what is shorter needs no bar


class VerdictBar:
    """A bar on standard error, where that is a terminal; ``always`` shows it elsewhere too."""

    def __init__(self, always: bool = False) -> None:
        self._bar = tqdm(
            desc="training classifiers",
            delay=_DELAY,
            disable=not always and not sys.stderr.isatty(),
            leave=False,
            dynamic_ncols=True,
        )

    def said(self, done: int, total: int) -> None:
        """So many of so many sets of rows are learnt from."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
