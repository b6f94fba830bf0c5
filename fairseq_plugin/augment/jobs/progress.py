"""What a person sees of a job: a bar with the rate, the share of accepted samples and the time left."""

from fairseq_plugin.augment.filters.acceptance import Acceptance
from fairseq_plugin.augment.jobs.fill import Progress
from fairseq_plugin.jobs.bar import UnitBar


class JobBar(UnitBar, Progress):
    """A bar on standard error, where that is a terminal; ``always`` shows it elsewhere too."""

    def __init__(self, always: bool = False) -> None:
        super().__init__("samples", always)

    def judged(self, acceptance: Acceptance) -> None:
        share = acceptance.num_accepted / max(1, acceptance.num_added)
        self._bar.set_postfix_str(f"{share:.0%} accepted", refresh=False)
