"""Stretches of text -> dictionary indices, by several threads, in order, in bounded memory.

(split, text, new) -> jobs of about 256 KB -> threads -> Encoded, in the order of the text
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.segments import SegmentCutter

JOB = 1 << 18  # characters


@dataclass
class Job:
    """Pieces of text that one thread encodes.

    Attributes:
        split: the split that they belong to.
        texts: the pieces, in order.
        continued: for each piece, whether it goes on with the document of the piece before.
        ends: for each piece, whether its document ends with it.
    """

    split: str
    texts: list[str] = field(default_factory=list)
    continued: list[bool] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)


@dataclass
class Encoded:
    """A stretch of a split's stream.

    Attributes:
        split: the split.
        tokens: dictionary indices; each document that ends here ends with ``</s>``.
        ends: the position after each of these ``</s>``.
        bytes, characters, words: of the text.
    """

    split: str
    tokens: NDArray[np.int64]
    ends: NDArray[np.int64]
    bytes: int
    characters: int
    words: int


def make_jobs(stretches: Iterable[tuple[str, str, bool]], cut_before: str) -> Iterator[Job]:
    """Cut stretches into jobs.

    Args:
        stretches: ``(split, text, new)``; a split begins with a new document.
        cut_before: see :class:`~fairseq_plugin.text.base.Codec`.

    Where texts are cut depends on the texts alone.
    """
    job, size = None, 0
    for split, text, continued, ends in cut_pieces(stretches, cut_before):
        if job is None or job.split != split or size >= JOB:
            if job is not None:
                yield job
            job, size = Job(split), 0
        job.texts.append(text)
        job.continued.append(continued)
        job.ends.append(ends)
        size += len(text)
    if job is not None:
        yield job


def cut_pieces(
    stretches: Iterable[tuple[str, str, bool]], cut_before: str
) -> Iterator[tuple[str, str, bool, bool]]:
    """Yield ``(split, piece, continued, ends)``; see :class:`Job`, and :func:`make_jobs` for arguments."""
    cutter, open_split, goes_on = SegmentCutter(cut_before), None, False
    for split, text, new in stretches:
        if new and open_split is not None:
            yield open_split, cutter.finish(), goes_on, True
            goes_on = False
        open_split = split
        for piece in cutter.feed(text):
            yield split, piece, goes_on, False
            goes_on = True
    if open_split is not None:
        yield open_split, cutter.finish(), goes_on, True


def encode_job(codec: Codec, indices: NDArray[np.int64], job: Job) -> Encoded:
    """Encode one job.

    Args:
        codec: the tokenizer.
        indices: dictionary index of each id, see :func:`~fairseq_plugin.storage.dictionary.index_of_id`.
        job: the pieces.

    Raises:
        UserError: the tokenizer would alter a text.
    """
    found = codec.try_encode_batch(job.texts, job.continued)
    encoded = [ids for ids in found if ids is not None]
    if len(encoded) < len(found):
        raise UserError(f"{job.split}: {_altered(codec, job.texts[found.index(None)])}")
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    ids = np.fromiter(chain.from_iterable(encoded), np.int64, int(lengths.sum()))
    places = np.cumsum(lengths)[np.asarray(job.ends, dtype=bool)]
    text = "".join(job.texts)
    return Encoded(
        split=job.split,
        tokens=np.insert(indices[ids], places, EOS),
        ends=places + np.arange(1, len(places) + 1),
        bytes=len(text.encode()),
        characters=len(text),
        words=sum(len(piece.split()) for piece in job.texts),  # no word goes on in the next piece
    )


def _altered(codec: Codec, text: str) -> str:
    """The first line that cannot be encoded exactly, for a person."""
    lines = text.split("\n")
    line = next((line for line in lines if codec.try_encode_batch([line]) == [None]), text)
    shown = line if len(line) <= 60 else line[:57] + "..."
    return f"the text {shown!a} {codec.refusal(line)}"


def encode_in_order(
    jobs: Iterable[Job], codec: Codec, indices: NDArray[np.int64], workers: int
) -> Iterator[Encoded]:
    """Encode jobs by threads.

    The tokenizers do their work outside Python's lock, so threads are enough, and nothing is copied between
    processes.

    Args:
        jobs: read no faster than its results are taken.
        codec, indices: see :func:`encode_job`.
        workers: number of threads, >= 1.

    Yields:
        In the order of the jobs. At most ``2 * workers`` jobs are in memory.
    """
    jobs = iter(jobs)
    with ThreadPoolExecutor(workers) as pool:
        running = deque(pool.submit(encode_job, codec, indices, job) for job in islice(jobs, 2 * workers))
        try:
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(encode_job, codec, indices, job) for job in islice(jobs, 1))
        finally:
            for future in running:
                future.cancel()
