"""From fairseq's generation flags, and a few of ours, to a decoding request or to fairseq's own generator."""

import logging
import math
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fairseq.data import Dictionary

from fairseq_plugin.core.gpt2 import GPT2
from fairseq_plugin.errors import UserError
from fairseq_plugin.sampling.draw import GREEDY, Sampling
from fairseq_plugin.sampling.request import BeamSearch, ContrastiveSearch, DecodingRequest
from fairseq_plugin.tasks.prompt_decoders import PromptDecoder
from fairseq_plugin.tasks.stock_search import StockSearch

logger = logging.getLogger(__name__)

# What a record of a run says about its decoding.
SETTINGS = (
    "sampling", "sampling_topk", "sampling_topp", "temperature", "beam", "nbest", "max_len_b", "min_len",
    "no_repeat_ngram_size", "lenpen", "unnormalized",
)  # fmt: skip

# What only fairseq's own generator knows, with the value that means "off".
_STOCK_ONLY = {
    "diverse_beam_groups": -1,
    "diversity_rate": -1.0,
    "unkpen": 0,
    "lm_path": None,
    "print_alignment": None,
}


@dataclass(frozen=True)
class OwnFlags:
    """Flags beside fairseq's.

    Args:
        gumbel: draw by the Gumbel-max trick.
        contrastive_alpha: weight of unlikeness in contrastive search, in [0, 1]; ``None``: another decoder.
        contrastive_k: its candidates per step, >= 1.
    """

    gumbel: bool = False
    contrastive_alpha: float | None = None
    contrastive_k: int = 5


def check_limits(args: Any) -> None:
    """Refuse limits and prefixes that our prompts have no use for.

    Raises:
        UserError: naming the flag.
    """
    if args.max_len_a or args.match_source_len:
        raise UserError(
            "--max-len-a and --match-source-len do not go with this task, whose prompts are not sources: "
            "leave them out; --max-len-b limits the new tokens"
        )
    if args.prefix_size or args.constraints:
        raise UserError("--prefix-size and --constraints do not go with this task; leave them out")
    if args.max_len_b < 1:
        raise UserError(f"--max-len-b {args.max_len_b}: at least one new token is needed")


def least_length(args: Any) -> int:
    """``--min-len``: tokens before which a text may not end; fairseq's default of 1 asks for nothing.

    Raises:
        UserError: it leaves no room for the end.
    """
    least = args.min_len if args.min_len > 1 else 0
    if least >= args.max_len_b:
        raise UserError(
            f"--min-len {least} leaves no room for the end token within --max-len-b {args.max_len_b}"
        )
    return least


def check_flags(args: Any, own: OwnFlags | None = None) -> None:
    """Refuse generation flags as :func:`choose_decoder` would, as far as they can be judged without a model.

    Args:
        args: fairseq's generation flags.
        own: :class:`OwnFlags`.

    Raises:
        UserError: naming the flag.
    """
    own = own or OwnFlags()
    check_limits(args)
    least_length(args)
    check_decoding(args, own)
    if args.sampling or not _stock_only(args):
        _refuse_ignored(args)


def choose_decoder(
    models: Sequence[Any],
    args: Any,
    stock: Callable[[Namespace, dict[str, Any]], Any],
    dictionary: Dictionary,
    *,
    seed: int,
    min_new: int,
    own: OwnFlags | None = None,
) -> PromptDecoder | StockSearch:
    """The decoder that the flags ask for: ours for one GPT-2, fairseq's own generator for everything else.

    Args:
        models: the models of the ensemble.
        args: fairseq's generation flags, already passed by :func:`check_limits`.
        stock: ``(generation flags, more arguments of the generator) -> fairseq's generator``.
        dictionary: fairseq's dictionary.
        seed: ``--seed``.
        min_new: tokens before which a text may not end; ``--max-len-b`` gives texts of exactly this length.
        own: our flags.

    Raises:
        UserError: flags that contradict each other, or a value out of range.
    """
    own = own or OwnFlags()
    check_decoding(args, own)
    gpt2, end = gpt2_of(models), dictionary.eos()
    if gpt2 is not None and (args.sampling or not _stock_only(args)):
        request = request_from_flags(args, own, end=end, seed=seed, min_new=min_new)
        with _about(f"--beam {args.beam}, --contrastive-k {own.contrastive_k}"):
            request.check_model(gpt2)
        return PromptDecoder(gpt2, request)
    if own.gumbel or own.contrastive_alpha is not None:
        flag = "--gumbel" if own.gumbel else "--contrastive-alpha"
        raise UserError(f"{flag} works with a single model of --arch gpt2 only; leave it out")
    if args.sampling:
        logger.warning("not a single GPT-2: fairseq's own sampler is used, whose texts depend on the batch")
    exact = min_new == args.max_len_b
    # A text of exact length may hold no end, but its prompt may: fairseq's generator would stop there.
    dummy = dictionary.bos() if exact else None
    more = {"eos": dummy, "tokens_to_suppress": (dictionary[end],)} if exact else {}

    def make(max_len_b: int, min_len: int) -> Any:
        changed = {"max_len_a": 0, "max_len_b": max_len_b, "min_len": min_len}
        return stock(Namespace(**{**args, **changed}), more)

    positions = min(model.max_positions() for model in models)
    return StockSearch(make, models, args.max_len_b, min_new, positions, end, dummy)


