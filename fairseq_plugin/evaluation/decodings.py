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

Sampling options combine: ``top-p=0.9:temperature=0.7``. ``block=N`` goes with greedy, sampling and beam search.
"""

from dataclasses import dataclass

from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.sampling.beam_search import beam_search
from fairseq_plugin.sampling.contrastive_search import contrastive_search
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.sample import continue_prompts

_INTEGERS, _NUMBERS = ("beam", "block", "top-k"), ("top-p", "temperature")


@dataclass(frozen=True)
class Decoding:
    """One way to continue.

    Attributes:
        name: as typed.
        method: ``"sampling"`` (greedy is temperature 0), ``"beam"`` or ``"contrastive"``.
        sampling: of the method ``"sampling"``.
        beam: beams, of ``"beam"``.
        top_k, alpha: of ``"contrastive"``.
        block: n of the n-grams that must not repeat; 0: none.
    """

    name: str
    method: str
    sampling: Sampling | None = None
    beam: int = 0
    top_k: int = 0
    alpha: float = 0.0
    block: int = 0

    @property
    def random(self):
        return self.method == "sampling" and self.sampling.temperature != 0

    def settings(self):
        """What its continuations depend on, for a saved record."""
        return {key: str(value) for key, value in vars(self).items() if key != "name"}


def parse_decodings(text):
    """``"greedy,beam=5:block=3"`` -> list of :class:`Decoding`.

    Raises:
        UserError: nothing known, or a value outside its range.
    """
    found = [_parse_one(part.strip()) for part in text.split(",")]
    for decoding in found:
        if sum(other.name == decoding.name for other in found) > 1:
            raise UserError(f"--decoding {text}: {decoding.name} is named twice")
    return found


def decode(gpt2, decoding, prompts, sample_ids, *, seed, end, max_new):
    """Continue prompts by exactly ``max_new`` tokens; the end token is not allowed.

    Args:
        gpt2: the network.
        decoding: a :class:`Decoding`.
        prompts: lists of token indices, none empty.
        sample_ids: their numbers, which key the random numbers with the seed.
        seed: any integer.
        end: the end token.
        max_new: tokens to add.

    Returns:
        A list of ``max_new`` token indices for each prompt.
    """
    common = {"end": end, "max_new": max_new, "min_new": max_new}
    with addressed_to_the_user((FloatingPointError, ValueError)):
        if decoding.method == "beam":
            found = beam_search(gpt2, prompts, beam=decoding.beam, no_repeat_ngram=decoding.block, **common)
            best = [candidates[0] for candidates in found]
        elif decoding.method == "contrastive":
            best = contrastive_search(gpt2, prompts, top_k=decoding.top_k, alpha=decoding.alpha, **common)
        else:
            block = {"no_repeat_ngram": decoding.block} if decoding.block else {}
            best = continue_prompts(
                gpt2, prompts, sample_ids, seed=seed, sampling=decoding.sampling, **block, **common
            )
    continuations = [continuation.tokens.tolist() for continuation in best]
    for tokens in continuations:
        if len(tokens) != max_new or end in tokens:
            raise AssertionError(f"{decoding.name} gave {len(tokens)} tokens where {max_new} were asked for")
    return continuations


def _parse_one(text):
    values = {}
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
                "temperature=T, contrastive=K:ALPHA, and block=N behind a colon"
            )
    return _build(text, values)


def _build(text, values):
    block = values.pop("block", 0)
    if block < 0:
        raise UserError(f"--decoding {text}: block must be at least 1")
    kinds = [name for name in ("greedy", "beam", "contrastive") if name in values]
    sampled = [name for name in values if name in ("gumbel", "top-k", "top-p", "temperature")]
    if len(kinds) + bool(sampled) != 1:
        raise UserError(f"--decoding {text}: name one method, such as greedy, beam=5 or top-p=0.9")
    if "beam" in values:
        if values["beam"] < 1:
            raise UserError(f"--decoding {text}: beam must be at least 1")
        return Decoding(text, "beam", beam=values["beam"], block=block)
    if "contrastive" in values:
        alpha = values.get("alpha", 0.6)
        if values["contrastive"] < 1 or not 0 <= alpha <= 1 or block:
            raise UserError(
                f"--decoding {text}: contrastive=K:ALPHA needs K >= 1, ALPHA in 0 .. 1 and no block"
            )
        return Decoding(text, "contrastive", top_k=values["contrastive"], alpha=alpha)
    if "greedy" in values:
        return Decoding(text, "sampling", Sampling(temperature=0), block=block)
    gumbel = {"gumbel": True} if "gumbel" in values else {}
    try:
        sampling = Sampling(
            temperature=values.get("temperature", 1.0),
            top_k=values.get("top-k", 0),
            top_p=values.get("top-p", 1.0),
            **gumbel,
        )
    except ValueError as error:
        raise UserError(f"--decoding {text}: {error}") from error
    return Decoding(text, "sampling", sampling, block=block)


def _number(text, name, value, kind):
    try:
        return kind(value)
    except ValueError as error:
        word = "a whole number" if kind is int else "a number"
        raise UserError(f"--decoding {text}: {name} needs {word}, not {value!r}") from error
