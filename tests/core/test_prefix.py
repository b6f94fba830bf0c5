"""What prefixes promise: put together or one by one, slots go on from the same keys and values."""

import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.core.kv_cache import KVCache
from fairseq_plugin.core.prefix import PrefixStore, put, put_together


def test_prefixes_put_together_are_those_put_one_by_one():
    torch.manual_seed(0)
    config = GPT2Config(50, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    read = KVCache(config, 3, 40)
    GPT2(config).eval()(torch.randint(50, (3, 36)), cache=read)
    store = PrefixStore(1 << 20)
    short, other = (store.take(read, slot, 3) for slot in (0, 1))
    long = store.take(read, 0, 36, short)
    caches = [KVCache(config, 8, 40) for _ in range(2)]
    for cache, how in zip(caches, (put, put_together), strict=True):
        cache.lay_out(36)
        how([long, other, short], cache, [5, 0, 2])
    for one, two in zip(*(cache.stored() for cache in caches), strict=True):
        assert torch.equal(one, two)
    for kept, source in zip(caches[1].stored(), read.stored(), strict=True):
        assert torch.equal(kept[5, :, :36], source[0, :, :36])
        assert torch.equal(kept[0, :, :3], source[1, :, :3]) and not kept[0, :, 3:].any()


def test_prefixes_taken_together_are_those_taken_one_by_one():
    torch.manual_seed(0)
    config = GPT2Config(50, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    read = KVCache(config, 4, 40)
    GPT2(config).eval()(torch.randint(50, (4, 36)), cache=read)
    size = 2 * 2 * 16 * 4  # bytes of a token
    stores = [PrefixStore(20 * size) for _ in range(2)]
    taken = []
    for store in stores:
        prompts = [store.take(read, slot, 3) for slot in range(4)]
        slots, lengths = [2, 0, 3], [7, 30, 5]  # 12 of 20 tokens are the prompts'; the second has no room
        parents = [prompts[slot] for slot in slots]
        how = store.take_all if store is stores[0] else store.take_together
        taken.append(how(read, slots, lengths, parents))
    for one, two in zip(*taken, strict=True):
        assert (one is None) == (two is None)
        if one is not None:
            assert torch.equal(one.part_2LHTK, two.part_2LHTK) and one.length == two.length
    assert [one is None for one in taken[0]] == [False, True, False]
