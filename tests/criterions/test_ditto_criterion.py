"""``--criterion ditto`` on stock fairseq models and on GPT-2: real models, batches and gradients."""

import logging
import math

import pytest
import torch
from fairseq import criterions
from fairseq.data import Dictionary
from omegaconf import OmegaConf

from fairseq_plugin.criterions.ditto import ends_of_sentences
from fairseq_plugin.text.byte_level import train_bytes_codec
from tests.criterions.criterion_setup import (
    build_encoder_decoder,
    build_gpt2,
    build_lm,
    criterion_of,
    gradients,
    lm_batch,
    meters_of,
    pair_batch,
    train_step,
)
from tests.reference.ditto_oracle import dense_loss, literal_repetition

BUILD = pytest.mark.parametrize("build", [build_lm, build_gpt2])
END, PAD = 2, 1


def build_criterion(task, **settings):
    return criterion_of(task, "ditto", **{"seed": 1, "ditto_share": 1.0, **settings})


def batch(task):
    """Three texts of 12 tokens, two with sentences, one of them padded."""
    sample = lm_batch(task, rows=3, steps=12)
    source = torch.tensor(
        [
            [END, 5, 6, END, 7, 8, 9, 10, END, 11, 12, 13],
            [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            [4, END, 5, 6, 7, END, 8, 9, 10, END, PAD, PAD],
        ]
    )
    sample["net_input"]["src_tokens"] = source
    return sample


def logits_of(model, tokens):
    return model(tokens, src_lengths=torch.full((len(tokens),), tokens.size(1)))[0]


@BUILD
def test_an_update_of_the_share_is_the_literal_one(lm_task, build):
    """Sentences, repetition, penalty and normaliser, each by its definition."""
    model, sample = build(lm_task), batch(lm_task)
    criterion = build_criterion(lm_task, ditto_lambda=0.7)
    loss, sample_size, log = train_step(lm_task, model, criterion, sample, 3)
    ours = gradients(model)
    model.zero_grad()
    model.train()
    truth, num_repeated = 0.0, 0
    source = sample["net_input"]["src_tokens"]
    for row, id_ in ((0, 10), (2, 12)):  # the text between has no end of a sentence
        text = source[row][source[row] != PAD].tolist()
        is_end = [token == END for token in text]
        fitting = {0: [(1, 3), (4, 5)], 2: [(2, 4)]}[row]
        start, length = fitting[int(criterion.uniform([id_ + 1], 3).item() * len(fitting))]
        repeated = torch.tensor([literal_repetition(text, is_end, start, length)])
        logits = logits_of(model, repeated[:, :-1])
        times = torch.arange(repeated.size(1) - 1)[None]
        earlier = torch.where(times >= start + length - 1, times - length, -1)
        truth = truth + dense_loss(logits.double(), repeated[:, 1:], earlier, 0.7)
        num_repeated += int((earlier >= 0).sum())
    truth.backward()
    assert sample_size == num_repeated and log["ditto_left_out"] == 1
    assert loss.item() == pytest.approx(truth.item(), rel=1e-5)
    for name, gradient in gradients(model).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-6), name
    shown = meters_of(criterion, [log])
    assert shown["ditto_loss"] == pytest.approx(truth.item() / num_repeated / math.log(2), abs=1e-3)
    assert shown["ditto_left_out"] == 1 and shown["ditto_fallbacks"] == 0 and "ppl" not in shown


