"""Windows are those of ``fairseq-eval-lm``, and score each token once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.windows import cut


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 200), st.integers(1, 40), st.data())
def test_every_token_is_scored_once_with_the_context_asked_for(num_tokens, window, data):
    context = data.draw(st.integers(0, window - 1))
    windows = cut(num_tokens, window, context)
    scored = [place for one in windows for place in range(one.start, one.end)]
    assert scored == list(range(num_tokens))
    for one in windows:
        assert one.end - one.first <= window
        assert one.start - one.first == min(context, one.start)


@pytest.mark.parametrize(
    ("window", "context", "word"), [(0, 0, "--window"), (4, 4, "--context"), (4, -1, "--context")]
)
def test_windows_that_score_nothing_are_refused(window, context, word):
    with pytest.raises(UserError, match=word):
        cut(10, window, context)


def test_an_empty_stream_is_refused():
    with pytest.raises(UserError, match="nothing to evaluate"):
        cut(0, 4)


@pytest.mark.parametrize(("window", "context"), [(8, 0), (8, 3), (16, 15), (9, 6)])
def test_rows_are_those_that_fairseq_makes(text, window, context):
    import torch
    from fairseq.data import Dictionary, LMContextWindowDataset, MonolingualDataset, TokenBlockDataset

    stream = text.stream[:300]
    dictionary = Dictionary()
    for symbol in text.symbols[4:]:
        dictionary.add_symbol(symbol)
    ends = np.flatnonzero(stream == 2) + 1
    items = [torch.from_numpy(item) for item in np.split(stream, ends) if len(item)]
    step = window - context
    blocks = TokenBlockDataset(
        items, [len(item) for item in items], step, pad=1, eos=2, break_mode="none", include_targets=True
    )
    rows = MonolingualDataset(blocks, blocks.sizes, dictionary, targets=["future"])
    if context:
        rows = LMContextWindowDataset(rows, step, context, pad_idx=1)
    windows = cut(len(stream), window, context)
    assert len(rows) == len(windows)
    source = np.concatenate([[2], stream[:-1]])
    for index, one in enumerate(windows):
        sample = rows.collater([rows[index]])
        src = sample["net_input"]["src_tokens"][0]
        assert src[src != 1].tolist() == source[one.first : one.end].tolist()
        tgt = sample["target"][0]
        assert tgt[tgt != 1].tolist() == stream[one.start : one.end].tolist()
