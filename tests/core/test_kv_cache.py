"""Decoding with a cache is the full forward pass, row by row, whatever happens to the other rows."""

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config, KVCache
from fairseq_plugin.core.packed import packed_products

CONFIG = GPT2Config(vocab_size=97, n_positions=80, n_embd=64, n_layer=3, n_head=4, dropout=0.1)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return GPT2(CONFIG).eval()


def texts(rows, length, seed=0):
    return torch.randint(97, (rows, length), generator=torch.Generator().manual_seed(seed))


def read_one_by_one(model, cache, tokens_BT):
    return torch.cat([model(tokens_BT[:, t : t + 1], cache=cache) for t in range(tokens_BT.shape[1])], dim=1)


@pytest.mark.parametrize("first", [1, 2, 7, 31, 32, 33, 60])
def test_a_prompt_and_single_steps_equal_the_full_forward(model, first):
    tokens_BT = texts(3, 66)
    cache = KVCache(CONFIG, 3, 66)
    with torch.no_grad():
        full_BTD = model(tokens_BT)
    parts = [model(tokens_BT[:, :first], cache=cache), read_one_by_one(model, cache, tokens_BT[:, first:])]
    torch.testing.assert_close(torch.cat(parts, dim=1), full_BTD, atol=1e-5, rtol=0)
    assert cache.lengths.tolist() == [66] * 3


def test_several_tokens_can_follow_a_prompt(model):
    tokens_BT = texts(2, 40)
    cache = KVCache(CONFIG, 2, 40)
    parts = [model(part_BT, cache=cache) for part_BT in tokens_BT.split([3, 20, 1, 16], dim=1)]
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens_BT), atol=1e-5, rtol=0)


def test_long_prompts_are_read_in_pieces(model):
    config = GPT2Config(vocab_size=97, n_positions=300, n_embd=32, n_layer=1, n_head=2)
    model, tokens_BT = GPT2(config).eval(), texts(2, 290)
    with torch.no_grad():
        torch.testing.assert_close(
            model(tokens_BT, cache=KVCache(config, 2, 290)), model(tokens_BT), atol=1e-5, rtol=0
        )


def test_prompts_of_different_lengths_stand_in_one_cache(model):
    tokens_BT, lengths_B = texts(4, 30), torch.tensor([1, 9, 5, 12])
    cache = KVCache(CONFIG, 4, 30)
    with torch.no_grad():
        full_BTD = model(tokens_BT)
    prompt_BTD = model(tokens_BT[:, :12], cache=cache, lengths_B=lengths_B)
    for row, length in enumerate(lengths_B):
        torch.testing.assert_close(prompt_BTD[row, :length], full_BTD[row, :length], atol=1e-5, rtol=0)
    for step in range(10):
        places_B = lengths_B + step
        hidden_BTD = model(tokens_BT.gather(1, places_B.unsqueeze(1)), cache=cache)
        assert torch.equal(cache.lengths, places_B + 1)
        expected_BD = full_BTD[torch.arange(4), places_B]
        torch.testing.assert_close(hidden_BTD[:, 0], expected_BD, atol=1e-5, rtol=0)


def test_rows_can_be_dropped_repeated_and_reordered(model):
    tokens_BT, order = texts(5, 12), torch.tensor([3, 0, 0, 4])
    cache = KVCache(CONFIG, 5, 30)
    model(tokens_BT, cache=cache, lengths_B=torch.tensor([12, 3, 7, 9, 1]))
    cache.keep(order)
    assert cache.num_slots == 4 and cache.lengths.tolist() == [9, 12, 12, 1] and cache.longest == 12
    next_B1 = torch.tensor([[1], [2], [3], [4]])
    hidden_BTD = model(next_B1, cache=cache)
    for row, (source, length) in enumerate(zip(order.tolist(), [9, 12, 12, 1], strict=True)):
        text_1T = torch.cat([tokens_BT[source : source + 1, :length], next_B1[row : row + 1]], dim=1)
        with torch.no_grad():
            torch.testing.assert_close(hidden_BTD[row, 0], model(text_1T)[0, -1], atol=1e-5, rtol=0)


