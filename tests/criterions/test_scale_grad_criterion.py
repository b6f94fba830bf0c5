"""``--criterion scale_grad`` on stock fairseq models and on GPT-2: real models, batches and gradients."""

import logging
import math

import pytest
import torch
from fairseq import criterions
from fairseq.distributed import ModuleProxyWrapper
from omegaconf import OmegaConf

from fairseq_plugin.criterions.scale_grad import ScaleGradCriterion, ScaleGradCriterionConfig
from tests.core.losses import scale_grad_loss
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


def build_criterion(task, **settings):
    return criterion_of(task, "scale_grad", **{"gamma": 0.4, **settings})


def direct(model, sample, **settings):
    """The core loss on the model's own logits."""
    logits = model(**sample["net_input"])[0]
    return scale_grad_loss(logits, sample["target"], **{"gamma": 0.4, "ignore_index": 1} | settings)


# -- models -------------------------------------------------------------------------------------------------


def test_a_stock_language_model_gets_the_core_loss_and_gradient(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    loss, sample_size, logged = build_criterion(lm_task)(model, sample)
    loss.backward()
    ours = gradients(model)
    model.zero_grad()
    parts = direct(model, sample)
    parts.loss.backward()
    assert torch.equal(loss, parts.loss) and sample_size == sample["ntokens"] == int(parts.num_scored)
    assert all(torch.equal(ours[name], gradient) for name, gradient in gradients(model).items()) and ours
    assert torch.equal(logged["nll_loss"], parts.nll)
    assert torch.equal(logged["scale_grad_loss"], parts.loss.detach())


def test_gamma_one_is_bit_equal_to_fairseqs_cross_entropy(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    plain = OmegaConf.create({"_name": "cross_entropy", "sentence_avg": False})
    found = []
    for criterion in (build_criterion(lm_task, gamma=1.0), criterions.build_criterion(plain, lm_task)):
        model.zero_grad()
        loss, *_ = criterion(model, sample)
        loss.backward()
        found.append((loss.detach(), *gradients(model).values()))
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_a_stock_encoder_decoder_trains():
    model, task = build_encoder_decoder()
    sample = pair_batch(task)
    criterion, optimizer = build_criterion(task), torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss, sample_size, _ = criterion(model, sample)
        (loss / sample_size).backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("wrapped", [False, True])
def test_gpt2_takes_the_fused_path_with_the_same_result(lm_task, wrapped):
    model, sample = build_gpt2(lm_task), lm_batch(lm_task)

    class Distributed(torch.nn.Module):  # shaped like fairseq's wrappers, and notes how it was called
        def __init__(self, module):
            super().__init__()
            self.module = module
            self.calls = []

        def forward(self, *args, **kwargs):
            self.calls.append(kwargs)
            return self.module(*args, **kwargs)

    caller = ModuleProxyWrapper(Distributed(model)) if wrapped else model
    results = {}
    for fused in ("on", "off"):
        model.zero_grad()
        loss, _, logged = build_criterion(lm_task, fused=fused)(caller, sample)
        loss.backward()
        results[fused] = ({k: v for k, v in logged.items() if torch.is_tensor(v)}, gradients(model))
    if wrapped:
        assert [call.get("for_loss", False) for call in caller.module.calls] == [True, False]
    for ours, plain in zip(results["on"], results["off"]):
        assert ours.keys() == plain.keys()
        for key in plain:
            assert torch.allclose(ours[key].double(), plain[key].double(), rtol=1e-4, atol=1e-6), key


def test_fused_on_refuses_a_model_that_gives_logits_only(lm_task):
    with pytest.raises(SystemExit, match="error: --fused on"):
        build_criterion(lm_task, fused="on")(build_lm(lm_task), lm_batch(lm_task))


def test_an_adaptive_softmax_is_refused(lm_task):
    adaptive = {"adaptive_softmax_cutoff": "10,20", "adaptive_softmax_factor": 2.0}
    model = build_lm(lm_task, share_decoder_input_output_embed=False, **adaptive)
    with pytest.raises(SystemExit, match="--adaptive-softmax-cutoff"):
        build_criterion(lm_task)(model, lm_batch(lm_task))


# -- prompts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score_prompt", [False, True])
@pytest.mark.parametrize("prompt_seen", [False, True])
def test_prompt_seen_alone_decides_whether_prompts_count(lm_task, prompt_seen, score_prompt):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    whole = sample["target"].clone()
    prompt = torch.full_like(whole, 1)
    prompt[:, :3] = whole[:, :3]
    whole[:, 4] = whole[:, 1]  # a prompt token comes back in the sentence
    target = whole.clone()
    if not score_prompt:
        target[:, :3] = 1
    sample |= {"target": target, "prompt_target": prompt, "ntokens": int((target != 1).sum())}
    seen = whole.clone()
    if not prompt_seen:
        seen[:, :3] = 1
    loss, _, logged = build_criterion(lm_task, prompt_seen=prompt_seen)(model, sample)
    expected = direct(model, sample, seen=seen)
    assert torch.equal(loss, expected.loss) and torch.equal(logged["num_novel"], expected.num_novel)


def test_prompt_seen_without_prompts_is_told_once(lm_task, caplog):
    criterion = build_criterion(lm_task, prompt_seen=True)
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    with caplog.at_level(logging.WARNING):
        criterion(model, sample)
        criterion(model, sample)
    assert len([record for record in caplog.records if "--prompt-seen" in record.message]) == 1


# -- training and validation --------------------------------------------------------------------------------


def test_validation_measures_the_true_nll(lm_task):
    model, sample, criterion = build_lm(lm_task).eval(), lm_batch(lm_task), build_criterion(lm_task).eval()
    with torch.no_grad():
        loss, _, logged = criterion(model, sample)
        assert torch.equal(loss, direct(model, sample).nll) and logged["scale_grad_loss"] != loss


def test_sentence_avg_divides_by_sentences(lm_task):
    _, sample_size, logged = build_criterion(lm_task, sentence_avg=True)(build_lm(lm_task), lm_batch(lm_task))
    assert sample_size == 3 and logged["sample_size"] == 3


def test_logging_values_are_tensors_and_sums(lm_task):
    *_, logged = build_criterion(lm_task)(build_lm(lm_task), lm_batch(lm_task))
    for key in ("loss", "nll_loss", "scale_grad_loss", "num_correct", "num_novel", "num_scored"):
        assert torch.is_tensor(logged[key]) and logged[key].dim() == 0 and not logged[key].requires_grad
    assert ScaleGradCriterion.logging_outputs_can_be_summed()


def test_meters_are_those_of_all_batches_together(lm_task):
    model, criterion = build_lm(lm_task), build_criterion(lm_task)
    batches = [lm_batch(lm_task, rows=rows, seed=rows) for rows in (2, 5)]
    shown = meters_of(criterion, [criterion(model, sample)[2] for sample in batches])
    parts = [direct(model, sample) for sample in batches]
    scored, nll, loss, correct, novel = (
        sum(getattr(part, name).item() for part in parts)
        for name in ("num_scored", "nll", "loss", "num_correct", "num_novel")
    )
    bits = 1 / (scored * math.log(2))
    assert shown["loss"] == shown["scale_grad_loss"] == pytest.approx(loss * bits, abs=1e-3)
    assert shown["nll_loss"] == pytest.approx(nll * bits, abs=1e-3)
    assert shown["ppl"] == pytest.approx(math.exp(nll / scored), abs=0.02)
    assert shown["accuracy"] == pytest.approx(correct / scored, abs=1e-4)
    assert shown["novel"] == pytest.approx(novel / scored, abs=1e-4) and 0 < shown["novel"] <= 1


def test_a_batch_of_padding_trains_and_logs(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    sample["target"] = torch.full_like(sample["target"], 1)
    sample["ntokens"] = 0
    criterion = build_criterion(lm_task)
    loss, sample_size, logged = criterion(model, sample)
    loss.backward()
    assert loss == 0 and sample_size == 0 and all((g == 0).all() for g in gradients(model).values())
    assert meters_of(criterion, [logged])["loss"] == 0


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("build", [build_lm, build_gpt2])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(lm_task, build, poison):
    model, sample, criterion = build(lm_task), lm_batch(lm_task), build_criterion(lm_task)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "layer_norm" in name or "ln_" in name)[0] = poison
    with pytest.raises(FloatingPointError, match=r"loss nan.* in update 42, sample ids \[10, 11, 12\]"):
        train_step(lm_task, model, criterion, sample, 41)
    assert gradients(model) == {}


@pytest.mark.parametrize("gamma", [0.0, 1.5, -1.0])
def test_gamma_outside_its_range_ends_with_one_line(lm_task, gamma):
    with pytest.raises(SystemExit, match=r"error: --gamma .*must be in \(0, 1\]"):
        build_criterion(lm_task, gamma=gamma)


def test_parity_eps_outside_its_range_ends_with_one_line(lm_task):
    with pytest.raises(SystemExit, match="error: --parity-eps"):
        build_criterion(lm_task, parity_eps=-1.0)


def test_a_lonely_worker_is_refused(lm_task, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="error: WORLD_SIZE=2 .*--distributed-world-size 2"):
        build_criterion(lm_task)


def test_every_flag_has_a_help_text():
    for name, field in ScaleGradCriterionConfig.__dataclass_fields__.items():
        assert name in ("_name", "sentence_avg") or field.metadata["help"]


# -- gamma over the updates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [build_lm, build_gpt2])
def test_a_schedule_takes_the_trainers_update_number(lm_task, build):
    """As the trainer calls it: batches of one update share its number; updates need not begin at 0."""
    model, sample = build(lm_task), lm_batch(lm_task)
    schedule = {"gamma": 0.2, "gamma_schedule": "linear", "gamma_updates": 4}
    criterion = build_criterion(lm_task, **schedule)
    for update, gamma in ((2, 0.6), (2, 0.6), (3, 0.4), (900, 0.2)):
        loss, _, logged = train_step(lm_task, model, criterion, sample, update)
        expected = build_criterion(lm_task, gamma=gamma)(model, sample)[0]
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        assert meters_of(criterion, [logged, logged])["gamma"] == gamma
    criterion.eval()
    loss, _, logged = lm_task.valid_step(sample, model, criterion)
    assert logged["scale_grad_loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert "gamma" not in meters_of(criterion, [logged])


def test_a_schedule_that_starts_at_one_starts_with_cross_entropys_bits(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    schedule = {"gamma": 0.2, "gamma_schedule": "warmup", "gamma_updates": 3}
    criterion = build_criterion(lm_task, **schedule)
    found = []
    for update, plain in ((2, build_criterion(lm_task, gamma=1.0)), (3, build_criterion(lm_task, gamma=0.2))):
        for step in (
            lambda u=update: train_step(lm_task, model, criterion, sample, u),
            lambda p=plain: p(model, sample),
        ):
            model.zero_grad()
            loss = step()[0]
            if not gradients(model):
                loss.backward()
            found.append((loss.detach(), *gradients(model).values()))
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[1]))
    assert all(torch.equal(a, b) for a, b in zip(found[2], found[3]))
    assert not torch.equal(found[0][0], found[2][0])


def test_a_constant_gamma_is_not_logged_and_needs_no_update(lm_task):
    criterion = build_criterion(lm_task)
    logged = criterion(build_lm(lm_task), lm_batch(lm_task))[2]
    assert "gamma" not in meters_of(criterion, [logged])


def test_a_schedule_past_the_task_is_refused(lm_task):
    criterion = build_criterion(lm_task, gamma_schedule="linear", gamma_updates=4)
    with pytest.raises(SystemExit, match=r"error: --gamma-schedule linear .*task\.train_step"):
        criterion(build_lm(lm_task), lm_batch(lm_task))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"gamma_schedule": "linear"}, "error: --gamma-schedule linear needs --gamma-updates"),
        ({"gamma_updates": 5}, "error: --gamma-updates 5 has no effect"),
        ({"gamma_schedule": "warmup", "gamma_updates": 5, "gamma_start": 2.0}, "error: --gamma-start 2.0"),
    ],
)
def test_flags_of_a_schedule_that_make_no_sense_end_with_one_line(lm_task, flags, words):
    with pytest.raises(SystemExit, match=words):
        build_criterion(lm_task, **flags)
