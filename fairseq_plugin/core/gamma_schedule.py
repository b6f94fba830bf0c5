"""ScaleGrad's gamma as a function of the update.

    constant    gamma
    linear      from start to gamma over N updates:  start + (gamma - start) * min(u / N, 1)
    warmup      start for N updates, then gamma

u = updates made before this one: 0 for the first. A start of 1 begins with maximum likelihood.
"""

from dataclasses import dataclass

from fairseq_plugin.core.scale_grad_rule import check_gamma

SCHEDULES = ("constant", "linear", "warmup")


@dataclass(frozen=True)
class GammaSchedule:
    """Weight of novel tokens over the training.

    Args:
        gamma: the final value, in (0, 1].
        kind: one of ``SCHEDULES``.
        start: the first value, in (0, 1].
        num_updates: N, updates (not batches) until gamma is reached; >= 1 unless constant.

    Raises:
        ValueError: a value out of range, or one that the schedule would ignore.
    """

    gamma: float
    kind: str = "constant"
    start: float = 1.0
    num_updates: int = 0

    def __post_init__(self) -> None:
        check_gamma("--gamma", self.gamma)
        if self.kind not in SCHEDULES:
            raise ValueError(f"--gamma-schedule {self.kind}: must be one of {', '.join(SCHEDULES)}")
        check_gamma("--gamma-start", self.start)
        if self.kind == "constant" and self.num_updates != 0:
            raise ValueError(
                f"--gamma-updates {self.num_updates} has no effect on --gamma-schedule constant: "
                "give --gamma-schedule linear or warmup, or leave it out"
            )
        if self.kind == "constant" and self.start != 1.0:
            raise ValueError(
                f"--gamma-start {self.start} has no effect on --gamma-schedule constant: "
                "give --gamma-schedule linear or warmup, or leave it out"
            )
        if self.kind != "constant" and self.num_updates < 1:
            raise ValueError(
                f"--gamma-schedule {self.kind} needs --gamma-updates, the updates until --gamma is reached "
                f"(>= 1, not {self.num_updates})"
            )

    @property
    def is_constant(self) -> bool:
        return self.kind == "constant"

    def at(self, num_updates_before: int) -> float:
        """Gamma of the update that follows ``num_updates_before`` others."""
        if self.is_constant or num_updates_before >= self.num_updates:
            return self.gamma
        if self.kind == "warmup":
            return self.start
        return self.start + (self.gamma - self.start) * (num_updates_before / self.num_updates)