def gpt2_of(models: Sequence[Any]) -> GPT2 | None:
    """The network of a single GPT-2 of ours; ``None`` for anything else."""
    return getattr(getattr(models[0], "decoder", None), "gpt2", None) if len(models) == 1 else None


def check_decoding(args: Any, own: OwnFlags) -> None:
    """Refuse values and combinations that no decoder of any model can follow.

    Raises:
        UserError: naming the flag.
    """
    if args.beam < 1:
        raise UserError(f"--beam {args.beam} must be at least 1")
    if args.nbest < 1:
        raise UserError(f"--nbest {args.nbest} must be at least 1: no text would be printed")
    if args.nbest > args.beam:
        raise UserError(f"--nbest {args.nbest} is more than --beam {args.beam}: raise --beam")
    if args.no_repeat_ngram_size < 0:
        raise UserError(f"--no-repeat-ngram-size {args.no_repeat_ngram_size} must be 0 or more")
    for flag, value, off in (("topk", args.sampling_topk, -1), ("topp", args.sampling_topp, -1.0)):
        if math.isnan(value) or (value < 0 and value != off):
            raise UserError(f"--sampling-{flag} {value} must be positive; -1 turns it off")
    if args.sampling:
        _sampling(args, own.gumbel)
    with _about(f"--lenpen {args.lenpen}"):
        BeamSearch(args.beam, args.lenpen)
    if own.gumbel and not args.sampling:
        raise UserError("--gumbel draws at random: add --sampling, or leave it out")
    if own.contrastive_alpha is None:
        return
    if args.sampling or args.beam > 1:
        other = "--sampling" if args.sampling else f"--beam {args.beam}"
        raise UserError(
            f"--contrastive-alpha and {other} are two ways of decoding: use --beam 1 without --sampling, "
            "or leave out --contrastive-alpha"
        )
    with _about(f"--contrastive-alpha {own.contrastive_alpha}, --contrastive-k {own.contrastive_k}"):
        ContrastiveSearch(own.contrastive_k, own.contrastive_alpha)


def request_from_flags(args: Any, own: OwnFlags, *, end: int, seed: int, min_new: int) -> DecodingRequest:
    """The request that flags ask a GPT-2 of ours for; -1 is fairseq's "off" of top-k and top-p.

    Args:
        args: fairseq's generation flags, already passed by :func:`check_limits` and :func:`check_decoding`.
        own: our flags.
        end: index of ``</s>``.
        seed: ``--seed``.
        min_new: tokens before which a text may not end.

    Raises:
        UserError: a value out of range, or a flag that our decoders do not know.
    """
    _refuse_ignored(args)
    with _about(f"--seed {seed}, --max-len-b {args.max_len_b}"):
        return DecodingRequest(
            _method(args, own),
            end=end,
            max_new=args.max_len_b,
            min_new=min_new,
            seed=seed,
            samples_per_prompt=args.beam if args.sampling else 1,
            no_repeat_ngram=args.no_repeat_ngram_size,
        )


def _refuse_ignored(args: Any) -> None:
    """Refuse flags that our decoders would ignore."""
    if args.sampling and (strange := _stock_only(args)):
        raise UserError(
            f"--{strange[0].replace('_', '-')} goes with beam search only; leave it out, or use --beam 2 or "
            "more without --sampling"
        )
    for flag, off in (("sampling_topk", -1), ("sampling_topp", -1.0), ("temperature", 1.0)):
        if getattr(args, flag) != off and not args.sampling:
            raise UserError(
                f"--{flag.replace('_', '-')} {getattr(args, flag)} needs --sampling: add it, or leave the "
                "flag out"
            )


def _method(args: Any, own: OwnFlags) -> Sampling | BeamSearch | ContrastiveSearch:
    if own.contrastive_alpha is not None:
        return ContrastiveSearch(own.contrastive_k, own.contrastive_alpha)
    if args.sampling:
        return _sampling(args, own.gumbel)
    if args.beam == 1:
        return GREEDY
    return BeamSearch(args.beam, 0.0 if args.unnormalized else args.lenpen)


def _sampling(args: Any, gumbel: bool) -> Sampling:
    with _about("--temperature, --sampling-topk, --sampling-topp"):
        return Sampling(
            temperature=args.temperature,
            top_k=max(args.sampling_topk, 0),
            top_p=1.0 if args.sampling_topp == -1 else args.sampling_topp,
            gumbel=gumbel,
        )


def _stock_only(args: Any) -> list[str]:
    return [flag for flag, off in _STOCK_ONLY.items() if getattr(args, flag, off) != off]


@contextmanager
def _about(flags: str) -> Iterator[None]:
    """Name the flags in front of what a request refuses."""
    try:
        yield
    except ValueError as error:
        raise error if isinstance(error, UserError) else UserError(f"{flags}: {error}") from error
