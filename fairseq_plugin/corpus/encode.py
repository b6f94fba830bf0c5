"""Stretches of text -> dictionary indices, by several threads, in order, in bounded memory.

(split, text, new) -> jobs of about 256 KB -> threads -> Encoded, in the order of the text
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.dictionary import EOS
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
    texts: list = field(default_factory=list)
    continued: list = field(default_factory=list)
    ends: list = field(default_factory=list)


@dataclass
class Encoded:
    """A stretch of a split's stream.

    Attributes:
        split: the split.
        tokens: int64 array of dictionary indices; each document that ends here ends with ``</s>``.
        ends: int64 array, the position after each of these ``</s>``.
        bytes, characters, words: of the text.
    """

    split: str
    tokens: np.ndarray
    ends: np.ndarray
    bytes: int
    characters: int
    words: int


def make_jobs(stretches, cut_before):
    """Cut stretches into jobs.

    Args:
        stretches: iterable of ``(split, text, new)``; a split begins with a new document.
        cut_before: see :class:`~fairseq_plugin.text.base.Codec`.

    Yields:
        :class:`Job`. Where texts are cut depends on the texts alone.
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


def cut_pieces(stretches, cut_before):
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


def encode_job(codec, indices, job):
    """Encode one job.

    Args:
        codec: a :class:`~fairseq_plugin.text.base.Codec`.
        indices: dictionary index of each id, see :func:`~fairseq_plugin.storage.dictionary.index_of_id`.
        job: a :class:`Job`.

    Returns:
        :class:`Encoded`.

    Raises:
        UserError: the tokenizer would alter a text.
    """
    rows = codec.try_encode_batch(job.texts, job.continued)
    if None in rows:
        raise UserError(f"{job.split}: {_altered(codec, job.texts[rows.index(None)])}")
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    ids = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
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


def _altered(codec, text):
    """The first line that cannot be encoded exactly, for a person."""
    lines = text.split("\n")
    line = next((line for line in lines if codec.try_encode_batch([line]) == [None]), text)
    shown = line if len(line) <= 60 else line[:57] + "..."
    return f"the text {shown!a} {codec.refusal(line)}"


def encode_in_order(jobs, codec, indices, workers):
    """Encode jobs by threads.

    The tokenizers do their work outside Python's lock, so threads are enough, and nothing is copied between
    processes.

    Args:
        jobs: iterable of :class:`Job`, read no faster than its results are taken.
        codec, indices: see :func:`encode_job`.
        workers: number of threads, >= 1.

    Yields:
        :class:`Encoded`, in the order of the jobs. At most ``2 * workers`` jobs are in memory.
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
