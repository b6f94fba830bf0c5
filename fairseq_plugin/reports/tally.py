"""How many samples were kept and rejected, and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Verdicts counted; ``generated == kept + rejected``, and every reason is listed, also with 0."""

    generated: int
    kept: int
    rejected: int
    reasons: dict[str, int]

    @property
    def kept_share(self) -> float:
        """In [0, 1]; 0 where nothing was generated."""
        return self.kept / max(1, self.generated)


@dataclass(frozen=True)
class Tally:
    """Verdicts counted in all, and by the name of the label."""

    total: Counts
    labels: dict[str, Counts]

    def to_json(self) -> dict[str, object]:
        """As the manifest of an augmented set states it."""
        labels = {name: asdict(counts) for name, counts in self.labels.items()}
        return {**asdict(self.total), "labels": labels}

    @classmethod
    def from_json(cls, stated: Mapping[str, Any]) -> "Tally":
        """The inverse of :meth:`to_json`."""
        names = [own.name for own in fields(Counts)]
        total = Counts(**{name: stated[name] for name in names})
        return cls(total, {label: Counts(**counts) for label, counts in stated["labels"].items()})
