"""On real text our network and transformers' say the same: perplexity, and what greedy decoding gives."""

import math

import pytest
import torch
import torch.nn.functional as F

from fairseq_plugin.core.gpt2 import KVCache
from fairseq_plugin.text.codec import gpt2_codec
from tests.reference.gpt2_reference import pair

TEXT = "The tower is 324 metres tall, about as high as an 81-storey house; it was the tallest for 41 years."


def perplexity(logits_BTV, tokens_BT):
    return math.exp(F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), tokens_BT[:, 1:].flatten()).item())


def greedy(ours, prompt_BT, num_new):
    """Greedy decoding with the cache, as the sampler does it."""
    cache = KVCache(ours.config, len(prompt_BT), prompt_BT.shape[1] + num_new)
    text, new_BT = [prompt_BT], prompt_BT
    for _ in range(num_new):
        new_BT = ours.logits(ours(new_BT, cache=cache)[:, -1:]).argmax(-1)
        text.append(new_BT)
    return torch.cat(text, dim=1)


def compare(ours, theirs, tokens_BT, num_new):
    with torch.no_grad():
        own = perplexity(ours.logits(ours(tokens_BT)), tokens_BT)
        expected = perplexity(theirs(tokens_BT).logits, tokens_BT)
    assert own == pytest.approx(expected, rel=1e-4)
    prompt_BT = tokens_BT[:, :8]
    found_BT = theirs.generate(
        prompt_BT, max_new_tokens=num_new, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert torch.equal(greedy(ours, prompt_BT, num_new), found_BT)


def test_small_models_agree_on_text():
    ours, theirs = pair(seed=2, vocab_size=256, n_positions=128, n_layer=3)
    compare(ours, theirs, torch.tensor([list(TEXT.encode())]), num_new=60)


@pytest.mark.slow
def test_124_million_parameters_agree_on_real_text(shared_data):
    codec = gpt2_codec(shared_data / "gpt2-bpe" / "encoder.json", shared_data / "gpt2-bpe" / "vocab.bpe")
    text = (shared_data / "wikitext-2" / "test.txt").read_text(encoding="utf-8")[:6000]
    tokens_BT = torch.tensor(codec.encode(text)[:600]).view(2, 300)
    ours, theirs = pair(vocab_size=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12, spread=0.01)
    compare(ours, theirs, tokens_BT, num_new=20)
