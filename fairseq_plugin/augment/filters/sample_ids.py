"""Where the samples of each label stand in what is kept of them; 8 bytes a sample."""

from array import array
from bisect import bisect_left


class SampleIds:
    """Ids of samples, by label: sample ``k`` of label ``i`` of L has the id ``k * L + i``.

    Args:
        num_labels: L.
    """

    def __init__(self, num_labels: int) -> None:
        self._ids = [array("q") for _ in range(num_labels)]

    def add(self, sample_id: int) -> None:
        """Note one more; those of each label come in ascending order."""
        own = self._ids[sample_id % len(self._ids)]
        assert not own or own[-1] < sample_id, "ids ascend in each label"
        own.append(sample_id)

    def of(self, label: int, place: int) -> int:
        """The id of a label's sample at a place, from 0."""
        return self._ids[label][place]

    def place(self, sample_id: int) -> tuple[int, int]:
        """Its label, and its place among those of the label.

        Raises:
            KeyError: it was not added.
        """
        label = sample_id % len(self._ids)
        place = bisect_left(self._ids[label], sample_id)
        if place == len(self._ids[label]) or self._ids[label][place] != sample_id:
            raise KeyError(sample_id)
        return label, place
