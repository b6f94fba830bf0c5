"""Is .venv what the pins say, file by file? The part of setup_env.sh that is easier to read in Python.

Every installed package carries a RECORD of its files with sizes and hashes. Comparing names and sizes
takes half a second for 47,000 files, so a half-finished install, a deleted file or a torn one is seen
on every call instead of being trusted because a folder exists. Standard library only: it must run in an
environment that is broken (``python -I -S scripts/environment.py COMMAND VENV``).

    mendable VENV  status 0 if this folder can be mended; 1, and the reason, if it has to be made anew
    ready VENV     status 0 if the stamp is right and no file is missing; otherwise 1, one fault per line
    mend VENV      remove what is broken, so that pip sees it as missing; ``--deep`` compares hashes too
    faults VENV    list the faults, without looking at the stamp
    stamp VENV     write the stamp: the last act of an install
"""

import argparse
import base64
import contextlib
import csv
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PIN_FILES = tuple(ROOT / "requirements" / f"{name}.txt" for name in ("build", "fairseq", "runtime", "test"))
RECIPE = (*PIN_FILES, ROOT / "scripts" / "setup_env.sh", Path(__file__).resolve(), ROOT / "setup.py")
PLUGIN = "fairseq-scalegrad"


class Package(NamedTuple):
    """One ``*.dist-info`` folder."""

    name: str
    version: str
    info: Path


class Fault(NamedTuple):
    """What is wrong, and the folders whose packages have to go before pip can put it right."""

    name: str
    reason: str
    packages: tuple[Package, ...] = ()


class RecordedFile(NamedTuple):
    """One line of a RECORD."""

    name: str
    digest: str  # "sha256=...", or "" for RECORD itself
    size: int | None


def normal(name: str) -> str:
    """A package name in the one spelling that pins and folders share: ``Jinja2`` -> ``jinja2``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(paths: Iterable[Path] = PIN_FILES) -> dict[str, str]:
    """Read ``name==version`` lines: the version by the normal name.

    Raises:
        ValueError: naming the file and line of anything but an exact pin.
    """
    pins = {}
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
            line = line.partition("#")[0].strip()
            if not line:
                continue
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)", line)
            if not match:
                raise ValueError(f"{path.name}:{number}: {line!r} is not an exact pin; write name==version")
            pins[normal(match[1])] = match[2]
    return pins


def site_packages(venv: Path) -> Path | None:
    """The one ``site-packages`` of an environment, or None."""
    found = sorted(venv.glob("lib/python3.*/site-packages"))
    return found[0] if len(found) == 1 else None


def installed(site: Path) -> dict[str, list[Package]]:
    """All packages of an environment by their normal name; two of one name is a fault."""
    packages: dict[str, list[Package]] = {}
    for info in sorted(site.glob("*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").partition("-")
        packages.setdefault(normal(name), []).append(Package(normal(name), version, info))
    return packages


def record(package: Package) -> list[RecordedFile] | None:
    """The files of a package; None where RECORD is not readable."""
    try:
        with open(package.info / "RECORD", encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
        whole = any(row[0] == f"{package.info.name}/RECORD" for row in rows)  # it lists itself, at the end
        if not whole or not (package.info / "METADATA").stat().st_size:
            return None
        return [RecordedFile(row[0], row[1], int(row[2]) if row[2] else None) for row in rows]
    except (OSError, ValueError, IndexError, csv.Error):  # UnicodeDecodeError is a ValueError
        return None


def damage(package: Package, deep: bool = False) -> str | None:
    """The first thing wrong with a package's files, in words; None if all is well."""
    files = record(package)
    if files is None:
        return "its RECORD or METADATA is missing or torn: the install was interrupted"
    site = package.info.parent
    for name, digest, size in files:
        if name.endswith(".pyc"):  # Python rewrites these when it likes
            continue
        path = os.path.join(site, name)
        try:
            found = os.stat(path).st_size
        except OSError:
            return f"{name} is missing"
        if size is not None and found != size:
            return f"{name} has {found} bytes, not {size}"
        if deep and digest and file_digest(path, digest.partition("=")[0]) != digest:
            return f"{name} has other bytes than were installed"
    return None


