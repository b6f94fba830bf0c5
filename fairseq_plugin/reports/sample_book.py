"""``samples.md``: what the model wrote while it was trained, one entry per validation.

The file is Markdown for people. A comment before each entry tells the next process where the entry begins, what
update it belongs to, how long its text is and its SHA-256; so a run that goes on after an interruption drops the entries
it is about to make again, and a file that somebody edited is noticed and kept aside, never overwritten.

No text of a model can break the page or forge an entry: every line of it begins with ``> ``, and characters
with a meaning in Markdown or HTML are escaped.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.reports.display import visible
from fairseq_plugin.text.one_line import unescape

logger = logging.getLogger(__name__)

HEAD = (
    "# Samples while training\n\n"
    "What the model wrote at each validation, newest last. Bold: the prompt it was given; the rest is its own.\n\n"
)
_MARK = re.compile(r"^<!-- samples (\{.*\}) -->$", re.M)

# What can begin a construct anywhere in a line; a colon and a full stop only inside of an address.
_ANYWHERE = re.compile(r"[\\`*_{}\[\]<>&~|$@]|:(?=//)|(?<=www)\.", re.I)
# What can begin a block at the head of a line: headings, lists, rules, underlines of headings.
_AT_HEAD = re.compile(r"^[#+\-=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|^\d{3,9}(?=[.)])")


@dataclass(frozen=True)
class Entry:
    """One entry as it stands in the file: ``update`` (>= 0), ``epoch`` or None, and its Markdown ``text``."""

    update: int
    epoch: int | None
    text: str

    def marked(self):
        """The entry with its mark."""
        size, digest = len(self.text), _digest(self.text)
        record = {"update": self.update, "epoch": self.epoch, "characters": size, "sha256": digest}
        return f"<!-- samples {json.dumps(record)} -->\n{self.text}"


class SampleBook:
    """The samples of one run.

    Args:
        path: the file, such as ``SAVE_DIR/samples.md``; its folder is made when there is something to write.
    """

    def __init__(self, path):
        self.path = Path(path)

    def start(self, update):
        """Begin, or go on: drop the entries of later updates, which the run makes again.

        The entry of ``update`` itself stays: fairseq validates before it saves, so the checkpoint of an update
        is younger than its samples. A run from the beginning (``update`` 0) keeps an earlier run's file aside.

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

    def write(self, *, update, samples, epoch=None, settings=None, valid_loss=None):
        """Add the samples of an update; entries of this update and of later ones are replaced.

        Args:
            update: number of updates done, >= 0.
            samples: list of ``(prompt, continuation)`` texts; the prompt may be empty.
            epoch: running epoch, from 1.
            settings: how they were drawn: words, or a dictionary such as ``{"temperature": 0.8, "top-p": 0.9}``.
            valid_loss: validation loss in bits per token, as fairseq logs it.

        Raises:
            UserError: the file cannot be written.
        """
        entries = [entry for entry in self._read() if entry.update < update]
        text = entry_text(update, samples, epoch, settings, valid_loss)
        self._write([*entries, Entry(int(update), None if epoch is None else int(epoch), text)])

    def entries(self):
        """The whole entries of the file, in the order of their updates; none if there is no file."""
        return parse(self._text())[0]

    def _text(self):
        try:
            return self.path.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return HEAD
        except OSError as error:
            raise UserError(f"{self.path} cannot be read ({error.strerror}); move it away") from error

    def _read(self):
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

    def _keep_aside(self, word):
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

    def _write(self, entries):
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as stream:
                stream.write(HEAD + "".join(entry.marked() for entry in entries))
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror}); make room, or choose another folder"
            ) from error


