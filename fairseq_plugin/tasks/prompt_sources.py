"""Where prompts come from: a running text, a file, or nowhere."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.label_counts import MAX_ID, MAX_SAMPLES
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.not_utf8 import NotUtf8
from fairseq_plugin.text.one_line import unescape

# A list, or an array (prompts, tokens).
Prompts = TypeVar("Prompts", list[list[int]], NDArray[np.integer])


def check_range(first: int, number: int | None) -> None:
    """Refuse ``--first-sample`` and ``--num-samples`` out of range.

    Raises:
        UserError: a negative number, or no sample at all.
    """
    if first < 0:
        raise UserError(f"--first-sample {first} must be 0 or more")
    if number is not None and number < 1:
        raise UserError(f"--num-samples {number} asks for no sample at all; ask for at least one")
    if number is not None and number > MAX_SAMPLES:
        raise UserError(
            f"--num-samples {number}: one run makes at most {MAX_SAMPLES:,}; go on with --first-sample in "
            "further runs, each with its own --results-path"
        )
    if first + (number or 1) > MAX_ID:
        raise UserError(f"--first-sample {first} goes beyond the last sample id, {MAX_ID:,}; give less")


def take(prompts: Prompts, first: int, number: int | None, what: str) -> tuple[range, Prompts]:
    """The prompts asked for and their ids.

    Args:
        prompts: all prompts; prompt i has the id i.
        first: id of the first one.
        number: how many; ``None``: all that follow.
        what: what a prompt is, for messages.

    Returns:
        ``(ids, prompts)`` of equal length.

    Raises:
        UserError: there are not so many.
    """
    there = len(prompts)
    end = there if number is None else first + number
    if end > there or first >= there:
        asked = f"--first-sample {first}" + ("" if number is None else f" and --num-samples {number}")
        raise UserError(f"{asked}: there are {there} {what}, with the ids 0 to {there - 1}; ask for these")
    return range(first, end), prompts[first:end]


def prefixes(stream: NDArray[np.integer], length: int, name: str) -> tuple[NDArray[np.integer], int]:
    """Consecutive prefixes of a running text: number i holds the tokens ``i * length`` to ``(i + 1) * length
    - 1``.

    Args:
        stream: ``(tokens,)`` array.
        length: tokens per prefix, ``--prefix-tokens``.
        name: of the split, for messages.

    Returns:
        ``(prefixes, left_over)``: an array ``(number, length)`` and the tokens of the last, incomplete one.

    Raises:
        UserError: a length out of range, or a text shorter than one prefix.
    """
    if length < 1:
        raise UserError(
            f"--prefix-tokens {length} must be 1 or more; --gen-subset unconditional needs no prefix"
        )
    number = len(stream) // length
    if not number:
        raise UserError(
            f"--prefix-tokens {length}: the split {name!r} has {len(stream)} tokens, not one whole prefix; "
            "give fewer tokens, or another split"
        )
    return stream[: number * length].reshape(number, length), len(stream) - number * length


def read_prompts(
    path: str | Path | None, flag: str, encode: Callable[[str], list[int]]
) -> list[tuple[str, list[int]]]:
    """Prompts from a file, one per line, with the escapes ``\\n \\t \\r \\\\``; an empty line is the empty
    prompt.

    Args:
        path: the file, UTF-8.
        flag: the flag that named it, for messages.
        encode: text -> token indices.

    Returns:
        Text and token indices of each.

    Raises:
        UserError: no file, no prompt, or a line that is not text; the message names it.
    """
    if not path:
        raise UserError(f"{flag} FILE is needed: one prompt per line")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"{flag} {path} cannot be read ({error.strerror}); name a file with one prompt per line"
        ) from error
    lines = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
    if not content.strip():
        raise UserError(f"{flag} {path} is empty; write one prompt per line")
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            text = unescape(line.removesuffix(b"\r").decode("utf-8"))
            found.append((text, encode(text)))
        except UnicodeDecodeError as error:
            raise UserError(NotUtf8.of(error, number).refusal(path, flag)) from error
        except UserError as error:
            raise UserError(f"{flag} {path}, line {number}: {error}") from error
    return found


def check_room(
    prompts: Sequence[Sequence[int]] | NDArray[np.integer],
    max_new: int,
    positions: int,
    flag: str = "--max-len-b",
) -> None:
    """Refuse prompts that leave too few positions.

    Args:
        prompts: token indices of each prompt, a leading ``</s>`` included.
        max_new: new tokens asked for by ``flag``.
        positions: of the model.

    Raises:
        UserError: naming the longest prompt and what to do.
    """
    longest = max(range(len(prompts)), key=lambda i: len(prompts[i]))
    length, room = len(prompts[longest]), positions - len(prompts[longest])
    if max_new <= room:
        return
    mend = f"give {flag} {room} or less, or shorter prompts" if room > 0 else "give shorter prompts"
    raise UserError(
        f"prompt {longest} of {length} tokens and {flag} {max_new} new ones exceed the model's {positions} "
        f"positions (--n-positions): {mend}"
    )
