"""Single-token counts against ``tests/reference/single_token_oracle.py``."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.core.single_token import WINDOWS, since_last_target, single_token_counts
from tests.reference.single_token_oracle import literal_counts

PAD = 1


@st.composite
def batches(draw):
    """Few different tokens, so that repetition is frequent; padding anywhere."""
    rows, steps, vocabulary = draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(2, 6))
    tokens = st.lists(st.integers(0, vocabulary - 1), min_size=rows * steps, max_size=rows * steps)
    ranks = st.lists(st.integers(1, 20), min_size=rows * steps, max_size=rows * steps)
    predicted, target, rank = (torch.tensor(draw(kind)).view(rows, steps) for kind in (tokens, tokens, ranks))
    return predicted, target, rank


@settings(max_examples=300, deadline=None)
@given(batches(), st.sampled_from([(1,), (2, 3), (16, 32), WINDOWS]), st.sampled_from([PAD, -100]))
def test_counts_equal_the_literal_definition(batch, windows, ignore_index):
    counts = single_token_counts(*batch, ignore_index=ignore_index, windows=windows)
    truth = literal_counts(*(part.tolist() for part in batch), ignore_index, windows)
    assert {key: count.item() for key, count in counts.items()} == truth


def test_the_example_of_the_docstring():
    counts = single_token_counts(
        torch.tensor([[7, 7, 9, 5]]), torch.tensor([[7, 9, 7, 5]]), ignore_index=PAD, windows=(16,)
    )
    found = {key: count.item() for key, count in counts.items()}
    assert found == {"num_scored": 4, "hits1": 2, "rep_16": 2, "wrep_16": 2, "human_rep_16": 1}


def test_long_rows_and_the_edges_of_the_windows():
    """4 x 600 random tokens, and a token that comes back after exactly l, and l + 1, positions."""
    generator = torch.Generator().manual_seed(0)
    predicted, target, rank = (torch.randint(2, 50257, (4, 600), generator=generator) % 300 for _ in range(3))
    counts = single_token_counts(predicted, target, rank, ignore_index=PAD)
    truth = literal_counts(predicted.tolist(), target.tolist(), rank.tolist(), PAD, WINDOWS)
    assert {key: count.item() for key, count in counts.items()} == truth
    for gap, inside in ((128, 1), (129, 0)):
        row = torch.arange(200, 200 + gap + 1)[None]
        row[0, -1] = 200
        counts = single_token_counts(row, row, ignore_index=PAD)
        assert (counts["human_rep_128"].item(), counts["rep_512"].item()) == (inside, 1)


def test_the_distance_to_the_last_occurrence():
    asked, target = torch.tensor([[5, 5, 6, 5, 5]]), torch.tensor([[5, PAD, 5, 7, 5]])
    since = since_last_target(asked, target, target != PAD)
    assert since[0, [3, 4]].tolist() == [1, 2] and (since[0, [0, 2]] > 2**60).all()


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (2, 3)])
def test_nothing_scored_counts_nothing(shape):
    nothing = torch.full(shape, PAD)
    counts = single_token_counts(nothing, nothing, nothing, ignore_index=PAD)
    assert len(counts) == 4 + 3 * 4 and all(count.item() == 0 for count in counts.values())


def test_what_cannot_be_is_refused():
    two = torch.zeros(1, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match="does not fit"):
        single_token_counts(two, two[:, :1], ignore_index=PAD)
    with pytest.raises(ValueError, match=r"windows \(0,\)"):
        single_token_counts(two, two, ignore_index=PAD, windows=(0,))
