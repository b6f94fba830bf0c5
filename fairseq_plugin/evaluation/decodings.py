"""The ways to continue a prefix, as they are written on the command line.

======================  =====================================================================================
``greedy``              the most probable token at each step
``beam=5``              beam search with 5 beams; ``beam=5:block=3`` never repeats a 3-gram
``top-k=40``            sampling from the 40 most probable tokens
``top-p=0.9``           nucleus sampling
``temperature=0.8``     sampling from the tempered distribution; ``temperature=1`` is the model itself
``gumbel``              the model itself by the Gumbel-max trick
``contrastive=4:0.6``   contrastive search with k = 4 and alpha = 0.6 (Su et al. 2022)
======================  =====================================================================================

Sampling options combine: ``top-p=0.9:temperature=0.7``. ``block=N`` and ``penalty=1.2``, CTRL's repetition
penalty, go with each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.sampling.decode import decode
from fairseq_plugin.sampling.draw import GREEDY, Sampling
from fairseq_plugin.sampling.request import (
    LARGEST_REPETITION_PENALTY,
    BeamSearch,
    ContrastiveSearch,
    DecodingRequest,
)

_INTEGERS, _NUMBERS = ("beam", "block", "top-k"), ("top-p", "temperature", "penalty")
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Decoding:
    """One way to continue.

    Attributes:
        name: as typed.
        method: with its settings.
        block: n of the n-grams that must not repeat; 0: none.
        penalty: repetition penalty, >= 1; 1: none.
    """

    name: str
    method: Sampling | BeamSearch | ContrastiveSearch
    block: int = 0
    penalty: float = 1.0

    @property
    def random(self) -> bool:
        """Whether its texts depend on the seed."""
        return isinstance(self.method, Sampling) and self.method.temperature != 0

    def settings(self) -> dict[str, str]:
        """What its continuations depend on, for a saved record. The record's name is a hash of these words:
        they
        must stay as they are, or continuations that were saved earlier are made again."""
        method = self.method
        found = {"method": "sampling", "sampling": "None", "beam": "0", "top_k": "0", "alpha": "0.0"}
        if isinstance(method, Sampling):
            found["sampling"] = str(method)
        elif isinstance(method, BeamSearch):
            found |= {"method": "beam", "beam": str(method.num_beams)}
        else:
            found |= {"method": "contrastive", "top_k": str(method.top_k), "alpha": str(method.alpha)}
        found |= {"block": str(self.block)}
        return found if self.penalty == 1.0 else found | {"penalty": str(self.penalty)}


def parse_decodings(text: str) -> list[Decoding]:
    """``"greedy,beam=5:block=3"`` -> list of :class:`Decoding`.

    Raises:
        UserError: nothing known, or a value outside its range.
    """
    found = [_parse_one(part.strip()) for part in text.split(",")]
    for decoding in found:
        if sum(other.name == decoding.name for other in found) > 1:
            raise UserError(f"--decoding {text}: {decoding.name} is named twice")
    return found


def continue_exactly(
    gpt2: GPT2,
    decoding: Decoding,
    prompts: Sequence[Sequence[int]],
    sample_ids: Sequence[int],
    *,
    seed: int,
    end: int,
    max_new: int,
) -> list[list[int]]:
    """Continue prompts by exactly ``max_new`` tokens; the end token is not allowed.

    Args:
        gpt2: the network.
        decoding: how; of several texts the best one counts.
        prompts: lists of token indices, none empty.
        sample_ids: their numbers, which key the random numbers with the seed.
        seed: in [0, 2^64).
        end: the end token.
        max_new: tokens to add.

    Raises:
        UserError: the model cannot decode this, or is damaged.
    """
    with addressed_to_the_user((FloatingPointError, ValueError)):
        request = DecodingRequest(
            decoding.method,
            end=end,
            max_new=max_new,
            min_new=max_new,
            seed=seed,
            no_repeat_ngram=decoding.block,
            repetition_penalty=decoding.penalty,
        )
        found = decode(gpt2, prompts, sample_ids, request)
    continuations = [texts[0].tokens.tolist() for texts in found]
    for tokens in continuations:
        if len(tokens) != max_new or end in tokens:
            raise AssertionError(f"{decoding.name} gave {len(tokens)} tokens where {max_new} were asked for")
    return continuations


def _parse_one(text: str) -> Decoding:
    values: dict[str, float] = {}
    parts = text.split(":")
    if parts[0].startswith("contrastive=") and len(parts) > 1 and "=" not in parts[1]:
        values["alpha"] = _number(text, "contrastive", parts.pop(1), float)
    for part in parts:
        name, equals, value = part.partition("=")
        if name in values:
            raise UserError(f"--decoding {text}: {name} is given twice")
        if name in ("greedy", "gumbel") and not equals:
            values[name] = True
        elif name in (*_INTEGERS, "contrastive") and equals:
            values[name] = _number(text, name, value, int)
        elif name in _NUMBERS and equals:
            values[name] = _number(text, name, value, float)
        else:
            raise UserError(
                f"--decoding {text}: {part!r} is not known; give greedy, gumbel, beam=N, top-k=N, top-p=P, "
                "temperature=T, contrastive=K:ALPHA, and block=N or penalty=X behind a colon"
            )
    return _build(text, values)


def _build(text: str, values: dict[str, float]) -> Decoding:
    block, penalty = int(values.pop("block", 0)), values.pop("penalty", 1.0)
    if block < 0:
        raise UserError(f"--decoding {text}: block must be at least 1")
    if not 1.0 <= penalty <= LARGEST_REPETITION_PENALTY:
        raise UserError(f"--decoding {text}: penalty must be in [1, {LARGEST_REPETITION_PENALTY:g}]")
    kinds = [name for name in ("greedy", "beam", "contrastive") if name in values]
    sampled = [name for name in values if name in ("gumbel", "top-k", "top-p", "temperature")]
    if len(kinds) + bool(sampled) != 1:
        raise UserError(f"--decoding {text}: name one method, such as greedy, beam=5 or top-p=0.9")
    try:
        return Decoding(text, _method(values), block, penalty)
    except ValueError as error:
        raise UserError(f"--decoding {text}: {error}") from error


def _method(values: dict[str, float]) -> Sampling | BeamSearch | ContrastiveSearch:
    if "beam" in values:
        return BeamSearch(int(values["beam"]))
    if "contrastive" in values:
        return ContrastiveSearch(int(values["contrastive"]), values.get("alpha", 0.6))
    if "greedy" in values:
        return GREEDY
    return Sampling(
        temperature=values.get("temperature", 1.0),
        top_k=int(values.get("top-k", 0)),
        top_p=values.get("top-p", 1.0),
        gumbel="gumbel" in values,
    )


def _number(text: str, name: str, value: str, kind: type[_Number]) -> _Number:
    try:
        return kind(value)
    except ValueError as error:
        word = "a whole number" if kind is int else "a number"
        raise UserError(f"--decoding {text}: {name} needs {word}, not {value!r}") from error
