"""What is made of a parameter (a copy in another dtype or layout), kept until the parameter changes."""

from collections.abc import Callable
from typing import Any

import torch


class Kept:
    """Makes it when it is asked for the first time, and again after the parameter has changed.

    A copy of the owner, by ``deepcopy`` or pickle, begins without it.
    """

    def __init__(self) -> None:
        self._of: tuple[int, int, object] | None = None  # what it was made from
        self._made: Any = None

    def get(self, parameter: torch.Tensor, kind: object, make: Callable[[torch.Tensor], Any]) -> Any:
        """What ``make`` makes of the parameter.

        Args:
            parameter: told from others by its memory and its version.
            kind: tells what is made; another kind replaces what was kept.
            make: called with the parameter, detached.
        """
        of = (parameter.data_ptr(), parameter._version, kind)
        if self._of != of:
            self._of, self._made = of, make(parameter.detach())
        return self._made

    def forget(self) -> None:
        """Make it anew next time. Optimizers that write through ``.data`` (fairseq's Adam) change a parameter
        without its version: each training step must come by here."""
        self._of = self._made = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Kept":
        return Kept()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Kept, ()
