"""What is to be decoded, and how: one typed request for sampling, beam search and contrastive search."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.sampling.constraints import (
    Constraint,
    ConstraintMaker,
    ForbiddenSymbols,
    MinimumLength,
    NoRepeatNGrams,
    Prompts,
    RepetitionPenalty,
)
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.keyed_random import LARGEST_ID, LARGEST_SEED

# num_new ** length_penalty must stay a number for every length a model can have.
LARGEST_LENGTH_PENALTY = 10.0
LARGEST_REPETITION_PENALTY = 100.0


@dataclass(frozen=True)
class BeamSearch:
    """The most probable texts.

    Args:
        num_beams: texts kept at every step, and returned; in [1, vocab_size / 2].
        length_penalty: exponent of the number of new tokens by which a score is divided, in [-10, 10]; above
            0 it favours longer texts, 0 compares plain sums.

    Raises:
        ValueError: a value outside its range.
    """

    num_beams: int
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.num_beams < 1:
            raise ValueError(f"beam must be at least 1, not {self.num_beams}")
        if not abs(self.length_penalty) <= LARGEST_LENGTH_PENALTY:  # also NaN
            limit = f"{LARGEST_LENGTH_PENALTY:g}"
            raise ValueError(f"length penalty must be in [-{limit}, {limit}], not {self.length_penalty}")


@dataclass(frozen=True)
class ContrastiveSearch:
    """Probable tokens that are unlike the text so far (Su et al. 2022).

    Args:
        top_k: candidates of a step, in [1, vocab_size].
        alpha: weight of the penalty, in [0, 1]; the paper uses 0.6.

    Raises:
        ValueError: a value outside its range.
    """

    top_k: int
    alpha: float

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {self.top_k}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha must be in [0, 1], not {self.alpha}")


@dataclass(frozen=True)
class DecodingRequest:
    """How prompts are continued.

    Args:
        method: ``Sampling`` (the most probable token at each step with temperature 0), ``BeamSearch`` or
            ``ContrastiveSearch``.
        end: id of the token that ends a text.
        max_new: the most new tokens, the end token included; >= 1.
        min_new: tokens before which the end token is forbidden, in [0, max_new]; with ``max_new`` every text
            has exactly ``max_new`` tokens and no end.
        seed: in [0, 2^64); with a sample's id it keys the random numbers of ``Sampling``.
        samples_per_prompt: of ``Sampling``; number j of sample i has the key ``i * samples_per_prompt + j``.
        no_repeat_ngram: forbid tokens that would repeat an n-gram of this length, the prompt counted in; 0
            allows all.
        repetition_penalty: in [1, 100], makes the logits of tokens that stand there smaller; 1 = off.
        forbidden: symbols that may not be chosen.
        constraints: more of them; each is called with the prompts of the slots and the device of the logits.

    Raises:
        ValueError: a value outside its range.
    """

    method: Sampling | BeamSearch | ContrastiveSearch
    end: int
    max_new: int
    min_new: int = 0
    seed: int = 0
    samples_per_prompt: int = 1
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    forbidden: tuple[int, ...] = ()
    constraints: tuple[ConstraintMaker, ...] = ()

    def __post_init__(self) -> None:
        if self.max_new < 1:
            raise ValueError(f"max_new must be at least 1, not {self.max_new}")
        if not 0 <= self.min_new <= self.max_new:
            raise ValueError(f"min_new must be in [0, max_new = {self.max_new}], not {self.min_new}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"seed must be in [0, 2^64), not {self.seed}")
        if self.samples_per_prompt < 1:
            raise ValueError(f"samples_per_prompt must be at least 1, not {self.samples_per_prompt}")
        if self.samples_per_prompt > 1 and not isinstance(self.method, Sampling):
            raise ValueError(f"samples_per_prompt {self.samples_per_prompt} goes with sampling only")
        if self.no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram must be at least 0 (0 allows all), not {self.no_repeat_ngram}")

        if not 1.0 <= self.repetition_penalty <= LARGEST_REPETITION_PENALTY:  # also NaN
            limit = f"{LARGEST_REPETITION_PENALTY:g}"
            raise ValueError(f"repetition penalty must be in [1, {limit}], not {self.repetition_penalty}")

    def check_model(self, model: GPT2) -> None:
        """Refuse more than a model's vocabulary has.

        Raises:
            ValueError: more beams or candidates, or a symbol outside it.
        """
        vocab_size = model.config.vocab_size
        if isinstance(self.method, BeamSearch) and self.method.num_beams > vocab_size // 2:
            limit = vocab_size // 2
            raise ValueError(
                f"beam must be in [1, {limit}], half of the vocabulary, not {self.method.num_beams}"
            )
        if isinstance(self.method, ContrastiveSearch) and self.method.top_k > vocab_size:
            raise ValueError(f"top_k must be in [1, {vocab_size}], the vocabulary, not {self.method.top_k}")
        for symbol in (self.end, *self.forbidden):
            if not 0 <= symbol < vocab_size:
                raise ValueError(f"symbol {symbol} is outside the vocabulary (0 .. {vocab_size - 1})")

    def check_prompts(self, model: GPT2, prompts: Prompts, sample_ids: Sequence[int]) -> None:
        """Refuse prompts that cannot be continued.

        Raises:
            ValueError: an empty prompt, more tokens than the model has positions, an id that cannot key
                random numbers.
        """
        positions = model.config.n_positions
        if any(len(prompt) == 0 for prompt in prompts):
            raise ValueError("a prompt is empty; start it with the end token, as in training")
        longest = max(map(len, prompts), default=0)
        if longest + self.max_new > positions:
            raise ValueError(
                f"a prompt of {longest} tokens and {self.max_new} new ones exceed the model's {positions} "
                "positions"
            )
        if len(sample_ids) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts need as many sample ids, not {len(sample_ids)}")
        largest = (LARGEST_ID + 1) // self.samples_per_prompt - 1  # so that its last key is in range
        if any(not 0 <= sample_id <= largest for sample_id in sample_ids):
            wrong = next(sample_id for sample_id in sample_ids if not 0 <= sample_id <= largest)
            raise ValueError(f"sample id {wrong} must be in [0, {largest}]: it keys the random numbers")

    def start_constraints(self, prompts: Prompts, device: torch.device) -> list[Constraint]:
        """The constraints of slots that begin with these prompts; an empty list where nothing is
        forbidden."""
        found: list[Constraint] = []
        if self.repetition_penalty != 1.0:
            found.append(RepetitionPenalty(prompts, self.repetition_penalty, self.max_new, device))
        if self.forbidden:
            found.append(ForbiddenSymbols(self.forbidden, device))
        if self.min_new:
            found.append(MinimumLength(len(prompts), self.end, self.min_new, device))
        if self.no_repeat_ngram:
            found.append(NoRepeatNGrams(prompts, self.no_repeat_ngram, self.max_new, device))
        return found + [make(prompts, device) for make in self.constraints]


@dataclass
class Continuation:
    """What followed a prompt.

    Args:
        tokens: new tokens without the end token, int64 ``(length,)``.
        scores: log probability (nats) of each new token under the model itself, untempered and untruncated,
            before anything was forbidden, ``(length,)``, and of the end token as one more entry if it came;
            under a repetition penalty that of the smaller logit.
        ended: whether the end token came; otherwise the text was cut at the limit.
    """

    tokens: torch.Tensor
    scores: torch.Tensor
    ended: bool
