"""The flags that say how labelled files are read: the same for every script that reads them.

Where a script writes rows, ``--format`` is that of the new rows and ``--max-tokens`` a limit on them. So two
of these flags are called ``--source-format`` and ``--max-row-tokens`` everywhere, also in messages.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.source import MAX_BYTES

HELD_OUT = 0.1
_CHOICES = ("auto", "yes", "no")


@dataclass(frozen=True)
class ReadingOptions:
    r"""How labelled files are read; the attributes are the flags.

    Attributes:
        source_format: ``"tsv"``, ``"csv"``, ``"jsonl"``, or ``"auto"``: by the file's ending.
        header, quoting: ``"yes"``, ``"no"`` or ``"auto"``.
        text_column, label_column: a name, or a position from 0; None: guessed.
        label_text: what the model reads for labels, each ``NAME=TEXT``.
        held_out: share of train that is held out where no validation rows are given, in (0, 1).
        max_row_tokens: longest row in tokens, label and end included; None: what fits the model.
        max_bytes: largest row in bytes, all its columns included.
        separator: between label and sentence, as typed: ``\t`` is a tab.
        keep_whitespace: white space around sentences is theirs.
        drop_unknown_labels: leave out rows of valid and test whose label train lacks.
    """

    source_format: str = "auto"
    header: str = "auto"
    quoting: str = "auto"
    text_column: str | None = None
    label_column: str | None = None
    label_text: tuple[str, ...] = ()
    held_out: float = HELD_OUT
    max_row_tokens: int | None = None
    max_bytes: int = MAX_BYTES
    separator: str = "\\t"
    keep_whitespace: bool = False
    drop_unknown_labels: bool = False

    def words(self) -> list[str]:
        """The flags on a command line that ask for these options; none for a default.

        >>> ReadingOptions(header="no", label_text=("0=bad", "1=good"), keep_whitespace=True).words()
        ['--header', 'no', '--label-text', '0=bad', '--label-text', '1=good', '--keep-whitespace']
        """
        words: list[str] = []
        for own in fields(self):
            value, flag = getattr(self, own.name), "--" + own.name.replace("_", "-")
            if value == own.default:
                continue
            for one in value if isinstance(value, tuple) else (value,):
                if one is True:
                    words.append(flag)
                elif str(one).startswith("-"):  # argparse would take it for a flag
                    words.append(f"{flag}={one}")
                else:
                    words += [flag, str(one)]
        return words


def add_reading_flags(
    parser: argparse.ArgumentParser, max_row_tokens: int | None = None, only_reads: bool = False
) -> None:
    """Add them, in a group of their own.

    Args:
        parser: of the script.
        max_row_tokens: the default of this flag.
        only_reads: the script writes no rows, so ``--format`` and ``--max-tokens`` mean these flags, too.
    """
    add = parser.add_argument_group("how the rows are read").add_argument
    add("--text-column", metavar="NAME|N", help="column of the sentence: a name, or a position from 0")
    add("--label-column", metavar="NAME|N", help="column of the label: a name, or a position from 0")
    add("--header", choices=_CHOICES, default="auto",
        help="does the first row name the columns? (default: %(default)s)")  # fmt: skip
    add("--source-format", *(["--format"] if only_reads else []), dest="source_format", default="auto",
        choices=("auto", "tsv", "csv", "jsonl"),
        help="of the files; auto: by the ending (default: %(default)s)")  # fmt: skip
    add("--quoting", choices=_CHOICES, default="auto",
        help="may fields be in double quotes? auto: CSV yes, TSV no (default: %(default)s)")  # fmt: skip
    add("--label-text", metavar="NAME=TEXT", action="append", default=[],
        help="what the model reads for a label, such as 0=negative; repeatable")  # fmt: skip
    add("--held-out", metavar="SHARE", type=float, default=HELD_OUT,
        help="of train, where there is no --valid, 0 < SHARE < 1 (default: %(default)s)")  # fmt: skip
    default = "what fits the model" if max_row_tokens is None else "%(default)s"
    add("--max-row-tokens", *(["--max-tokens"] if only_reads else []), dest="max_row_tokens", metavar="N",
        type=int, default=max_row_tokens, help="longest row in tokens, label and end included; longer ones "
        f"are left out and counted (default: {default})")  # fmt: skip
    add("--max-bytes", metavar="N", type=int, default=MAX_BYTES,
        help="largest row in bytes, all its columns included (default: %(default)s)")  # fmt: skip
    add("--separator", default="\\t", help="between label and sentence (default: %(default)s, a tab)")
    add("--keep-whitespace", action="store_true", help="do not strip white space around sentences")
    add("--drop-unknown-labels", action="store_true",
        help="leave out (and count) rows of valid and test whose label no row of train has")  # fmt: skip


def reading_options_of(args: argparse.Namespace) -> ReadingOptions:
    """What the flags ask for."""
    given: dict[str, Any] = {own.name: getattr(args, own.name) for own in fields(ReadingOptions)}
    return ReadingOptions(**{**given, "label_text": tuple(args.label_text)})


def label_texts(pairs: Sequence[str]) -> dict[str, str]:
    """``["0=negative"]`` -> ``{"0": "negative"}``.

    Raises:
        UserError: no pair, or a label with two texts.
    """
    texts: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UserError(f"--label-text {pair}: expected NAME=TEXT, such as 0=negative")
        if texts.setdefault(name, text) != text:
            raise UserError(f"--label-text {name} is given twice: {texts[name]!r} and {text!r}")
    return texts
