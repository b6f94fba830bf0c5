"""``--criterion contrastive_token`` on stock fairseq models and on GPT-2: real models, batches, gradients."""

import math

import pytest
import torch
from fairseq import criterions
from omegaconf import OmegaConf

from tests.core.losses import contrastive_loss
from tests.criterions.criterion_setup import (
    build_encoder_decoder,
    build_gpt2,
    build_lm,
    criterion_of,
    gradients,
    lm_batch,
    meters_of,
    pair_batch,
)

BUILD = pytest.mark.parametrize("build", [build_lm, build_gpt2])


def build_criterion(task, **settings):
    return criterion_of(task, "contrastive_token", **settings)


@BUILD
def test_a_language_model_gets_the_core_loss_and_gradient(lm_task, build):
    model, sample = build(lm_task), lm_batch(lm_task)
    settings = {"ct_weight": 0.5, "ct_length": 1.0, "ct_negatives": 3.0}
    loss, sample_size, logged = build_criterion(lm_task, **settings)(model, sample)
    loss.backward()
    ours = gradients(model)
    model.zero_grad()
    logits = model(**sample["net_input"])[0]
    core = {"weight": 0.5, "length": 1.0, "negatives": 3.0}
    parts = contrastive_loss(logits, sample["target"], ignore_index=1, **core)
    parts.loss.backward()
    assert loss.item() == pytest.approx(parts.loss.item(), rel=1e-6) and loss > parts.nll
    assert sample_size == sample["ntokens"] == int(logged["num_scored"])
    for name, gradient in gradients(model).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-4, atol=1e-6), name
    shown = meters_of(build_criterion(lm_task), [logged])
    assert shown["contrastive_token_loss"] == pytest.approx(loss.item() / sample_size / math.log(2), abs=1e-3)


def test_weight_zero_is_bit_equal_to_fairseqs_cross_entropy(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    plain = OmegaConf.create({"_name": "cross_entropy", "sentence_avg": False})
    found = []
    for criterion in (build_criterion(lm_task, ct_weight=0.0), criterions.build_criterion(plain, lm_task)):
        model.zero_grad()
        loss, *_ = criterion(model, sample)
        loss.backward()
        found.append((loss.detach(), *gradients(model).values()))
    assert all(torch.equal(a, b) for a, b in zip(*found))


@BUILD
def test_a_batch_cut_in_two_adds_up_to_the_same_gradient(lm_task, build):
    """What --update-freq and several processes rest on: no weight depends on the rest of the batch."""
    model, sample, criterion = build(lm_task), lm_batch(lm_task), build_criterion(lm_task, ct_length=1.0)
    found = []
    for parts in ([slice(0, 3)], [slice(0, 1), slice(1, 3)]):
        model.zero_grad()
        for part in parts:
            one = {"ntokens": int((sample["target"][part] != 1).sum()), "target": sample["target"][part]}
            one |= {
                "id": sample["id"][part],
                "net_input": {k: v[part] for k, v in sample["net_input"].items()},
            }
            criterion(model, one)[0].backward()
        found.append(gradients(model))
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], rtol=1e-4, atol=1e-6), name


def test_a_stock_encoder_decoder_trains():
    model, task = build_encoder_decoder()
    sample, criterion = pair_batch(task), build_criterion(task)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss, sample_size, _ = criterion(model, sample)
        (loss / sample_size).backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_validation_measures_the_true_nll(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    loss, _, logged = lm_task.valid_step(sample, model, build_criterion(lm_task).eval())
    logits = model(**sample["net_input"])[0]
    assert torch.allclose(loss, contrastive_loss(logits, sample["target"], ignore_index=1).nll, rtol=1e-6)
    assert logged["contrastive_token_loss"] > loss


@pytest.mark.parametrize(
    ("flags", "words"),
    [({"ct_weight": -1.0}, "--ct-weight -1.0"), ({"ct_length": 0.0}, "--ct-length 0.0")],
)
def test_a_flag_outside_its_range_ends_with_one_line(lm_task, flags, words):
    with pytest.raises(SystemExit, match=f"error: {words}"):
        build_criterion(lm_task, **flags)
