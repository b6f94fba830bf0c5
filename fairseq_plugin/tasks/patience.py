"""How often in a row validation has not improved (``--patience``).

fairseq counts it in attributes of its function ``should_stop_early``, which a restart loses: a training that
was killed would go on longer than one that was not. So the task keeps them in its part of a checkpoint.
"""

import sys
from collections.abc import Mapping
from typing import Any

PATIENCE = "patience"  # in the state of a task
_MODULES = ("__main__", "fairseq_cli.train")  # python -m fairseq_cli.train is the first
_NAMES = ("best", "num_runs")


def patience_state() -> dict[str, float]:
    """The best loss so far, and how many validations since; nothing without ``--patience``."""
    counter = _counter()
    return {name: getattr(counter, name) for name in _NAMES if hasattr(counter, name)}


def restore_patience(state: Mapping[str, Any]) -> None:
    """Go on counting where a checkpoint stood.

    Args:
        state: of the task; an older checkpoint's says nothing.
    """
    counter, saved = _counter(), state.get(PATIENCE)
    if counter is None or not isinstance(saved, Mapping):
        return
    for name in _NAMES:
        if isinstance(saved.get(name), int | float):
            setattr(counter, name, saved[name])


def _counter() -> Any:
    """fairseq's function; None outside of its training command."""
    found = (getattr(sys.modules.get(name), "should_stop_early", None) for name in _MODULES)
    return next((one for one in found if one is not None), None)
