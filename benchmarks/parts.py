"""Parts of a long measurement, each kept in a sealed file, so that the same command goes on."""

import time

from fairseq_plugin.storage.sealed import read_sealed, write_sealed


def part(path, facts, make):
    """What a sealed file holds; made, and written, where it is not there for these facts.

    Args:
        path: of the file.
        facts: plain values that the part depends on.
        make: returns the part, plain values by name; its seconds are added.
    """
    kept = kept_part(path, facts)
    if kept is not None:
        return kept
    began = time.monotonic()
    found = make()
    found["seconds"] = round(time.monotonic() - began, 1)
    write_sealed(path, {"facts": facts, "found": found})
    print(f"{path.name}: {found['seconds']:.0f} s", flush=True)
    return found


def kept_part(path, facts):
    """What a sealed file holds for these facts, or None."""
    stated = read_sealed(path) if path.is_file() else None
    return stated["found"] if stated is not None and stated["facts"] == facts else None