def parse(text):
    """Read a book.

    Args:
        text: the file's content.

    Returns:
        ``(entries, untouched)``: whole entries by ascending update, each update once (the last one counts), and
        whether the text is exactly what this module wrote.
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


def entry_text(update, samples, epoch=None, settings=None, valid_loss=None):
    """The Markdown of one entry; see :meth:`SampleBook.write`."""
    title = [f"Update {int(update):,}"]
    if epoch is not None:
        title.append(f"epoch {int(epoch)}")
    if valid_loss is not None:
        title.append(f"validation loss {float(valid_loss):.3f} bits per token")
    parts = [f"## {' · '.join(title)}\n\n"]
    if isinstance(settings, dict):
        settings = ", ".join(f"{name} {value}" for name, value in settings.items())
    if settings:
        parts.append(f"Drawn with: {_escape_line(' '.join(str(settings).split()))}\n\n")
    if not samples:
        parts.append("(no samples)\n\n")
    for number, (prompt, continuation) in enumerate(samples, start=1):
        parts.append(f"Sample {number}\n\n{quote(prompt, continuation)}\n\n")
    return "".join(parts)


def quote(prompt, continuation):
    r"""A sample as a Markdown block quote, line for line, the prompt bold.

    >>> print(quote("To be,", " or *not*\nto be"))
    > <b>To be,</b> or \*not\*\
    > to be
    """
    prompt_lines, own_lines = prompt.split("\n"), continuation.split("\n")
    lines = [f"<b>{_escape_line(line)}</b>" if line.strip(" ") else "" for line in prompt_lines]
    lines[-1] += _escape_line(own_lines[0], at_head=not lines[-1])
    lines = [line.rstrip(" ") for line in [*lines, *map(_escape_line, own_lines[1:])]]
    shown = []
    for line, following in zip(lines, [*lines[1:], ""]):
        # A backslash at the end of a line is Markdown's line break; an empty line parts paragraphs by itself.
        shown.append(f"> {line}" + ("\\" if line and following else "") if line else ">")
    if not any(line.strip() for line in lines):  # a no-break space alone shows nothing either
        shown[0] = "> (empty)"
    return "\n".join(shown)


def _escape_line(line, at_head=True):
    """One line of any text as inline Markdown that shows just this text."""
    line = visible(line)
    bare = line.lstrip(" ") if at_head else line
    indent = "&nbsp;" * (len(line) - len(bare) if bare else 0)
    escaped = _ANYWHERE.sub(lambda match: "\\" + match[0], bare)
    if at_head and not indent:
        escaped = _AT_HEAD.sub(_escape_head, escaped)
    return indent + escaped


def _escape_head(match):
    return "&#%d;%s" % (ord(match[0][0]), match[0][1:]) if match[0][0].isdigit() else "\\" + match[0]


def _digest(text):
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()


_writers = {}  # log folder -> SummaryWriter, or None where tensorboard is not installed


def write_tensorboard(logdir, update, samples):
    """Show samples under TensorBoard's "Text" tab, beside the curves that fairseq writes there.

    Args:
        logdir: ``--tensorboard-logdir``; the texts go to its subfolder ``samples``.
        update: number of updates done; what an interrupted run wrote from this update on is dropped.
        samples: list of ``(prompt, continuation)`` texts.

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


def read_samples(path):
    """Read ``test_samples.tsv``: one sample per line, context, tab, continuation, with backslash escapes.

    Returns:
        List of ``(prompt, continuation)`` texts.

    Raises:
        UserError: no such file, or a line that is no sample.
    """
    try:
        lines = Path(path).read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); fairseq-generate writes it to --results-path"
        ) from error
    samples = [tuple(map(unescape, line.split("\t"))) for line in lines if line]
    for number, sample in enumerate(samples, start=1):
        if len(sample) != 2:
            raise UserError(f"{path} line {number} is no sample (context, tab, continuation); generate again")
    return samples


def write_page(path, title, groups):
    """Write samples as one Markdown page.

    Args:
        path: the file; an older one is replaced.
        title: of the page, any text.
        groups: list of ``(heading, samples)``, samples being a list of ``(prompt, continuation)`` texts.
    """
    parts = [
        f"# {_escape_line(' '.join(title.split()), at_head=False)}\n\nBold: the prompt; the rest was written.\n"
    ]
    for heading, samples in groups:
        parts.append(f"\n## {_escape_line(' '.join(heading.split()), at_head=False)}\n")
        parts += [
            f"\nSample {number}\n\n{quote(*sample)}\n" for number, sample in enumerate(samples, start=1)
        ]
    with atomic_write(path) as stream:
        stream.write("".join(parts))
