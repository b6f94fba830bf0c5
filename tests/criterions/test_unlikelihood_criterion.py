"""``--criterion unlikelihood`` on stock fairseq models and on GPT-2: real models, batches and gradients."""

import copy
import logging
import math

import pytest
import torch
from fairseq import criterions
from fairseq.distributed import ModuleProxyWrapper
from omegaconf import OmegaConf

from fairseq_plugin.criterions.greedy import continue_greedily
from tests.core.losses import penalty_loss, unlikelihood_loss
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
from tests.reference.unlikelihood_oracle import literal_repeats

# Fits the 16 positions of these models; batches of 8 tokens give two prefixes a row.
SEQUENCE = {"sequence_share": 1.0, "sequence_prefix": 4, "sequence_continuation": 12, "sequence_ngram": 2}
BUILD = pytest.mark.parametrize("build", [build_lm, build_gpt2])


def build_criterion(task, **settings):
    return criterion_of(task, "unlikelihood", **{"seed": 1, **settings})


def looping(build, task):
    """A model that likes to repeat itself, in training mode."""
    model = build(task)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model.train()


def logits_of(model, tokens):
    return model(tokens, src_lengths=torch.full((len(tokens),), tokens.size(1)))[0]


# -- token level --------------------------------------------------------------------------------------------


@BUILD
def test_a_language_model_gets_the_core_loss_and_gradient(lm_task, build):
    model, sample = build(lm_task), lm_batch(lm_task)
    loss, sample_size, logged = build_criterion(lm_task, alpha=0.5)(model, sample)
    loss.backward()
    ours = gradients(model)
    model.zero_grad()
    logits = model(**sample["net_input"])[0]
    parts = unlikelihood_loss(logits, sample["target"], alpha=0.5, ignore_index=1)
    parts.loss.backward()
    assert loss.item() == pytest.approx(parts.loss.item(), rel=1e-6)
    assert sample_size == sample["ntokens"] == int(logged["num_scored"])
    for name, gradient in gradients(model).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-4, atol=1e-6), name
    shown = meters_of(build_criterion(lm_task), [logged])
    assert shown["unlikelihood_loss"] == pytest.approx(loss.item() / sample_size / math.log(2), abs=1e-3)
    assert not any(key.startswith("sequence") for key in shown)


def test_alpha_zero_is_bit_equal_to_fairseqs_cross_entropy(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    plain = OmegaConf.create({"_name": "cross_entropy", "sentence_avg": False})
    found = []
    for criterion in (build_criterion(lm_task, alpha=0.0), criterions.build_criterion(plain, lm_task)):
        model.zero_grad()
        loss, *_ = criterion(model, sample)
        loss.backward()
        found.append((loss.detach(), *gradients(model).values()))
    assert all(torch.equal(a, b) for a, b in zip(*found))


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


def test_validation_measures_the_true_nll_whatever_the_share(lm_task):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    criterion = build_criterion(lm_task, **SEQUENCE).eval()
    loss, _, logged = lm_task.valid_step(sample, model, criterion)
    logits = model(**sample["net_input"])[0]
    assert torch.allclose(loss, unlikelihood_loss(logits, sample["target"], ignore_index=1).nll, rtol=1e-6)
    assert logged["unlikelihood_loss"] > loss


# -- sequence level -----------------------------------------------------------------------------------------


@BUILD
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_sequence_level_update_is_the_literal_one(lm_task, build, wrapped):
    """Prefixes, greedy continuation, marks, penalty and normaliser, each by its definition."""
    model, sample = looping(build, lm_task), lm_batch(lm_task)
    criterion = build_criterion(lm_task, **SEQUENCE)

    class Distributed(torch.nn.Module):  # shaped like fairseq's wrappers, and notes the shapes it was given
        def __init__(self, module):
            super().__init__()
            self.module, self.shapes = module, []

        def forward(self, *args, **kwargs):
            self.shapes.append(tuple(kwargs["src_tokens"].shape))
            return self.module(*args, **kwargs)

    caller = ModuleProxyWrapper(Distributed(model)) if wrapped else model
    loss, sample_size, logged = train_step(lm_task, caller, criterion, sample, 7)
    ours = gradients(model)
    if wrapped:
        assert caller.module.shapes == [(5, 15)]  # one pass, with gradients: the wrapper synchronises them

    rows = [[t for t in row if t != 1] for row in sample["net_input"]["src_tokens"].tolist()]
    prefixes = [row[i : i + 4] for row in rows for i in range(0, len(row) - 3, 4)]
    assert len(prefixes) == 5  # the first row has 7 tokens without its padding
    model.zero_grad()
    model.eval()
    texts = []
    for prefix in prefixes:
        text = list(prefix)
        for _ in range(12):
            scores = logits_of(model, torch.tensor([text]))[0, -1].detach()
            scores[[1, 2]] = -torch.inf
            text.append(int(scores.argmax()))
        texts.append(text)
    found = [literal_repeats(text[4:], 2) for text in texts]
    marks = torch.tensor([[False] * 3 + marked for marked, *_ in found])
    tokens = torch.tensor(texts)
    truth = penalty_loss(logits_of(model, tokens[:, :-1]), tokens[:, 1:], marks).loss
    truth.backward()
    assert marks.any() and not marks.all() and sample_size == 5 * 12
    assert loss.item() == pytest.approx(truth.item(), rel=1e-5)
    for name, gradient in gradients(model).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-5), name
    shown = meters_of(criterion, [logged])
    assert shown["sequence_repeats"] == pytest.approx(
        sum(repeated for _, repeated, _ in found) / sum(total for *_, total in found), abs=1e-4
    )
    assert shown["loss"] == pytest.approx(truth.item() / 60 / math.log(2), abs=1e-3)
    assert shown["sequence_loss"] == pytest.approx(truth.item() / 60 / math.log(2), abs=1e-4)
    assert "nll_loss" not in shown and "ppl" not in shown  # nothing was scored: no 0 that looks like a loss


