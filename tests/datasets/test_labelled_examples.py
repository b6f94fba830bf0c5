"""What a batch of labelled examples promises."""

import numpy as np
import pytest
import torch

from fairseq_plugin.datasets.label_prompts import LabelPrompts
from fairseq_plugin.datasets.labelled_examples import LabelledExamples

PAD, EOS = 1, 2
PROMPTS = [[10, 7], [11, 12, 7]]  # label texts of one and two tokens, separator 7
SENTENCES = [[20], [21, 22, 23], [24, 25], [7, 10, 7], []]
LABELS = [0, 1, 1, 0, 1]


class Examples:
    """An indexed dataset in memory."""

    def __init__(self, examples):
        self.examples = [torch.tensor(one, dtype=torch.int32) for one in examples]
        self.sizes = np.array([len(one) for one in examples])

    def __getitem__(self, index):
        return self.examples[index]


def dataset(**options):
    examples = [[*PROMPTS[label], *sentence, EOS] for label, sentence in zip(LABELS, SENTENCES)]
    return LabelledExamples(Examples(examples), LABELS, PROMPTS, PAD, EOS, **options)


@pytest.mark.parametrize("score_prompt", [False, True])
def test_a_batch_is_the_literal_examples_shifted_by_one(score_prompt):
    data = dataset(score_prompt=score_prompt)
    batch = data.collater([data[i] for i in range(5)])
    width = batch["target"].shape[1]
    scored = 0
    for i, (label, sentence) in enumerate(zip(LABELS, SENTENCES)):
        prompt = PROMPTS[label]
        example = [*prompt, *sentence, EOS]
        fill = [PAD] * (width - len(example))
        assert batch["net_input"]["src_tokens"][i].tolist() == [EOS, *example[:-1], *fill]
        hidden = prompt if score_prompt else [PAD] * len(prompt)
        assert batch["target"][i].tolist() == [*hidden, *sentence, EOS, *fill]
        assert batch["prompt_target"][i].tolist() == prompt + [PAD] * (width - len(prompt))
        assert batch["start_indices"][i] == len(prompt)
        scored += len(sentence) + 1 + (len(prompt) if score_prompt else 0)
    assert batch["ntokens"] == scored
    assert batch["labels"].tolist() == LABELS
    assert batch["net_input"]["src_lengths"].tolist() == [
        len(PROMPTS[x]) + len(s) + 1 for x, s in zip(LABELS, SENTENCES)
    ]


def test_order_is_by_length_and_shuffled_only_among_equals():
    data = dataset(shuffle=True)
    orders = set()
    for seed in range(20):
        np.random.seed(seed)
        order = data.ordered_indices()
        assert data.sizes[order].tolist() == sorted(data.sizes.tolist())
        assert sorted(order.tolist()) == [0, 1, 2, 3, 4]
        np.random.seed(seed)
        assert order.tolist() == data.ordered_indices().tolist()
        orders.add(tuple(order.tolist()))
    assert len(orders) > 1
    assert dataset().ordered_indices().tolist() == np.argsort(data.sizes, kind="stable").tolist()


def test_prompts_carry_their_ids_and_count_what_they_will_hold():
    data = LabelPrompts([8, 5], PROMPTS, np.array([0, 1]), PAD, EOS, max_new=30)
    assert data.sizes.tolist() == [33, 34]
    batch = data.collater([data[1], data[0]])
    assert batch["id"].tolist() == [5, 8]
    assert batch["net_input"]["src_tokens"].tolist() == [[EOS, 11, 12, 7], [EOS, 10, 7, PAD]]
    assert batch["net_input"]["src_lengths"].tolist() == [4, 3]
    assert batch["target"] is None


@pytest.mark.parametrize("num_examples", [1, 3, 7, 8, 9, 40, 43])
@pytest.mark.parametrize("limit", [{"max_tokens": 200}, {"max_sentences": 16}, {"max_tokens": 10_000}])
def test_no_example_is_left_out_of_the_batches(num_examples, limit):
    data = LabelPrompts(range(num_examples), PROMPTS, np.arange(num_examples) % 2, PAD, EOS, 5)
    batches = data.batch_by_size(data.ordered_indices(), required_batch_size_multiple=8, **limit)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(num_examples))
    for batch in batches:
        assert len(batch) * max(data.sizes[batch]) <= limit.get("max_tokens", 10**9)
        assert len(batch) <= limit.get("max_sentences", 10**9)
