"""Filters that need no model: texts that cannot be rows, copies of real sentences, repeats."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairseq_plugin.augment.filters.chain import Candidate, exact_key
from fairseq_plugin.labelled.rows import representable
from fairseq_plugin.labelled.source import SourceSpec
from fairseq_plugin.text.codec import Codec

SPLITS = ("test", "valid", "train")  # a copy of held-out text is the gravest, so it is named first
SPLIT_NAMES = {"test": "the test set", "valid": "the valid set", "train": "the training set"}

# C0 without tab and line feed, DEL, C1, surrogates.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def control_characters(texts: Iterable[str]) -> frozenset[str]:
    """The control characters and unpaired surrogates in some texts; a tab or line feed is neither."""
    return frozenset(character for text in texts for character in _CONTROL.findall(text))


class WholeText:
    """Rejects what is no whole, clean text.

    Args:
        controls: control characters that a text may hold: those of the training set.
    """

    reasons: Mapping[str, str] = {
        "special": "holds a symbol that is not text",
        "not_ended": "was cut before its end token",
        "empty": "has no text",
        "broken": "holds a broken character: bytes that are not UTF-8 (U+FFFD)",
        "control_characters": "holds a control character, or half of a surrogate pair, that train does "
        "not hold",
    }
    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, controls: Collection[str] = ()) -> None:
        self.controls = controls

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        return list(map(self._check, candidates))

    def _check(self, candidate: Candidate) -> str | None:
        if candidate.special:
            return "special"
        if not candidate.ended:
            return "not_ended"
        if not candidate.text.strip():
            return "empty"
        if "\ufffd" in candidate.text:
            return "broken"
        if any(character not in self.controls for character in _CONTROL.findall(candidate.text)):
            return "control_characters"
        return None


@dataclass(frozen=True)
class Bounds:
    """How long a sample may be; None: as it comes.

    Attributes:
        min_words, max_words: words, as white space separates them.
        min_tokens, max_tokens: tokens drawn, the end token included.
    """

    min_words: int | None = None
    max_words: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None


class Length:
    """Rejects what is too short or too long.

    Args:
        bounds: see the class.
    """

    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        told = {name: f"--{name.replace('_', '-')} {value}" for name, value in vars(bounds).items()}
        least = [told[name] for name in ("min_words", "min_tokens") if vars(bounds)[name] is not None]
        most = [told[name] for name in ("max_words", "max_tokens") if vars(bounds)[name] is not None]
        self.reasons: Mapping[str, str] = {
            "too_short": f"has fewer words or tokens than asked for ({', '.join(least) or 'no limit'})",
            "too_long": f"has more words or tokens than asked for ({', '.join(most) or 'no limit'})",
        }

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        return list(map(self._check, candidates))

    def _check(self, candidate: Candidate) -> str | None:
        bounds, num_words, num_tokens = self._bounds, len(candidate.text.split()), candidate.num_tokens
        if num_words < (bounds.min_words or 0) or num_tokens < (bounds.min_tokens or 0):
            return "too_short"
        if bounds.max_words is not None and num_words > bounds.max_words:
            return "too_long"
        if bounds.max_tokens is not None and num_tokens > bounds.max_tokens:
            return "too_long"
        return None


class Writable:
    """Rejects what the output formats cannot hold exactly.

    Args:
        can_hold: texts -> whether each can be written and read back; see :func:`writable_texts`.
    """

    reasons: Mapping[str, str] = {
        "unwritable": "cannot be written in the source's file format, or not encoded again exactly"
    }
    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, can_hold: Callable[[Sequence[str]], Sequence[bool]]) -> None:
        self.can_hold = can_hold

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        held = self.can_hold([candidate.text for candidate in candidates])
        return [None if fits else "unwritable" for fits in held]


def writable_texts(source: SourceSpec, codec: Codec) -> Callable[[Sequence[str]], list[bool]]:
    """Whether texts can be rows of a file like the source, and be encoded exactly for the binary form."""

    def can_hold(texts: Sequence[str]) -> list[bool]:
        # A given sentencepiece model may alter what it writes itself (two spaces, say): no exact binary form
        # then.
        encoded = codec.try_encode_batch(texts)
        return [ids is not None and representable(text, source) for text, ids in zip(texts, encoded)]

    return can_hold


class Copies:
    """Rejects sentences of the real data.

    Args:
        known: split -> the keys of its sentences; only splits whose copies shall go.
        key: text -> what is compared.
    """

    revoked: Sequence[tuple[int, str]] = ()

    def __init__(self, known: Mapping[str, Collection[str]], key: Callable[[str], str] = exact_key) -> None:
        self.known = {split: known[split] for split in SPLITS if split in known}
        self.key = key
        self.reasons: Mapping[str, str] = {
            f"copy_of_{split}": f"is a sentence of {SPLIT_NAMES[split]}" for split in SPLITS
        }

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        return [self._check(self.key(candidate.text)) for candidate in candidates]

    def _check(self, key: str) -> str | None:
        return next((f"copy_of_{split}" for split, keys in self.known.items() if key in keys), None)


class Duplicates:
    """Rejects repeats, and texts that were generated under two labels: those under either.

    Among equal texts of one label the one with the lowest id passes. It is revoked, with its repeats, when
    the text comes under another label later.

    Args:
        key: text -> what is compared.
    """

    reasons: Mapping[str, str] = {
        "conflict": "was generated under two labels, so neither can be trusted",
        "duplicate": "repeats an earlier sample of its label",
    }

    def __init__(self, key: Callable[[str], str] = exact_key) -> None:
        self.key = key
        self.revoked: list[tuple[int, str]] = []
        self._first: dict[int, tuple[int, int] | None] = {}  # label and id; None: a conflict
        self._repeats: dict[int, list[int]] = {}

    def check(self, candidates: Sequence[Candidate]) -> list[str | None]:
        self.revoked = []
        return list(map(self._check, candidates))

    def _check(self, candidate: Candidate) -> str | None:
        # 16 bytes instead of the text: 800,000 texts are kept in mind.
        text = self.key(candidate.text).encode("utf-8", "surrogatepass")
        key = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")
        if key not in self._first:
            self._first[key] = (candidate.label, candidate.id)
            return None
        first = self._first[key]
        if first is None:
            return "conflict"
        if candidate.label == first[0]:
            self._repeats.setdefault(key, []).append(candidate.id)
            return "duplicate"
        self._first[key] = None
        self.revoked += [(earlier, "conflict") for earlier in (first[1], *self._repeats.pop(key, ()))]
        return "conflict"
