"""What is installed here: a record of a set tells it."""

import platform
from importlib import metadata


def versions() -> dict[str, str | None]:
    """Of Python and the packages that decide a result; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("fairseq-scalegrad", "fairseq-fixed", "torch", "numpy", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found