@BUILD
def test_dropout_is_off_while_writing_and_on_in_the_gradient_pass(lm_task, build):
    model = looping(lambda task: build(task, dropout=0.5), lm_task)
    modes = {name: module.training for name, module in model.named_modules()}
    prefix = torch.tensor([[4, 5, 6, 7], [8, 9, 10, 11]])
    state = torch.get_rng_state()
    first, second = (continue_greedily(model, prefix, 12, lm_task.source_dictionary) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(state, torch.get_rng_state())
    assert {name: module.training for name, module in model.named_modules()} == modes and all(modes.values())
    losses = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        losses.append(
            train_step(lm_task, model, build_criterion(lm_task, **SEQUENCE), lm_batch(lm_task), 0)[0]
        )
    assert losses[0] != losses[1]


@BUILD
def test_updates_and_prefixes_depend_on_seed_and_update_alone(lm_task, build):
    settings = SEQUENCE | {"sequence_share": 0.5, "sequence_prefixes": 2}
    one, other = build_criterion(lm_task, **settings), build_criterion(lm_task, seed=2, **settings)
    coins = [one.is_other_update(update) for update in range(400)]
    assert 150 < sum(coins) < 250 and coins == [one.is_other_update(update) for update in range(400)]
    assert coins != [other.is_other_update(update) for update in range(400)]
    tokens = torch.arange(4, 28).view(2, 12)
    chosen = {tuple(one.prefixes(tokens, update).flatten().tolist()) for update in range(40)}
    assert all(len(prefixes) == 8 for prefixes in chosen) and 5 < len(chosen) <= 15  # of 6, 2 at a time
    model, sample = looping(build, lm_task), lm_batch(lm_task)
    for update in range(6):
        losses = [train_step(lm_task, copy.deepcopy(model), one, sample, update)[0] for _ in range(2)]
        assert torch.equal(*losses)
        assert (train_step(lm_task, model, one, sample, update)[2]["sequence_tokens"] > 0) == coins[update]


def test_a_share_of_one_and_of_zero_mean_always_and_never(lm_task):
    always = build_criterion(lm_task, **SEQUENCE)
    never = build_criterion(lm_task, **SEQUENCE | {"sequence_share": 0.0})
    assert all(always.is_other_update(update) for update in range(200))
    assert not any(never.is_other_update(update) for update in range(200))


def test_nothing_repeated_gives_zero_with_a_graph(lm_task):
    model = build_gpt2(lm_task)
    with torch.no_grad():
        model.decoder.gpt2.wpe.weight.mul_(1000.0)  # the next token depends on the position alone
    settings = SEQUENCE | {"sequence_continuation": 8, "sequence_ngram": 7}
    loss, sample_size, log = train_step(
        lm_task, model, build_criterion(lm_task, **settings), lm_batch(lm_task), 0
    )
    assert log["sequence_repeated"] == 0 and log["sequence_ngrams"] == 5 * 2
    assert loss == 0 and sample_size == 40 and all((g == 0).all() for g in gradients(model).values())


def test_short_rows_are_told_once_counted_and_trained_at_token_level(lm_task, caplog):
    model, sample = build_lm(lm_task), lm_batch(lm_task)
    criterion = build_criterion(lm_task, **SEQUENCE | {"sequence_prefix": 9, "sequence_continuation": 7})
    with caplog.at_level(logging.WARNING):
        logs = [train_step(lm_task, model, criterion, sample, update)[2] for update in range(3)]
    assert len([r for r in caplog.records if "--sequence-prefix 9" in r.message]) == 1
    shown = meters_of(criterion, logs)
    assert shown["sequence_fallbacks"] == 3 and "sequence_repeats" not in shown
    assert shown["loss"] == shown["unlikelihood_loss"]


def test_token_level_values_are_averaged_over_token_level_updates(lm_task):
    model, sample = looping(build_lm, lm_task), lm_batch(lm_task)
    criterion = build_criterion(lm_task, **SEQUENCE | {"sequence_share": 0.5})
    logs = [train_step(lm_task, model, criterion, sample, update)[2] for update in range(8)]
    kinds = [log["sequence_tokens"] > 0 for log in logs]
    assert any(kinds) and not all(kinds)
    shown, one = meters_of(criterion, logs), meters_of(criterion, [logs[kinds.index(False)]])
    for key in ("nll_loss", "unlikelihood_loss", "accuracy", "novel", "ppl"):
        assert shown[key] == one[key], key
    total = sum(log["loss"].item() for log in logs) / sum(log["sample_size"] for log in logs) / math.log(2)
    assert shown["loss"] == pytest.approx(total, abs=1e-3)


def test_workers_can_sum_whatever_kinds_of_batches_they_have(lm_task):
    """fairseq joins the workers' values in the log's order, tensors and numbers apart, and adds by place."""
    model, sample = looping(build_lm, lm_task), lm_batch(lm_task)
    short = SEQUENCE | {
        "sequence_prefix": 9,
        "sequence_continuation": 7,
    }  # falls back to the token-level loss
    ways = (SEQUENCE, short, SEQUENCE | {"sequence_share": 1e-9})
    logs = [train_step(lm_task, model, build_criterion(lm_task, **way), sample, 0)[2] for way in ways]
    assert [(log["sequence_tokens"] > 0, log["sequence_fallbacks"]) for log in logs] == [
        (1, 0),
        (0, 1),
        (0, 0),
    ]
    layouts = [[(key, torch.is_tensor(value)) for key, value in log.items()] for log in logs]
    assert layouts[0] == layouts[1] == layouts[2]


def test_sequence_level_updates_make_the_greedy_text_repeat_less(lm_task):
    model, sample = looping(build_gpt2, lm_task), lm_batch(lm_task)
    criterion = build_criterion(lm_task, **SEQUENCE)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    repeats = []
    for update in range(30):
        optimizer.zero_grad()
        log = train_step(lm_task, model, criterion, sample, update)[2]
        optimizer.step()
        repeats.append(meters_of(criterion, [log])["sequence_repeats"])
    assert repeats[0] > 0.5 and min(repeats[-5:]) < 0.5 * repeats[0]


# -- refusals -----------------------------------------------------------------------------------------------


def test_an_encoder_decoder_is_refused_at_its_first_batch():
    model, task = build_encoder_decoder()
    with pytest.raises(SystemExit, match=r"error: --sequence-share 1.0: .*--sequence-share 0"):
        train_step(task, model, build_criterion(task, **SEQUENCE), pair_batch(task), 0)


@BUILD
def test_a_text_longer_than_the_model_is_refused_at_its_first_batch(lm_task, build):
    settings = SEQUENCE | {"sequence_share": 1e-9, "sequence_continuation": 13}
    with pytest.raises(
        SystemExit, match=r"error: --sequence-prefix 4 and --sequence-continuation 13 .* 16 positions"
    ):
        train_step(lm_task, build(lm_task), build_criterion(lm_task, **settings), lm_batch(lm_task), 0)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"alpha": -1.0}, "--alpha -1.0"),
        ({"sequence_share": 1.5}, "--sequence-share 1.5"),
        ({"sequence_share": float("nan")}, "--sequence-share nan"),
        ({"sequence_prefix": 0}, "--sequence-prefix 0"),
        ({"sequence_prefixes": 0}, "--sequence-prefixes 0"),
        ({"sequence_ngram": 0}, "--sequence-ngram 0"),
        ({"sequence_continuation": 4}, "--sequence-continuation 4: must exceed --sequence-ngram 4"),
    ],
)
def test_a_flag_outside_its_range_ends_with_one_line(lm_task, flags, words):
    with pytest.raises(SystemExit, match=f"error: {words}"):
        build_criterion(lm_task, **flags)


@BUILD
@pytest.mark.parametrize("settings", [{}, SEQUENCE])
def test_damaged_weights_stop_before_the_update_and_name_the_samples(lm_task, build, settings):
    model = build(lm_task)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "layer_norm" in name or "ln_" in name)[0] = math.nan
    criterion = build_criterion(lm_task, **settings)
    with pytest.raises(
        (FloatingPointError, SystemExit), match=r"nan.* in update 42, sample ids \[10, 11, 12\]"
    ):
        train_step(lm_task, model, criterion, lm_batch(lm_task), 41)
    assert gradients(model) == {}
