"""The generator as judge: its probabilities are a literal sum, and those of the stock evaluation command."""

import json
import math

import numpy as np
import pytest
import torch

from fairseq_plugin.augment.jobs.label_model import load_label_model
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_items, read_labels, read_texts
from fairseq_plugin.storage.dictionary import index_of_id
from tests.reference import bayes_oracle

TEXTS = ["a warm and funny film", "bad", "", "the plot goes nowhere", "best of the year! \u00e9", "bad"]


@pytest.fixture(scope="module")
def model(parts):
    return load_label_model(parts.checkpoint, parts.data)


@pytest.fixture(scope="module")
def judge(parts):
    return BayesJudge.load(parts.checkpoint, parts.data)


def test_probabilities_are_a_literal_sum_over_tokens(model, judge):
    counts, indices = [6, 6], index_of_id(model.codec)
    found, sums = judge.probabilities(TEXTS), judge.log_likelihoods(TEXTS)
    for number, text in enumerate(TEXTS):
        tokens = indices[model.codec.encode(text)].tolist()
        literal = [bayes_oracle.log_likelihood(model.gpt2, prompt, tokens) for prompt in model.prompts]
        assert sums[number] == pytest.approx(literal, rel=1e-5)
        assert found[number] == pytest.approx(bayes_oracle.posterior(literal, counts), abs=1e-4)
    assert found.sum(axis=1) == pytest.approx(1)


def test_the_prior_is_the_labels_share_of_train(model):
    even, uneven = (BayesJudge(model, counts).probabilities(["a film"])[0] for counts in ([5, 5], [9, 1]))
    assert uneven[0] / uneven[1] == pytest.approx(9 * even[0] / even[1])


def test_sums_are_those_of_the_stock_evaluation(parts, judge, tmp_path, run_stock):
    """fairseq-eval-lm: nats per token and number of tokens of each label's sentences."""
    run_stock(
        "fairseq-eval-lm", parts.data, "--task", "conditional_augmentation", "--path", parts.checkpoint,
        "--gen-subset", "valid", "--results-path", tmp_path, "--cpu",
    )  # fmt: skip
    stated = json.loads((tmp_path / "perplexity.json").read_text())["labels"]
    valid = read_texts(parts.data, "valid")
    found = judge.log_likelihoods([text for _, text in valid])
    for label, name in enumerate(["neg", "pos"]):
        own = [number for number, (given, _) in enumerate(valid) if given == label]
        total = -math.fsum(found[number, label] for number in own)
        assert total == pytest.approx(stated[name]["nll"] * stated[name]["tokens"], rel=1e-5)


def test_other_texts_of_a_batch_change_nothing_but_rounding(judge):
    together = judge.log_likelihoods(TEXTS * 40)
    alone = np.concatenate([judge.log_likelihoods([text]) for text in TEXTS])
    assert together == pytest.approx(np.tile(alone, (40, 1)), rel=1e-5)
    assert judge.probabilities([]).shape == (0, 2)


def test_what_exceeds_the_positions_does_not_count(model, judge):
    room = min(model.room(label) for label in range(2))
    long = "a" * 400
    tokens = index_of_id(model.codec)[model.codec.encode(long)].tolist()
    assert len(tokens) > room
    (found,) = judge.log_likelihoods([long])
    for label, prompt in enumerate(model.prompts):
        read = torch.tensor([[*prompt, *tokens[: room - 1]]])
        with torch.no_grad():
            logp = torch.log_softmax(model.gpt2.logits(model.gpt2(read))[0].double(), -1)
        places = range(len(prompt) - 1, len(prompt) - 1 + room)
        literal = sum(float(logp[place, token]) for place, token in zip(places, tokens))
        assert found[label] == pytest.approx(literal, rel=1e-5)


def test_it_knows_the_labels_of_what_the_model_has_learned(parts, judge):
    """The small model knows its twelve training sentences by heart."""
    labels, items = read_labels(parts.data, "train"), read_items(parts.data, "train")
    train = read_texts(parts.data, "train")
    assert len(items) == 12
    assert (judge.predict([text for _, text in train]) == labels).mean() >= 11 / 12


def test_a_damaged_model_is_named(model):
    gpt2, weight = model.gpt2, model.gpt2.ln_f.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[0] = math.nan
    try:
        with pytest.raises(UserError, match=r"NaN or no probability at all to 'a film'.*earlier checkpoint"):
            BayesJudge(model, [6, 6]).probabilities(["a film"])
    finally:
        with torch.no_grad():
            gpt2.ln_f.weight.copy_(kept)
