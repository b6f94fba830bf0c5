"""A JSON file that carries its own digest, so that a flipped bit in it is seen."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairseq_plugin.files import atomic_write

KEY = "sha256"


def write_sealed(path: str | Path, content: Mapping[str, object]) -> None:
    """Write ``content`` with its digest as the last key."""
    with atomic_write(path) as stream:
        stream.write(_text({**content, KEY: _digest(content)}))


def is_sealed(content: Mapping[str, object], written: bytes) -> bool:
    """Whether the file's bytes are what :func:`write_sealed` wrote; ``content`` is what they were parsed
    to.
    """
    return content.get(KEY) == _digest(content) and written == _text(content).encode("utf-8")


def read_sealed(path: str | Path) -> dict[str, Any] | None:
    """What :func:`write_sealed` wrote to a file, the digest included; None where the file is not as written.

    Raises:
        OSError: it cannot be read.
    """
    written = Path(path).read_bytes()
    try:
        content = json.loads(written)
        is_whole = isinstance(content, dict) and is_sealed(content, written)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested without end
        return None
    return content if is_whole else None


def _text(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _digest(content: Mapping[str, object]) -> str:
    plain = {key: value for key, value in content.items() if key != KEY}
    return hashlib.sha256(_text(plain).encode("utf-8", errors="surrogatepass")).hexdigest()
