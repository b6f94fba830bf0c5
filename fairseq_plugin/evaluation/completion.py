"""The completion protocol: consecutive prefixes of a split, each continued by a fixed number of tokens.

Prefix i is ``stream[i * P : (i + 1) * P]``; the model reads these P tokens and nothing before them. Its human
reference is what the stream goes on with, so the last prefixes, after which too little text is left, are not
used: systems and reference are then measured on the same number of tokens.

Continuations are saved while they are made, one line each, and found again after a kill: a file belongs to
one (model, decoding, text, seed, lengths), by their hashes.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_plugin.corpus.folder import EOS
from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.decodings import Decoding, continue_exactly
from fairseq_plugin.evaluation.split_text import SplitText
from fairseq_plugin.evaluation.systems import System
from fairseq_plugin.storage.journal import Journal

FORMAT, VERSION = "completions", 2  # 2: every line has a check

Made = dict[int, list[int]]  # dictionary indices of each continuation, by the number of its prefix


@dataclass(frozen=True)
class Protocol:
    """What is continued.

    Args:
        prefix_tokens: P, >= 1.
        new_tokens: tokens of a continuation, >= 1.
        max_prefixes: at most so many prefixes, evenly spread over the split; 0 takes all.
        seed: of decodings that draw.
    """

    prefix_tokens: int = 50
    new_tokens: int = 100
    max_prefixes: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Prefixes:
    """The prefixes of a split.

    Attributes:
        numbers: which of the split's consecutive prefixes, ascending.
        num_prefixes: complete prefixes in the split.
        num_continued: those that a whole human continuation follows.
    """

    numbers: list[int]
    num_prefixes: int
    num_continued: int

    def __str__(self) -> str:
        text = f"{len(self.numbers):,} of {self.num_prefixes:,} prefixes"
        left_out = self.num_prefixes - self.num_continued
        if len(self.numbers) < self.num_continued:
            text += ", evenly spread"
        if left_out:
            text += f"; {left_out:,} at the end are left out: too little text follows"
        return text


def choose_prefixes(num_tokens: int, protocol: Protocol) -> Prefixes:
    """The prefixes that a protocol takes from a stream of ``num_tokens`` tokens.

    Raises:
        UserError: a length below 1, or a split too short for one prefix and its continuation.
    """
    size, new = protocol.prefix_tokens, protocol.new_tokens
    for flag, value in (("--prefix-tokens", size), ("--new-tokens", new)):
        if value < 1:
            raise UserError(f"{flag} {value} must be at least 1")
    if protocol.max_prefixes < 0:
        raise UserError(f"--max-prefixes {protocol.max_prefixes} must be at least 0 (0 takes all)")
    num_continued = max(0, num_tokens - new) // size
    if not num_continued:
        raise UserError(
            f"the split has {num_tokens:,} tokens, too few for one prefix of {size} and its human "
            f"continuation of {new}: give another --split, or a smaller --prefix-tokens and --new-tokens"
        )
    num_taken = min(protocol.max_prefixes or num_continued, num_continued)
    numbers = [place * num_continued // num_taken for place in range(num_taken)]
    return Prefixes(numbers, num_tokens // size, num_continued)


def prefix_of(stream: NDArray[np.int64], number: int, protocol: Protocol) -> list[int]:
    """The tokens of a prefix, as dictionary indices."""
    start = number * protocol.prefix_tokens
    return stream[start : start + protocol.prefix_tokens].tolist()


def human_continuations(stream: NDArray[np.int64], numbers: Iterable[int], protocol: Protocol) -> Made:
    """What the stream goes on with after prefixes, ``</s>`` included."""
    ends = {number: (number + 1) * protocol.prefix_tokens for number in numbers}
    return {n: stream[end : end + protocol.new_tokens].tolist() for n, end in ends.items()}


def require_room(system: System, protocol: Protocol) -> None:
    """Refuse prefixes and continuations that together exceed a system's positions.

    Raises:
        UserError: they do.
    """
    positions = system.gpt2.config.n_positions
    if protocol.prefix_tokens + protocol.new_tokens > positions:
        raise UserError(
            f"--prefix-tokens {protocol.prefix_tokens} and --new-tokens {protocol.new_tokens} exceed the "
            f"{positions} positions of {system.name}: make one of them smaller"
        )


def complete(
    system: System,
    text: SplitText,
    decoding: Decoding,
    protocol: Protocol,
    numbers: Sequence[int],
    folder: str | os.PathLike[str] | None = None,
    batch: int = 32,
) -> Made:
    """Continue prefixes; what ``folder`` holds already is not made again.

    Args:
        system: what continues them.
        text: the split they are of.
        decoding: how.
        protocol: lengths and seed.
        numbers: of the prefixes.
        folder: where continuations are kept; None keeps none.
        batch: prefixes at once; changes the speed only.

    Returns:
        ``new_tokens`` each.

    Raises:
        UserError: the texts do not fit into the model, or its outputs are not finite.
    """
    if batch < 1:
        raise UserError(f"--batch-size {batch} must be at least 1")
    require_room(system, protocol)
    saved = None if folder is None else _Saved(folder, system, text, decoding, protocol)
    done = {} if saved is None else saved.read(text)
    missing = [number for number in numbers if number not in done]
    name = f"{system.name} {decoding.name}"
    num_done = len(numbers) - len(missing)
    with tqdm(total=len(numbers), initial=num_done, desc=name, unit="prefix", disable=None) as bar:
        for begin in range(0, len(missing), batch):
            part = missing[begin : begin + batch]
            prompts = [prefix_of(text.stream, number, protocol) for number in part]
            lengths = {"end": EOS, "max_new": protocol.new_tokens}
            try:
                new = continue_exactly(system.gpt2, decoding, prompts, part, seed=protocol.seed, **lengths)
            except UserError as error:
                raise UserError(f"{name}, prefixes {part[0]} to {part[-1]}: {error}") from error
            made = dict(zip(part, new, strict=True))
            if saved is not None:
                saved.append(made, text)
            done.update(made)
            bar.update(len(part))
    return {number: done[number] for number in numbers}


class _Saved:
    """A journal of continuations as tokenizer ids; see :mod:`fairseq_plugin.storage.journal`."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        system: System,
        text: SplitText,
        decoding: Decoding,
        protocol: Protocol,
    ) -> None:
        settings = {
            "model": system.sha256,
            "text": text.sha256,
            "decoding": decoding.settings(),
            "seed": protocol.seed if decoding.random else None,
            "prefix_tokens": protocol.prefix_tokens,
            "new_tokens": protocol.new_tokens,
            "dtype": str(system.gpt2.compute_dtype),
            "device": system.gpt2.wte.weight.device.type,
        }
        # Files of an older version have other names: they are neither read nor touched.
        key = hashlib.sha256(json.dumps([VERSION, settings], sort_keys=True).encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.=-]+", "-", f"{system.name}-{decoding.name}")
        self._journal = Journal(Path(folder) / f"{name}-{key}.jsonl", FORMAT, VERSION, settings)
        self._new_tokens = protocol.new_tokens

    def read(self, text: SplitText) -> Made:
        """What was saved; begins the file if there is none."""
        found: Made = {}
        for line, entry in enumerate(self._journal.read(), start=2):
            number, ids = entry.get("id"), entry.get("continuation")
            if not isinstance(number, int) or not isinstance(ids, list) or len(ids) != self._new_tokens:
                raise UserError(
                    f"{self._journal.path}, line {line} is damaged; remove the file, its texts are made again"
                )
            found[number] = text.indices(ids)
        return found

    def append(self, made: Mapping[int, Sequence[int]], text: SplitText) -> None:
        """Add continuations, on disk when this returns."""
        self._journal.append(
            {"id": number, "continuation": text.ids(indices)} for number, indices in made.items()
        )
