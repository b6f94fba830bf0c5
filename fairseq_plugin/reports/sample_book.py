"""``samples.md``: what the model wrote while it was trained, one entry per validation.

The file is Markdown for people. A comment before each entry tells the next process where the entry begins,
what update it belongs to, how long its text is and its SHA-256; so a run that goes on after an interruption
drops the entries it is about to make again, and a file that somebody edited is noticed and kept aside, never
overwritten.

No text of a model can break the page or forge an entry: every line of it begins with ``> ``, and characters
with a meaning in Markdown or HTML are escaped.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.markdown import escape_line, quote, unquote
from fairseq_plugin.storage.sealed import is_sealed
from fairseq_plugin.text.one_line import unescape

logger = logging.getLogger(__name__)

RECORD = "completions.json"  # beside the samples of fairseq-generate
Sample = tuple[str, str]  # prompt and continuation
Settings = str | Mapping[str, object] | None

HEAD = (
    "# Samples while training\n\n"
    "What the model wrote at each validation, newest last. "
    "Bold: the prompt it was given; the rest is its own.\n\n"
)
_QUOTED = re.compile(r"^Sample \d+\n\n((?:>.*\n)+)", re.M)
_MARK = re.compile(r"^<!-- samples (\{.*\}) -->$", re.M)


@dataclass(frozen=True)
class Entry:
    """One entry as it stands in the file: ``update`` (>= 0), ``epoch`` or None, and its Markdown ``text``."""

    update: int
    epoch: int | None
    text: str

    @property
    def title(self) -> str:
        """Update, epoch and loss, in words."""
        return self.text.partition("\n")[0].removeprefix("## ")

    @property
    def samples(self) -> list[Sample]:
        """What was written, as it is shown."""
        return [unquote(quoted.rstrip("\n")) for quoted in _QUOTED.findall(self.text)]

    def marked(self) -> str:
        """The entry with its mark."""
        size, digest = len(self.text), _digest(self.text)
        record = {"update": self.update, "epoch": self.epoch, "characters": size, "sha256": digest}
        return f"<!-- samples {json.dumps(record)} -->\n{self.text}"


class SampleBook:
    """The samples of one run.

    Args:
        path: the file, such as ``SAVE_DIR/samples.md``; its folder is made when there is something to write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def start(self, update: int) -> int:
        """Begin, or go on: drop the entries of later updates, which the run makes again.

        The entry of ``update`` itself stays: fairseq validates before it saves, so the checkpoint of an
        update is younger than its samples. A run from the beginning (``update`` 0) keeps an earlier run's
        file aside.

        Args:
            update: number of updates already done, >= 0.

        Returns:
            Number of entries that stay.
        """
        entries = self._read()
        kept = [entry for entry in entries if entry.update <= update]
        if len(kept) < len(entries):
            if update == 0:
                aside = self._keep_aside("earlier")
                logger.info("%s was of an earlier run: kept as %s", self.path, aside.name)
            self._write(kept)
        return len(kept)

    def write(
        self,
        *,
        update: int,
        samples: Sequence[Sample],
        epoch: int | None = None,
        settings: Settings = None,
        valid_loss: float | None = None,
    ) -> None:
        """Add the samples of an update; entries of this update and of later ones are replaced.

        Args:
            update: number of updates done, >= 0.
            samples: prompt and continuation of each; the prompt may be empty.
            epoch: running epoch, from 1.
            settings: how they were drawn: words, or a dictionary such as ``{"temperature": 0.8, "top-p":
                0.9}``.
            valid_loss: validation loss in bits per token, as fairseq logs it.

        Raises:
            UserError: the file cannot be written.
        """
        entries = [entry for entry in self._read() if entry.update < update]
        text = entry_text(update, samples, epoch, settings, valid_loss)
        self._write([*entries, Entry(int(update), None if epoch is None else int(epoch), text)])

    def entries(self) -> list[Entry]:
        """The whole entries of the file, in the order of their updates; none if there is no file."""
        return parse(self._text())[0]

    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return HEAD
        except OSError as error:
            raise UserError(f"{self.path} cannot be read ({error.strerror}); move it away") from error

    def _read(self) -> list[Entry]:
        """The whole entries; a file that holds anything else is kept aside first."""
        entries, untouched = parse(self._text())
        if not untouched:
            aside = self._keep_aside("edited")
            logger.warning(
                "%s was edited by hand or damaged: kept as %s; %d whole entries are taken over",
                self.path,
                aside.name,
                len(entries),
            )
            self._write(entries)
        return entries

    def _keep_aside(self, word: str) -> Path:
        """Copy the file beside itself under a free name; the name."""
        number = 1
        while True:
            aside = self.path.with_name(f"{self.path.stem}.{word}-{number}{self.path.suffix}")
            try:
                with open(aside, "xb") as stream, open(self.path, "rb") as source:
                    shutil.copyfileobj(source, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                return aside
            except FileExistsError:
                number += 1

    def _write(self, entries: Sequence[Entry]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as stream:
                stream.write(HEAD + "".join(entry.marked() for entry in entries))
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror}); make room, or choose another folder"
            ) from error