def test_share_zero_is_bit_equal_to_fairseqs_cross_entropy(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    plain = OmegaConf.create({"_name": "cross_entropy", "sentence_avg": False})
    found = []
    for criterion in (build_criterion(lm_task, ditto_share=0.0), criterions.build_criterion(plain, lm_task)):
        model.zero_grad()
        loss, *_ = criterion(model, sample)
        loss.backward()
        found.append((loss.detach(), *gradients(model).values()))
    assert all(torch.equal(a, b) for a, b in zip(*found))


@BUILD
def test_a_batch_cut_in_two_adds_up_to_the_same_gradient(lm_task, build):
    """What --update-freq and several processes rest on: sentences are chosen by sample, not by batch."""
    model, sample, criterion = build(lm_task), batch(lm_task), build_criterion(lm_task)
    found = []
    for parts in ([slice(0, 3)], [slice(0, 1), slice(1, 3)]):
        model.zero_grad()
        for part in parts:
            inputs = {key: value[part] for key, value in sample["net_input"].items()}
            one = {"net_input": inputs, "id": sample["id"][part], "target": sample["target"][part]}
            train_step(lm_task, model, criterion, one | {"ntokens": 1}, 5)
        found.append(gradients(model))
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], rtol=1e-4, atol=1e-6), name


def test_a_batch_without_sentences_gives_its_likelihood_and_is_counted(lm_task, caplog):
    model, sample = build_lm(lm_task), lm_batch(lm_task, steps=3)
    criterion = build_criterion(lm_task)
    with caplog.at_level(logging.WARNING):
        logs = [train_step(lm_task, model, criterion, sample, update)[2] for update in range(3)]
    assert len([r for r in caplog.records if "--tokens-per-sample" in r.message]) == 1
    shown = meters_of(criterion, logs)
    assert shown["ditto_fallbacks"] == 3 and shown["loss"] == shown["nll_loss"] == shown["likelihood_loss"]


def test_workers_can_sum_whatever_kinds_of_batches_they_have(lm_task):
    model = build_lm(lm_task)
    samples = (batch(lm_task), lm_batch(lm_task, steps=3))
    logs = [train_step(lm_task, model, build_criterion(lm_task), sample, 0)[2] for sample in samples]
    layouts = [[(key, torch.is_tensor(value)) for key, value in log.items()] for log in logs]
    assert layouts[0] == layouts[1]


def test_an_encoder_decoder_keeps_its_source():
    model, task = build_encoder_decoder()
    sample = pair_batch(task) | {"net_input": batch(task)["net_input"]}
    sample["net_input"]["prev_output_tokens"] = sample["net_input"]["src_tokens"].clone()
    loss, sample_size, log = train_step(task, model, build_criterion(task), sample, 0)
    assert loss > 0 and sample_size > 0 and log["ditto_left_out"] == 1 and gradients(model)


def test_training_on_repetitions_makes_the_next_one_less_probable(lm_task):
    model, sample = build_gpt2(lm_task), batch(lm_task)
    criterion = build_criterion(lm_task)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for update in range(60):
        optimizer.zero_grad()
        loss, sample_size, _ = train_step(lm_task, model, criterion, sample, update)
        optimizer.step()
        losses.append(loss.item() / sample_size)
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_validation_measures_the_true_nll(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    loss, _, logged = lm_task.valid_step(sample, model, build_criterion(lm_task).eval())
    assert loss == logged["nll_loss"] == logged["likelihood_loss"]


def test_ends_of_sentences_are_found_by_the_symbols_text():
    words = Dictionary()
    for word in ("end.", "what?", 'so!"', "e.g", "a"):
        words.add_symbol(word)
    assert ends_of_sentences(words, None).nonzero().flatten().tolist() == [END, 4, 5, 6]
    codec = train_bytes_codec(["a. b! c? d"], 260)
    ids = Dictionary()
    for character in ".!?\na,":
        ids.add_symbol(str(codec.encode(character)[0]))
    assert ends_of_sentences(ids, codec).nonzero().flatten().tolist() == [END, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("flags", "words"),
    [({"ditto_share": 1.5}, "--ditto-share 1.5"), ({"ditto_lambda": -1.0}, "--ditto-lambda -1.0")],
)
def test_a_flag_outside_its_range_ends_with_one_line(lm_task, flags, words):
    with pytest.raises(SystemExit, match=f"error: {words}"):
        build_criterion(lm_task, **flags)
