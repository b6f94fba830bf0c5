"""Damage to prepared folders, for tests."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from fairseq_plugin.files import sha256
from fairseq_plugin.storage.manifest import DIGEST, digest_of


def flipped_bits(path: Path, count: int, seed: int = 1) -> Iterator[int]:
    """Flip one bit of a file after another, each undone before the next; yields the byte's position."""
    content = path.read_bytes()
    for bit in sorted(random.Random(seed).sample(range(len(content) * 8), min(count, len(content) * 8))):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        yield bit // 8
    path.write_bytes(content)


def state_again(folder: Path) -> None:
    """Let the manifest state the files as they are now: damage that no checksum shows."""
    path = folder / "manifest.json"
    stated = json.loads(path.read_text("utf-8"))
    stated["files"] = {name: sha256(folder / name) for name in stated["files"]}
    del stated[DIGEST]
    path.write_text(json.dumps(stated | {DIGEST: digest_of(stated)}), "utf-8")
