"""From fairseq's generation flags, and a few of ours, to a decoder."""

import logging
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from fairseq_plugin.errors import UserError
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.tasks.prompt_decoders import BeamSearcher, ContrastiveSearcher, KeyedSampler
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


def check_limits(args):
    """Refuse limits and prefixes that our prompts have no use for.

    Raises:
        UserError: naming the flag.
    """
    if args.max_len_a or args.match_source_len:
        raise UserError(
            "--max-len-a and --match-source-len do not go with this task, whose prompts are no sources: "
            "leave them out; --max-len-b limits the new tokens"
        )
    if args.prefix_size or args.constraints:
        raise UserError("--prefix-size and --constraints do not go with this task; leave them out")
    if args.max_len_b < 1:
        raise UserError(f"--max-len-b {args.max_len_b}: at least one new token is needed")


def least_length(args):
    """``--min-len``: tokens before which a text may not end; fairseq's default of 1 is no wish.

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
    _check_decoding(args, own)
    if args.sampling or not _stock_only(args):
        sampling_from_flags(args, own.gumbel)


def choose_decoder(models, args, stock, dictionary, *, seed, min_new, own=None):
    """The decoder that the flags ask for: ours for one GPT-2, fairseq's own generator for everything else.

    Args:
        models: the models of the ensemble.
        args: fairseq's generation flags, already passed by :func:`check_limits`.
        stock: ``(generation flags, more arguments of the generator) -> fairseq's generator``.
        dictionary: fairseq's dictionary.
        seed: ``--seed``.
        min_new: tokens before which a text may not end; ``--max-len-b`` gives texts of exactly this length.
        own: :class:`OwnFlags`.

    Returns:
        An object with ``generate(prompts, sample_ids)``.

    Raises:
        UserError: flags that contradict each other, or a value out of range.
    """
    own = own or OwnFlags()
    _check_decoding(args, own)
    gpt2, end = gpt2_of(models), dictionary.eos()
    if gpt2 is not None and (args.sampling or not _stock_only(args)):
        return _own_decoder(gpt2, args, own, seed, (gpt2, end, args.max_len_b, min_new))
    if own.gumbel or own.contrastive_alpha is not None:
        flag = "--gumbel" if own.gumbel else "--contrastive-alpha"
        raise UserError(f"{flag} works with a single model of --arch gpt2 only; leave it out")
    if args.sampling:
        logger.warning("not a single GPT-2: fairseq's own sampler is used, whose texts depend on the batch")
    exact = min_new == args.max_len_b
    # A text of exact length may hold no end, but its prompt may: fairseq's generator would stop there.
    dummy = dictionary.bos() if exact else None
    more = {"eos": dummy, "tokens_to_suppress": (dictionary[end],)} if exact else {}

    def make(max_len_b, min_len):
        changed = {"max_len_a": 0, "max_len_b": max_len_b, "min_len": min_len}
        return stock(Namespace(**{**args, **changed}), more)

    positions = min(model.max_positions() for model in models)
    return StockSearch(make, models, args.max_len_b, min_new, positions, end, dummy)


def gpt2_of(models):
    """The network of a single GPT-2 of ours; ``None`` for anything else."""
    return getattr(getattr(models[0], "decoder", None), "gpt2", None) if len(models) == 1 else None


def _stock_only(args):
    return [flag for flag, off in _STOCK_ONLY.items() if getattr(args, flag, off) != off]


def _check_decoding(args, own):
    if args.nbest > args.beam:
        raise UserError(f"--nbest {args.nbest} is more than --beam {args.beam}: raise --beam")
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
    if args.no_repeat_ngram_size:
        raise UserError("--no-repeat-ngram-size does not go with --contrastive-alpha; leave one of them out")
    if not 0 <= own.contrastive_alpha <= 1:
        raise UserError(f"--contrastive-alpha {own.contrastive_alpha} must lie in [0, 1]")


def _own_decoder(gpt2, args, own, seed, common):
    vocabulary = gpt2.config.vocab_size
    sampling = sampling_from_flags(args, own.gumbel)
    if own.contrastive_alpha is not None:
        if not 1 <= own.contrastive_k <= vocabulary:
            raise UserError(
                f"--contrastive-k {own.contrastive_k} must lie in [1, {vocabulary}], the vocabulary"
            )
        return ContrastiveSearcher(*common, top_k=own.contrastive_k, alpha=own.contrastive_alpha)
    ngram = args.no_repeat_ngram_size
    if ngram < 0:
        raise UserError(f"--no-repeat-ngram-size {ngram} must be 0 or more")
    if args.sampling or args.beam == 1:
        return KeyedSampler(
            *common, seed=seed, sampling=sampling, hypotheses=args.beam, no_repeat_ngram=ngram
        )
    if not 1 <= args.beam <= vocabulary // 2:
        raise UserError(f"--beam {args.beam} must lie in [1, {vocabulary // 2}], half of the vocabulary")
    penalty = 0.0 if args.unnormalized else args.lenpen
    return BeamSearcher(*common, beam=args.beam, no_repeat_ngram=ngram, length_penalty=penalty)


def sampling_from_flags(args, gumbel=False):
    """``--sampling-topk``, ``--sampling-topp`` and ``--temperature`` of fairseq, which writes -1 for "off".

    Raises:
        UserError: a value out of range, or a flag that the sampler does not know.
    """
    if args.sampling and (strange := _stock_only(args)):
        raise UserError(
            f"--{strange[0].replace('_', '-')} goes with beam search only; leave it out, or use --beam 2 or more "
            "without --sampling"
        )
    for flag, off in (("sampling_topk", -1), ("sampling_topp", -1.0), ("temperature", 1.0)):
        if getattr(args, flag) != off and not args.sampling:
            raise UserError(
                f"--{flag.replace('_', '-')} {getattr(args, flag)} needs --sampling: add it, or leave the flag out"
            )
    try:
        return Sampling(
            temperature=args.temperature if args.sampling else 0.0,
            top_k=max(args.sampling_topk, 0),
            top_p=args.sampling_topp if args.sampling_topp >= 0 else 1.0,
            gumbel=gumbel,
        )
    except ValueError as error:
        raise UserError(f"--temperature, --sampling-topk, --sampling-topp: {error}") from error
