"""The decoders of :mod:`core` in the shape of fairseq generators: sampling, beam search, contrastive search."""

from fairseq_plugin.sampling.beam_search import beam_search
from fairseq_plugin.sampling.contrastive_search import contrastive_search
from fairseq_plugin.sampling.sample import continue_prompts


class PromptDecoder:
    """Continues prompts with a GPT-2.

    Args:
        gpt2: the network, a :class:`~fairseq_plugin.core.gpt2.GPT2`.
        end: index of ``</s>``.
        max_new: limit of new tokens, the end token included.
        min_new: tokens before which the text may not end; ``max_new`` gives texts of exactly this length.
    """

    def __init__(self, gpt2, end, max_new, min_new):
        self.gpt2, self.eos, self.max_new, self.min_new = gpt2, end, max_new, min_new
        self.symbols_to_strip_from_output = {end}  # read by the stock commands

    def generate(self, prompts, sample_ids):
        """Continue prompts.

        Args:
            prompts: lists of token indices, none empty.
            sample_ids: one integer per prompt.

        Returns:
            Per prompt a list of fairseq hypotheses (``tokens``, ``score``, ``positional_scores`` in nats, ...).
            A text that was cut has no ``</s>`` and as many scores as tokens.

        Raises:
            FloatingPointError: the model's logits are damaged.
        """
        results = [None] * len(prompts)
        self.gpt2.eval()
        for limit, rows in self._by_limit(prompts).items():
            limits = {"end": self.eos, "max_new": limit, "min_new": min(self.min_new, limit)}
            found = self.continue_(
                [prompts[row] for row in rows], [sample_ids[row] for row in rows], **limits
            )
            for row, many in zip(rows, found):
                results[row] = [self._hypothesis(one) for one in many]
        return results

    def continue_(self, prompts, sample_ids, **limits):
        """Per prompt a list of continuations; ``limits`` are ``end``, ``max_new`` and ``min_new``."""
        raise NotImplementedError

    def score(self, scores):
        """The number printed for a text: the mean log probability of its tokens."""
        return scores.sum() / max(len(scores), 1)

    def _hypothesis(self, found):
        return {
            "tokens": found.tokens,
            "score": self.score(found.scores),
            "attention": None,
            "alignment": None,
            "positional_scores": found.scores,
        }

    def _by_limit(self, prompts):
        # A long prompt leaves fewer positions. Its limit must not shorten the texts of its neighbours.
        groups = {}
        for row, prompt in enumerate(prompts):
            room = self.gpt2.config.n_positions - len(prompt)
            groups.setdefault(min(self.max_new, room), []).append(row)
        return groups


class KeyedSampler(PromptDecoder):
    """Samples texts that depend on (seed, sample id, model) and on nothing else; greedy with temperature 0.

    Args:
        gpt2, end, max_new, min_new: see :class:`PromptDecoder`.
        seed: ``--seed``.
        sampling: temperature, top-k, top-p.
        hypotheses: texts per sample id (``--beam`` with ``--sampling``); number j of sample i has the
            key ``i * hypotheses + j``.
        no_repeat_ngram: length of n-grams that may occur once only; 0: any.
    """

    def __init__(self, gpt2, end, max_new, min_new, *, seed, sampling, hypotheses=1, no_repeat_ngram=0):
        super().__init__(gpt2, end, max_new, min_new)
        self.seed, self.sampling, self.hypotheses = seed, sampling, hypotheses
        self.no_repeat_ngram = no_repeat_ngram

    def continue_(self, prompts, sample_ids, **limits):
        """See :meth:`PromptDecoder.continue_`."""
        many = self.hypotheses
        found = continue_prompts(
            self.gpt2,
            [prompt for prompt in prompts for _ in range(many)],
            [one * many + j for one in sample_ids for j in range(many)],
            seed=self.seed,
            sampling=self.sampling,
            no_repeat_ngram=self.no_repeat_ngram,
            **limits,
        )
        return [found[i : i + many] for i in range(0, len(found), many)]


class BeamSearcher(PromptDecoder):
    """The most probable texts, best first.

    Args:
        gpt2, end, max_new, min_new: see :class:`PromptDecoder`.
        beam: texts kept at every step, and returned.
        no_repeat_ngram: as for :class:`KeyedSampler`.
        length_penalty: exponent of the length by which a score is divided.
    """

    def __init__(self, gpt2, end, max_new, min_new, *, beam, no_repeat_ngram=0, length_penalty=1.0):
        super().__init__(gpt2, end, max_new, min_new)
        self.beam, self.no_repeat_ngram, self.length_penalty = beam, no_repeat_ngram, length_penalty

    def continue_(self, prompts, sample_ids, **limits):
        """See :meth:`PromptDecoder.continue_`."""
        return beam_search(
            self.gpt2,
            prompts,
            beam=self.beam,
            no_repeat_ngram=self.no_repeat_ngram,
            length_penalty=self.length_penalty,
            **limits,
        )

    def score(self, scores):
        """What the texts are ordered by."""
        return scores.sum() / max(len(scores), 1) ** self.length_penalty


class ContrastiveSearcher(PromptDecoder):
    """Probable tokens that are unlike what stands there already (Su et al. 2022).

    Args:
        gpt2, end, max_new, min_new: see :class:`PromptDecoder`.
        top_k: candidates per step.
        alpha: weight of unlikeness, in [0, 1].
    """

    def __init__(self, gpt2, end, max_new, min_new, *, top_k, alpha):
        super().__init__(gpt2, end, max_new, min_new)
        self.top_k, self.alpha = top_k, alpha

    def continue_(self, prompts, sample_ids, **limits):
        """See :meth:`PromptDecoder.continue_`."""
        found = contrastive_search(self.gpt2, prompts, top_k=self.top_k, alpha=self.alpha, **limits)
        return [[one] for one in found]
