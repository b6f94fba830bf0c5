"""What a person sees of a job: a bar with the rate, the share of accepted samples and the time left."""

import sys

from tqdm import tqdm

from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.jobs.fill import Progress

_DELAY = 5.0  # seconds; what is shorter needs no bar


class JobBar(Progress):
    """A bar on standard error, where that is a terminal; ``always`` shows it elsewhere too."""

    def __init__(self, always: bool = False) -> None:
        self._bar = tqdm(
            total=0,
            desc="samples",
            unit=" samples",
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

    def judged(self, acceptance: Acceptance) -> None:
        share = acceptance.num_accepted / max(1, acceptance.num_added)
        self._bar.set_postfix_str(f"{share:.0%} accepted", refresh=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
