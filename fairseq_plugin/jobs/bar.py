"""What a person sees of a job's units: a bar with the rate and the time left."""

import sys

from tqdm import tqdm

from fairseq_plugin.jobs.finished import Progress

_DELAY = 5.0  # seconds; what is shorter needs no bar


class UnitBar(Progress):
    """A bar on standard error, where that is a terminal.

    Args:
        what: is counted, in the plural.
        always: show it elsewhere too.
    """

    def __init__(self, what: str = "samples", always: bool = False) -> None:
        self._bar = tqdm(
            total=0,
            desc=what,
            unit=f" {what}",
            delay=_DELAY,
            disable=not always and not sys.stderr.isatty(),
            leave=False,
            dynamic_ncols=True,
        )

    def planned(self, num_samples: int) -> None:
        self._bar.total += num_samples
        self._bar.refresh()

    def made(self, num_samples: int) -> None:
        self._bar.update(num_samples)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
