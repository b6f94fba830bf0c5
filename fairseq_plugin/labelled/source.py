"""Labelled rows, and the form of the file that holds them."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from fairseq_plugin.text.not_utf8 import NotUtf8

# Why a row is not used.
EMPTY, MALFORMED, TOO_LARGE, TOO_LONG, INEXACT = "empty", "malformed", "too_large", "too_long", "inexact"
UNKNOWN_LABEL = "unknown_label"
MAX_BYTES = 100_000  # of a row, unless a flag says otherwise

# A record's cells: by position (TSV, CSV) or by key (JSONL).
Cells = list[str] | dict[str, Any]


@dataclass
class Row:
    """A sentence, its label and the line of the file it begins on (0 when it has none).

    Attributes:
        text, label: of the row.
        line: from 1.
        cells: the row's other columns as they were, in the order of the source's columns; those of text and
            label are "" (TSV, CSV) or None (JSONL). None when there are no others.
    """

    text: str
    label: str
    line: int = 0
    cells: Cells | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Rejection:
    """A row that is not used.

    Attributes:
        line: from 1.
        reason: one of the six above.
        detail: for a person.
        damage: its first byte that is not UTF-8.
    """

    line: int
    reason: str
    detail: str = ""
    damage: NotUtf8 | None = None


@dataclass
class SourceSpec:
    """How a file of labelled rows is written.

    Attributes:
        format: ``"tsv"``, ``"csv"`` or ``"jsonl"``.
        header: whether the first record names the columns (never for JSONL).
        columns: the names, or None for each where there is no header; JSONL: the keys.
        text_column, label_column: positions in ``columns``, from 0.
        quoting: fields may be in double quotes (RFC 4180). GLUE's TSV has none.
        suffix: whitespace after (nearly) every sentence, such as GLUE's one space: taken away
            when reading, put back when writing.
        keep_whitespace: sentences are used exactly as they are, outer whitespace included.
        literal_labels: JSONL labels are numbers or booleans, not strings.
    """

    format: str
    header: bool
    columns: list[str | None] = field(default_factory=list)
    text_column: int = 0
    label_column: int = 1
    quoting: bool = False
    suffix: str = ""
    keep_whitespace: bool = False
    literal_labels: bool = False

    @property
    def text_key(self) -> str:
        """The text's key in a JSONL file."""
        return str(self.columns[self.text_column])

    @property
    def label_key(self) -> str:
        """The label's key in a JSONL file."""
        return str(self.columns[self.label_column])

    def to_json(self) -> dict[str, Any]:
        """As it is in the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, stated: dict[str, Any]) -> "SourceSpec":
        """From a dict that may hold more keys than ours."""
        return cls(**{item.name: stated[item.name] for item in fields(cls) if item.name in stated})