def test_one_prompt_can_become_many_rows(model):
    tokens_1T = texts(1, 6)
    cache = KVCache(CONFIG, 1, 20)
    model(tokens_1T, cache=cache)
    cache.keep(torch.zeros(7, dtype=torch.int64))
    hidden_BTD = model(torch.arange(7).unsqueeze(1), cache=cache)
    for row in range(7):
        text_1T = torch.cat([tokens_1T, torch.tensor([[row]])], dim=1)
        with torch.no_grad():
            torch.testing.assert_close(hidden_BTD[row, 0], model(text_1T)[0, -1], atol=1e-5, rtol=0)


def test_a_beam_that_is_reordered_at_every_step_equals_its_own_text(model):
    generator = torch.Generator().manual_seed(4)
    history_BT = texts(6, 1)
    cache = KVCache(CONFIG, 6, 40)
    for _ in range(25):
        hidden_BTD = model(history_BT[:, -1:], cache=cache)
        with torch.no_grad():
            torch.testing.assert_close(hidden_BTD[:, 0], model(history_BT)[:, -1], atol=1e-5, rtol=0)
        order = torch.randint(6, (6,), generator=generator)
        cache.keep(order)
        history_BT = torch.cat([history_BT[order], torch.randint(97, (6, 1), generator=generator)], dim=1)


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.slow
@pytest.mark.parametrize("head_width", [8, 16, 32, 64])
def test_a_rows_bits_do_not_depend_on_the_other_rows(head_width, num_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        config = GPT2Config(vocab_size=97, n_positions=80, n_embd=4 * head_width, n_layer=2, n_head=4)
        torch.manual_seed(head_width)
        model = GPT2(config).eval()
        results = [
            logits_of_one_row(model, *batch) for batch in ((8, 1), (8, 8), (16, 40), (64, 20), (24, 33))
        ]
        for logits_TV in results[1:]:
            assert torch.equal(logits_TV, results[0])
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
@packed_products()  # as decoding does: on processors with AVX-512 MKL takes other kernels for a few tokens
def logits_of_one_row(model, rows, longest):
    """20 steps of the same text after the same prompt, in the middle of a batch of ``rows`` others."""
    own = KVCache(model.config, 8, 8)  # the prompt of the row under test, from a product of its own
    model(texts(8, 8, seed=7), cache=own, lengths_B=torch.full((8,), 3))
    own.keep(torch.tensor([0]))
    cache = KVCache(model.config, rows, 80)
    model(texts(rows, longest, seed=rows), cache=cache, lengths_B=torch.arange(rows) % longest + 1)
    cache.copy_slots(torch.tensor([rows // 2]), own)
    tokens_BT = texts(rows, 20, seed=rows + 1)
    tokens_BT[rows // 2] = texts(1, 20, seed=1)[0]
    return model.logits(read_one_by_one(model, cache, tokens_BT))[rows // 2]


def test_leftovers_of_longer_rows_are_never_seen(model):
    tokens_BT = texts(2, 30)
    cache = KVCache(CONFIG, 2, 40)
    model(tokens_BT, cache=cache)
    short = KVCache(CONFIG, 1, 4)
    model(tokens_BT[:1, :4], cache=short)
    cache.copy_slots(torch.tensor([1]), short)  # 26 old tokens still stand behind these 4
    hidden_BTD = model(torch.tensor([[5], [6]]), cache=cache)
    text_1T = torch.cat([tokens_BT[:1, :4], torch.tensor([[6]])], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(hidden_BTD[1, 0], model(text_1T)[0, -1], atol=1e-5, rtol=0)


def test_a_step_copies_no_cache(model):
    cache = KVCache(CONFIG, 4, 64)
    model(texts(4, 5), cache=cache)
    step = cache.begin(1)
    new_RHNK = torch.randn(4, 4, 1, 16)
    keys_RHAK, _ = cache.write(0, step, new_RHNK, new_RHNK)
    pointer = keys_RHAK.data_ptr()
    cache.end(step)
    for _ in range(10):
        step = cache.begin(1)
        keys_RHAK, _ = cache.write(0, step, new_RHNK, new_RHNK)
        cache.end(step)
        assert keys_RHAK.data_ptr() == pointer
    assert cache.lengths.tolist() == [16] * 4


def test_a_cache_grows_without_losing_anything(model):
    tokens_BT = texts(3, 70)
    cache = KVCache(CONFIG, 3, 8)
    parts = []
    for token_B1 in tokens_BT.split(1, dim=1):
        cache.reserve(cache.longest + 1)
        parts.append(model(token_B1, cache=cache))
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens_BT), atol=1e-5, rtol=0)
    assert cache.capacity == 96  # 80 positions in whole blocks


def test_padding_may_reach_beyond_the_last_position(model):
    tokens_BT = texts(2, 88)
    hidden_BTD = model(tokens_BT, cache=KVCache(CONFIG, 2, 88), lengths_B=torch.tensor([80, 77]))
    with torch.no_grad():
        torch.testing.assert_close(hidden_BTD[:, :77], model(tokens_BT[:, :77]), atol=1e-5, rtol=0)


def test_what_does_not_fit_is_refused(model):
    cache = KVCache(CONFIG, 1, 32)
    model(texts(1, cache.capacity - 2), cache=cache)
    with pytest.raises(
        ValueError, match=f"{cache.capacity} positions per slot; {cache.capacity + 1} are needed"
    ):
        model(texts(1, 3), cache=cache)
    cache = KVCache(CONFIG, 1, 96)
    model(texts(1, 80), cache=cache)
    with pytest.raises(ValueError, match="81 tokens exceed the model's 80 positions"):
        model(texts(1, 1), cache=cache)
    with pytest.raises(ValueError, match="at least one slot"):
        KVCache(CONFIG, 0, 5)


@pytest.mark.parametrize("lengths", [(1, 9, 5, 12), (12, 12, 12, 12), (31, 3, 30, 7)])
def test_alternatives_are_read_as_if_each_stood_alone(model, lengths):
    longest = max(lengths)
    tokens_BT, alternatives_BN, lengths_B = texts(4, longest), texts(4, 5, seed=1), torch.tensor(lengths)
    cache = KVCache(CONFIG, 4, longest + 10)
    model(tokens_BT, cache=cache, lengths_B=lengths_B)
    rows = [tokens_BT[row, :length].tolist() for row, length in enumerate(lengths)]
    for round_ in range(3):
        hidden_BND, step = model.read_alternatives(alternatives_BN, cache)
        chosen_B = torch.tensor([0, 4, 2, round_])
        for row, text in enumerate(rows):
            for n, token in enumerate(alternatives_BN[row].tolist()):
                with torch.no_grad():
                    expected_D = model(torch.tensor([[*text, token]]))[0, -1]
                torch.testing.assert_close(hidden_BND[row, n], expected_D, atol=1e-5, rtol=0)
            text.append(alternatives_BN[row, chosen_B[row]].item())
        cache.choose(step, chosen_B)
    next_B1D = model(texts(4, 1, seed=2), cache=cache)
    for row, text in enumerate(rows):
        with torch.no_grad():
            expected_D = model(torch.tensor([[*text, texts(4, 1, seed=2)[row].item()]]))[0, -1]
        torch.testing.assert_close(next_B1D[row, 0], expected_D, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="positions per slot"):
        model.read_alternatives(texts(4, cache.capacity), cache)


def test_rows_dropped_and_repeated_survive_new_blocks(model):
    """Slots are laid out anew at 33 and 65 tokens; what was dropped or repeated before must not show."""
    tokens_BT = texts(5, 78)
    cache = KVCache(CONFIG, 5, 78)
    model(tokens_BT[:, :20], cache=cache)
    rows = torch.arange(5)
    for start, order in ((20, [4, 1, 1]), (40, [2, 0]), (60, [1, 0, 1, 0, 1, 0, 1, 0])):
        cache.keep(torch.tensor(order))
        rows = rows[order]
        hidden_BTD = read_one_by_one(model, cache, tokens_BT[rows, start : start + 18])
        if start < 60:
            model(tokens_BT[rows, start + 18 : start + 20], cache=cache)
    with torch.no_grad():
        full_BTD = model(tokens_BT)
    torch.testing.assert_close(hidden_BTD, full_BTD[rows, 60:78], atol=1e-5, rtol=0)
