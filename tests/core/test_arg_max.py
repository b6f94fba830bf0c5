"""The fast arg max is torch's, ties and NaN included."""

import pytest
import torch

from fairseq_plugin.core.arg_max import arg_max


@pytest.mark.parametrize("num_symbols", [1, 63, 64, 127, 128, 129, 700, 50257])
def test_the_arg_max_is_the_first_of_the_greatest(num_symbols):
    generator = torch.Generator().manual_seed(1)
    logits_BV = (3 * torch.randn(12, num_symbols, generator=generator)).round()  # rounded: with ties
    logits_BV[torch.rand(logits_BV.shape, generator=generator) < 0.3] = -torch.inf
    logits_BV[:, num_symbols // 2] = 1.0
    logits_BV[9] = logits_BV[9].flip(0)
    logits_BV[10], logits_BV[11, -1] = -torch.inf, torch.nan
    expected = [values.index(max(values)) for values in logits_BV[:11].tolist()]
    assert arg_max(logits_BV).tolist() == [*expected, num_symbols - 1]
    assert torch.equal(arg_max(logits_BV), logits_BV.max(dim=1).indices)
