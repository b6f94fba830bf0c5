"""fairseq's generator after a prompt: what is the continuation, and was it ended or cut?"""

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.tasks.stock_search import StockSearch

EOS = 2


class Stock:
    """In place of fairseq's generator: repeats 9 after the prompt; ends at ``own_end``, or where it must.

    As there, ``max_len`` counts the prompt, is never above the positions - 1, and leaves the end token out.
    """

    def __init__(self, max_len_b, min_len, positions, own_end):
        self.max_len, self.min_len, self.own_end = min(max_len_b, positions - 1), min_len, own_end
        assert self.min_len <= self.max_len

    def generate(self, models, sample, prefix_tokens, bos_token):
        assert bos_token.tolist() == [EOS] * len(prefix_tokens)
        ends_at = min(max(self.own_end, self.min_len), self.max_len)
        found = []
        for prompt_T in prefix_tokens:
            tokens = torch.cat([prompt_T, torch.full((ends_at - len(prompt_T),), 9), torch.tensor([EOS])])
            found.append(
                [{"tokens": tokens, "positional_scores": torch.arange(float(len(tokens))), "score": 0.0}]
            )
        return found


class Logits(torch.nn.Module):
    """A model that gives every token the same logit."""

    def __init__(self, value):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self, tokens_BT):
        return self.value.expand(*tokens_BT.shape, 10), None


def search(prompts, max_new, min_new=0, positions=100, own_end=10**9):
    models = [Logits(0.0)]
    found = StockSearch(
        lambda *limits: Stock(*limits, positions, own_end), models, max_new, min_new, positions, EOS
    )
    return [one[0] for one in found.generate(prompts, range(len(prompts)))]


def ended(hypothesis):
    """As the reader of the printed lines sees it: one score more than tokens."""
    return len(hypothesis["positional_scores"]) == len(hypothesis["tokens"]) + 1


def test_an_own_end_is_told_from_the_limit():
    whole, cut = search([[EOS, 4, 5]], 8, own_end=6)[0], search([[EOS, 4, 5]], 8)[0]
    assert whole["tokens"].tolist() == [9] * 4 and ended(whole)
    assert whole["positional_scores"].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert cut["tokens"].tolist() == [9] * 7 and not ended(cut)


@pytest.mark.parametrize("positions", [8, 11, 12, 40])
def test_the_end_of_the_positions_is_a_cut_too(positions):
    """A long prompt in the same batch leaves its own row less room, and no other row."""
    prompts = [[EOS, 4], [EOS, 4, 5, 6, 7], [EOS, 5]]
    for prompt, one in zip(prompts, search(prompts, 30, positions=positions)):
        assert not ended(one)
        assert len(one["tokens"]) == min(30, positions - len(prompt)) - 1


def test_a_least_length_counts_new_tokens():
    assert len(search([[EOS, 4, 5, 6]], 20, min_new=5, own_end=4)[0]["tokens"]) == 5
    assert len(search([[EOS, 4, 5, 6]], 20, min_new=15, positions=10, own_end=4)[0]["tokens"]) == 5


def test_a_text_of_exact_length_is_not_cut_short_by_the_forced_end():
    one = search([[EOS, 4, 5]], 8, min_new=8)[0]
    assert one["tokens"].tolist() == [9] * 8 and not ended(one)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_damaged_model_is_not_listened_to(value):
    found = StockSearch(lambda *limits: Stock(*limits, 100, 9), [Logits(value)], 8, 0, 100, EOS)
    with pytest.raises(FloatingPointError, match="NaN"):
        found.generate([[EOS, 4]], [0])


def test_an_end_within_a_prompt_is_refused_where_it_would_end_the_text():
    with pytest.raises(UserError, match="--stop-at-end"):
        search([[4, EOS, 5]], 8)
