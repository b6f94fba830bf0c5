"""``--repetition-dropout``: which n-grams are dropped depends on seed, update, text and layer alone."""

import pytest
import torch
from fairseq import models
from omegaconf import OmegaConf

from fairseq_plugin.models.repetition_dropout import RepetitionDropout
from tests.criterions.criterion_setup import build_gpt2, build_lm_task, criterion_of, lm_batch, train_step
from tests.models.gpt2_setup import PAD, SYMBOLS, TINY, build, tokens, write_dictionary


def dropper(rate=0.5, n=2, num_layers=3, seed=7, update=4):
    module = RepetitionDropout(rate, n, num_layers, seed, PAD)
    module.set_num_updates(update)
    return module


def repeating(rows=4, length=24, seed=0):
    return torch.randint(4, 8, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_a_text_is_masked_alike_in_every_batch():
    texts = repeating()
    together = dropper()(texts)
    padded = torch.cat([texts, torch.full((4, 5), PAD)], dim=1)
    assert torch.equal(dropper()(padded)[:, :, :24], together)
    for b in range(4):
        assert torch.equal(dropper()(texts[[b]])[:, 0], together[:, b])
    assert torch.equal(dropper()(texts.flip(0)).flip(1), together)


def test_seed_update_text_and_layer_each_change_what_is_dropped():
    texts = repeating()
    masked = dropper()(texts)
    assert not torch.equal(masked[0], masked[1]) and not torch.equal(masked[1], masked[2])
    assert not torch.equal(masked, dropper(update=5)(texts))
    assert not torch.equal(masked, dropper(seed=8)(texts))


def test_an_ngram_that_comes_back_is_dropped_with_the_given_probability():
    text = torch.tensor([[4, 5, 6, 4, 5, 7]])  # "4 5" alone comes back
    num_dropped = sum(dropper(0.3, num_layers=20, update=u)(text)[:, 0, 0].sum().item() for u in range(300))
    assert num_dropped / 6000 == pytest.approx(0.3, abs=5 * (0.21 / 6000) ** 0.5)
    masked = dropper(1.0)(text)
    assert masked[:, 0].tolist() == [[True, True, False, True, True, False]] * 3


def test_nothing_is_dropped_in_evaluation_without_a_rate_or_in_short_texts():
    assert dropper().eval()(repeating()) is None
    assert dropper(0.0)(repeating()) is None
    assert dropper()(repeating(length=2)) is None


@pytest.fixture
def data(tmp_path):
    return write_dictionary(tmp_path / "data", SYMBOLS)


def test_the_flag_changes_training_alone(data):
    plain, _, _ = build(data, *TINY, "--dropout", 0)
    model, _, _ = build(data, *TINY, "--dropout", 0, "--repetition-dropout", 1.0, "--repetition-ngram", 1)
    text = tokens(2, 12)
    text[:, 5:] = text[:, :7]
    assert torch.equal(model(text)[0], plain(text)[0])
    dropped = model.train()(text)[0]
    assert not torch.equal(dropped, plain.train()(text)[0]) and torch.isfinite(dropped[..., 4:34]).all()
    assert plain.state_dict().keys() == model.state_dict().keys()


def test_rate_zero_leaves_the_bits_of_a_training_step_as_they_were():
    task = build_lm_task()
    losses = []
    for changes in ({}, {"repetition_dropout": 0.0, "repetition_ngram": 3}):
        torch.manual_seed(3)
        model = build_gpt2(task, dropout=0.1, **changes)
        criterion = criterion_of(task, "scale_grad", gamma=0.5)
        losses.append(train_step(task, model, criterion, lm_batch(task), 0)[0])
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("scale_grad", {"gamma": 0.2}),
        ("unlikelihood", {"seed": 1}),
        ("contrastive_token", {}),
        ("ditto", {"seed": 1}),
    ],
)
def test_every_criterion_goes_with_it_and_the_trainers_update_decides(name, more):
    task = build_lm_task()
    sample = lm_batch(task)
    sample["net_input"]["src_tokens"] = torch.tensor([[4, 5, 6, 4, 5, 6, 4, 5]] * 3)
    model = build_gpt2(task, repetition_dropout=0.5)
    with torch.no_grad():
        for parameter in model.decoder.gpt2.h.parameters():
            parameter.mul_(20)
    criterion = criterion_of(task, name, **more)
    losses = [train_step(task, model, criterion, sample, update)[0].item() for update in (0, 1, 2, 3, 4, 0)]
    assert losses[0] == losses[5] and len(set(losses)) > 1


@pytest.mark.parametrize(("name", "value"), [("repetition_dropout", 1.5), ("repetition_ngram", 0)])
def test_a_flag_outside_its_range_ends_with_one_line(name, value):
    settings = {"_name": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 16, name: value}
    with pytest.raises(SystemExit, match=f"error: --{name.replace('_', '-')} {value}"):
        models.build_model(OmegaConf.create(settings), build_lm_task())