def file_digest(path: str | os.PathLike[str], algorithm: str) -> str:
    """A file's hash in RECORD's form, ``sha256=<base64 without padding>``."""
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, algorithm).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def faults(venv: Path, pins: Mapping[str, str | None], deep: bool = False) -> list[Fault]:
    """Compare an environment with the pins (version by name, None for any) and its own RECORD files.

    Packages that nobody pinned (torch's nvidia packages, what a user adds) only have to be whole.
    A local version counts as its public one: ``2.13.0+cpu`` fulfils ``torch==2.13.0``.
    """
    site = site_packages(venv)
    if site is None:
        return [Fault("python", "there is no site-packages folder")]
    packages, found = installed(site), []
    for name in sorted({*packages, *pins}):
        owned = packages.get(name, [])
        if not owned:
            found.append(Fault(name, "it is not installed"))
        elif len(owned) > 1:
            found.append(
                Fault(name, "it is installed twice: " + ", ".join(p.version for p in owned), tuple(owned))
            )
        elif pins.get(name) and owned[0].version.partition("+")[0] != pins[name]:
            found.append(
                Fault(name, f"version {owned[0].version} is not the pinned {pins[name]}", tuple(owned))
            )
        elif reason := damage(owned[0], deep):
            found.append(Fault(name, reason, tuple(owned)))
    return found


def remove(package: Package, venv: Path) -> None:
    """Delete a package's files, never anything outside the environment."""
    site, inside = str(package.info.parent.resolve()), f"{venv.resolve()}{os.sep}"
    for name, _, _ in record(package) or ():
        path = os.path.normpath(os.path.join(site, name))
        if path.startswith(inside):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    shutil.rmtree(package.info)


def mend(venv: Path, pins: Mapping[str, str | None], deep: bool = False) -> list[Fault]:
    """Remove every broken package and pip's leftovers of interrupted uninstalls (``~orch``)."""
    found = faults(venv, pins, deep)
    for fault in found:
        for package in fault.packages:
            remove(package, venv)
    for leftover in (site_packages(venv) or venv).glob("~*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return found


def beyond_mending(venv: Path) -> str | None:
    """Why an environment cannot be mended: not one, of another Python than 3.11 or 3.12, moved; or None."""
    if not (venv / "pyvenv.cfg").is_file() or site_packages(venv) is None:
        return "it is not a whole virtual environment"
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        return f"its Python is {sys.version.split()[0]}, not 3.11 or 3.12"
    try:
        launcher = (venv / "bin" / "pip").read_text(encoding="utf-8").split("\n")[:2]
    except (OSError, ValueError):
        return None  # a missing pip is mended, by ensurepip
    # "#!/path/bin/python", or, where that is too long for the system, "#!/bin/sh" and an exec of it.
    home = re.search(r"(/[^\"']*)/bin/python", " ".join(launcher))
    if home and not (os.path.isdir(home[1]) and os.path.samefile(home[1], venv)):
        return f"it was made in {home[1]} and then moved"
    return None


def recipe(venv: Path) -> str:
    """One line that changes with the pins, the scripts, the Python and the place of the environment."""
    digest = hashlib.sha256()
    for path in RECIPE:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{digest.hexdigest()} python {sys.version.split()[0]} {venv.resolve()}\n"


def stamp_fault(venv: Path) -> str | None:
    """Why the stamp does not vouch for this environment; None if it does."""
    try:
        text = (venv / "stamp").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "the last install did not finish"
    return None if text == recipe(venv) else "the pins, the scripts, the Python or the folder have changed"


def write_stamp(venv: Path) -> None:
    """Put the stamp down whole: on disk first, then under its name."""
    temporary = venv / "stamp.tmp"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(recipe(venv))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, venv / "stamp")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the status is the answer."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("command", choices=("mendable", "ready", "faults", "mend", "stamp"))
    parser.add_argument("venv", type=Path)
    parser.add_argument("--deep", action="store_true", help="compare hashes too, not only names and sizes")
    args = parser.parse_args(argv)
    if args.command == "stamp":
        write_stamp(args.venv)
        return 0
    if args.command == "mendable":
        reason = beyond_mending(args.venv)
        print(f".venv: {reason}" if reason else "", end="")
        return int(reason is not None)
    pins = read_pins()
    if args.command == "mend":
        found = mend(args.venv, pins, args.deep)
    else:
        found = faults(args.venv, pins | {PLUGIN: None}, args.deep)
        if args.command == "ready" and (stale := stamp_fault(args.venv)):
            found.insert(0, Fault("environment", stale))
    for fault in found:
        print(f"{fault.name}: {fault.reason}")
    return int(args.command != "mend" and bool(found))


if __name__ == "__main__":
    sys.exit(main())