def parse(text: str) -> tuple[list[Entry], bool]:
    """Read a book.

    Args:
        text: the file's content.

    Returns:
        ``(entries, untouched)``: whole entries by ascending update, each update once (the last one counts),
        and whether the text is exactly what this module wrote.
    """
    found = {}
    for mark in _MARK.finditer(text):
        try:
            record = json.loads(mark[1])
            update, epoch, digest = record["update"], record["epoch"], record["sha256"]
            body = text[mark.end() + 1 :][: record["characters"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if (
            type(update) is int
            and update >= 0
            and type(epoch) in (int, type(None))
            and digest == _digest(body)
        ):
            found[update] = Entry(update, epoch, body)
    entries = [found[update] for update in sorted(found)]
    return entries, text == HEAD + "".join(entry.marked() for entry in entries)


def entry_text(
    update: int,
    samples: Sequence[Sample],
    epoch: int | None = None,
    settings: Settings = None,
    valid_loss: float | None = None,
) -> str:
    """The Markdown of one entry; see :meth:`SampleBook.write`."""
    title = [f"Update {int(update):,}"]
    if epoch is not None:
        title.append(f"epoch {int(epoch)}")
    if valid_loss is not None:
        title.append(f"validation loss {float(valid_loss):.3f} bits per token")
    parts = [f"## {' · '.join(title)}\n\n"]
    if isinstance(settings, Mapping):
        settings = ", ".join(f"{name} {value}" for name, value in settings.items())
    if settings:
        parts.append(f"Drawn with: {escape_line(' '.join(str(settings).split()))}\n\n")
    if not samples:
        parts.append("(no samples)\n\n")
    for number, (prompt, continuation) in enumerate(samples, start=1):
        parts.append(f"Sample {number}\n\n{quote(prompt, continuation)}\n\n")
    return "".join(parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()


_writers: dict[str, Any] = {}  # log folder -> SummaryWriter, or None where tensorboard is not installed


def write_tensorboard(logdir: str | Path, update: int, samples: Sequence[Sample]) -> bool:
    """Show samples under TensorBoard's "Text" tab, beside the curves that fairseq writes there.

    Args:
        logdir: ``--tensorboard-logdir``; the texts go to its subfolder ``samples``.
        update: number of updates done; what an interrupted run wrote from this update on is dropped.
        samples: prompt and continuation of each.

    Returns:
        Whether it was written: False, after one warning, where the package tensorboard is missing.
    """
    folder = str(Path(logdir) / "samples")
    if folder not in _writers:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            logger.warning("--tensorboard-logdir: no texts are written (%s); pip install tensorboard", error)
            _writers[folder] = None
        else:
            _writers[folder] = SummaryWriter(folder, purge_step=update)
    writer = _writers[folder]
    if writer is None:
        return False
    for number, (prompt, continuation) in enumerate(samples, start=1):
        writer.add_text(f"sample {number}", quote(prompt, continuation), update)
    writer.flush()
    return True


def read_samples(path: str | Path) -> list[Sample]:
    """Read ``test_samples.tsv``: one sample per line, context, tab, continuation, with backslash escapes.

    Raises:
        UserError: no such file, a file that was changed since, or a line that is not a sample.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); fairseq-generate writes it to --results-path"
        ) from error
    stated = _stated_digest(path)
    if stated is not None and hashlib.sha256(content).hexdigest() != stated:
        raise UserError(f"{path} is not as it was written (its SHA-256 is not {RECORD}'s); generate again")
    samples = []
    for number, line in enumerate(filter(None, lines), start=1):
        prompt, tab, continuation = line.partition("\t")
        if not tab or "\t" in continuation:
            raise UserError(
                f"{path} line {number} is not a sample (context, tab, continuation); generate again"
            )
        samples.append((unescape(prompt), unescape(continuation)))
    return samples


def _stated_digest(path: Path) -> str | None:
    """The digest that the record of the run tells of a file; None where there is no such record."""
    try:
        written = path.with_name(RECORD).read_bytes()
        record = json.loads(written)
        digest = record["files"][path.name]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not is_sealed(record, written):
        raise UserError(f"{path.with_name(RECORD)} is not as it was written: it is damaged; generate again")
    return digest


def write_page(path: str | Path, title: str, groups: Sequence[tuple[str, Sequence[Sample]]]) -> None:
    """Write samples as one Markdown page.

    Args:
        path: the file; an older one is replaced.
        title: of the page, any text.
        groups: heading and samples of each.
    """
    heading = escape_line(" ".join(title.split()), at_head=False)
    parts = [f"# {heading}\n\nBold: the prompt; the rest was written.\n"]
    for heading, samples in groups:
        parts.append(f"\n## {escape_line(' '.join(heading.split()), at_head=False)}\n")
        parts += [
            f"\nSample {number}\n\n{quote(*sample)}\n" for number, sample in enumerate(samples, start=1)
        ]
    with atomic_write(path) as stream:
        stream.write("".join(parts))
