"""The sampler of :mod:`core.decoding` in the shape of a fairseq generator."""

from fairseq_plugin.core.decoding import continue_prompts
from fairseq_plugin.core.drawing import Sampling
from fairseq_plugin.errors import UserError


class KeyedSampler:
    """Samples sentences whose text depends on (seed, sample id, model) and on nothing else.

    Args:
        gpt2: the network, a :class:`~fairseq_plugin.core.gpt2.GPT2`.
        seed: ``--seed``.
        end: index of ``</s>``.
        sampling: temperature, top-k, top-p.
        hypotheses: texts per sample id (``--beam`` with ``--sampling``); number j of sample i has the
            key ``i * hypotheses + j``.
        max_new: limit of new tokens, the end token included.
        min_new: tokens before which the text may not end.
    """

    def __init__(self, gpt2, seed, end, sampling, hypotheses, max_new, min_new):
        self.gpt2, self.seed, self.sampling = gpt2, seed, sampling
        self.hypotheses, self.max_new, self.min_new = hypotheses, max_new, min_new
        self.symbols_to_strip_from_output = {end}  # read by the stock commands
        self.eos = end

    def generate(self, prompts, sample_ids):
        """Continue prompts.

        Args:
            prompts: lists of token indices, each starting with ``</s>``.
            sample_ids: one integer per prompt.

        Returns:
            Per prompt a list of ``hypotheses`` fairseq hypotheses (``tokens``, ``score``,
            ``positional_scores`` in nats, ...). A text that was cut has no ``</s>`` and as many scores
            as tokens.
        """
        many = self.hypotheses
        results = [None] * len(prompts)
        for limit, rows in self._by_limit(prompts).items():
            found = continue_prompts(
                self.gpt2.eval(),
                [prompts[row] for row in rows for _ in range(many)],
                [sample_ids[row] * many + j for row in rows for j in range(many)],
                seed=self.seed,
                end=self.eos,
                max_new=limit,
                min_new=self.min_new,
                sampling=self.sampling,
            )
            for i, row in enumerate(rows):
                results[row] = [_hypothesis(one) for one in found[i * many : (i + 1) * many]]
        return results

    def _by_limit(self, prompts):
        # A long prompt leaves fewer positions. Its limit must not shorten the texts of its neighbours.
        groups = {}
        for row, prompt in enumerate(prompts):
            room = self.gpt2.config.n_positions - len(prompt)
            groups.setdefault(min(self.max_new, room), []).append(row)
        return groups


def sampling_from_flags(args):
    """``--sampling-topk``, ``--sampling-topp`` and ``--temperature`` of fairseq, which writes -1 for "off".

    Raises:
        UserError: a value out of range, or a flag that the sampler does not know.
    """
    for flag, off in (("no_repeat_ngram_size", 0), ("diverse_beam_groups", -1), ("diversity_rate", -1.0)):
        if getattr(args, flag, off) != off:
            raise UserError(
                f"--{flag.replace('_', '-')} goes with beam search only; leave it out, or use --beam 2 or more "
                "without --sampling"
            )
    try:
        return Sampling(
            temperature=args.temperature if args.sampling else 0.0,
            top_k=max(args.sampling_topk, 0),
            top_p=args.sampling_topp if args.sampling_topp >= 0 else 1.0,
        )
    except ValueError as error:
        raise UserError(f"--temperature, --sampling-topk, --sampling-topp: {error}") from error


def _hypothesis(found):
    return {
        "tokens": found.tokens,
        "score": found.scores.mean() if len(found.scores) else found.scores.sum(),
        "attention": None,
        "alignment": None,
        "positional_scores": found.scores,
    }
