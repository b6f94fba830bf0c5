"""Blocks of running text: none is left out, and their context does not depend on who asks for it."""

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary, LMContextWindowDataset, MonolingualDataset, TokenBlockDataset

from fairseq_plugin.datasets.text_blocks import BlocksWithContext, TextBlocks

PAD, EOS = 1, 2


def monolingual(num_tokens=107, block=8, mode="none", shuffle=True):
    """Documents of 2 to 12 tokens, cut into blocks by fairseq."""
    chance = np.random.RandomState(1)
    documents = []
    while sum(map(len, documents)) < num_tokens:
        document = [*chance.randint(4, 50, size=chance.randint(1, 12)), EOS]
        documents.append(torch.tensor(document[: num_tokens - sum(map(len, documents))]))
    dictionary = Dictionary()
    for symbol in range(46):
        dictionary.add_symbol(str(symbol))
    sizes = np.array([len(one) for one in documents])
    blocks = TokenBlockDataset(documents, sizes, block, PAD, EOS, break_mode=mode, include_targets=True)
    return MonolingualDataset(blocks, blocks.sizes, dictionary, shuffle=shuffle, targets=["future"])


@pytest.mark.parametrize("num_tokens", [5, 64, 107, 8 * 19])
@pytest.mark.parametrize("limit", [{"max_tokens": 100}, {"max_sentences": 16}, {"max_tokens": 8}])
def test_no_block_is_left_out(num_tokens, limit):
    data = TextBlocks(monolingual(num_tokens))
    with np.errstate(all="raise"):
        batches = data.batch_by_size(data.ordered_indices(), required_batch_size_multiple=8, **limit)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(data)))
    seen = sum(data.collater([data[i] for i in batch])["ntokens"] for batch in batches)
    assert seen == num_tokens
    for batch in batches:
        assert len(batch) <= limit.get("max_sentences", 10**9)
        assert len(batch) * max(data.sizes[batch]) <= limit.get("max_tokens", 10**9)


def test_fairseq_itself_leaves_blocks_out():
    """What the above is for; should fairseq mend it, TextBlocks can go."""
    data = monolingual(8 * 19)
    batches = data.batch_by_size(data.ordered_indices(), max_sentences=16, required_batch_size_multiple=8)
    assert sum(map(len, batches)) == 16 < len(data) == 19


def test_batches_of_an_epoch_do_not_depend_on_where_the_process_began():
    assert TextBlocks(monolingual()).can_reuse_epoch_itr_across_epochs is False


def blocks_of(batch):
    """What a scorer sees of each block: id, tokens read, tokens scored."""
    found = {}
    for i, number in enumerate(batch["id"].tolist()):
        source, target = batch["net_input"]["src_tokens"][i], batch["target"][i]
        scored = target[batch["start_indices"][i] :]
        length = int(batch["net_input"]["src_lengths"][i])
        assert source[length:].eq(PAD).all()
        found[number] = (source[:length].tolist(), scored[scored != PAD].tolist(), batch["start_indices"][i])
    return found


@pytest.mark.parametrize("mode", ["none", "complete", "eos"])
@pytest.mark.parametrize("window", [1, 5, 8, 13, 200])
def test_context_is_that_of_fairseq_in_one_process(mode, window):
    """fairseq's remembers the context from batch to batch; ours gives the same blocks in any order."""
    theirs = LMContextWindowDataset(
        monolingual(mode=mode, shuffle=False), 8 if mode == "none" else 12, window, PAD
    )
    ours = BlocksWithContext(TextBlocks(monolingual(mode=mode)), window, PAD)
    assert len(ours) == len(theirs) and ours.ordered_indices().tolist() == list(range(len(theirs)))
    expected = {}
    for start in range(0, len(theirs), 4):
        expected |= blocks_of(theirs.collater([theirs[i] for i in range(start, min(start + 4, len(theirs)))]))
    shuffled = np.random.RandomState(0).permutation(len(ours))
    found = {}
    for start in range(0, len(ours), 3):
        batch = ours.collater([ours[int(i)] for i in shuffled[start : start + 3]])
        assert batch["ntokens"] == sum(len(scored) for _, scored, _ in blocks_of(batch).values())
        found |= blocks_of(batch)
    assert found == expected


def test_context_is_the_text_before_the_block():
    ours = BlocksWithContext(TextBlocks(monolingual()), 11, PAD)
    text = torch.cat([ours.dataset[i]["source"] for i in range(len(ours))]).tolist()
    for i in range(len(ours)):
        block = ours[i]
        begin = 8 * i
        assert block["source"].tolist() == text[max(0, begin - 11) : begin + 8]
        assert block["target"][: block["start"]].eq(PAD).all() and block["start"] == min(11, begin)
