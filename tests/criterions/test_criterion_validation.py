"""Single-token metrics in validation, by either criterion, on models with and without the fused loss."""

import pytest
import torch

from fairseq_plugin.core.single_token import WINDOWS
from tests.criterions.criterion_setup import (
    build_gpt2,
    build_lm,
    criterion_of,
    lm_batch,
    meters_of,
    train_step,
)
from tests.reference.single_token_oracle import literal_counts

NAMES = [f"{kind}_{window}" for window in WINDOWS for kind in ("rep", "wrep", "human_rep")]


@pytest.mark.parametrize("build", [build_lm, build_gpt2])
@pytest.mark.parametrize("name", ["scale_grad", "unlikelihood"])
def test_validation_logs_the_literal_metrics_of_the_whole_split(lm_task, build, name):
    model, criterion = build(lm_task).eval(), criterion_of(lm_task, name).eval()
    batches = [lm_batch(lm_task, rows=rows, steps=12, seed=rows) for rows in (2, 5, 1)]
    shown = meters_of(criterion, [lm_task.valid_step(batch, model, criterion)[2] for batch in batches])

    sums, predicted_types, target_types = {}, set(), set()
    for batch in batches:
        with torch.no_grad():
            logits = model(**batch["net_input"])[0]
        target, best = batch["target"], logits.argmax(-1)
        own = logits.gather(-1, target[..., None])
        rank = (logits > own).sum(-1) + 1
        counts = literal_counts(best.tolist(), target.tolist(), rank.tolist(), 1, WINDOWS)
        sums = {key: sums.get(key, 0) + count for key, count in counts.items()}
        predicted_types |= set(best[target != 1].tolist())
        target_types |= set(target[target != 1].tolist())
    for key in (*NAMES, "hits10"):
        assert shown[key] == pytest.approx(sums[key] / sums["num_scored"], abs=1e-4), key
    assert shown["accuracy"] == pytest.approx(sums["hits1"] / sums["num_scored"], abs=1e-4)
    assert shown["rank"] == pytest.approx(sums["rank_sum"] / sums["num_scored"], abs=1e-2)
    assert (shown["uniq"], shown["human_uniq"]) == (len(predicted_types), len(target_types))


def test_distinct_tokens_add_up_over_validation_steps_as_the_trainer_runs_them(lm_task):
    """One call of ``reduce_metrics`` per batch, all inside the aggregation of one validation."""
    from fairseq.logging import metrics

    model, criterion = build_lm(lm_task).eval(), criterion_of(lm_task, "scale_grad").eval()
    logs = [lm_task.valid_step(lm_batch(lm_task, seed=seed), model, criterion)[2] for seed in range(3)]
    for _ in range(2):  # a second validation starts anew
        with metrics.aggregate(new_root=True) as meters:
            for log in logs:
                criterion.__class__.reduce_metrics([log])
        types = set().union(*(log["target_types"].tokens for log in logs))
        assert meters.get_smoothed_values()["human_uniq"] == len(types)
        saved = {key for _, key, *_ in meters.state_dict()}  # fairseq could not load a meter of ours
        assert "rep_128" in saved and not {"uniq", "human_uniq"} & saved


def test_with_several_processes_distinct_tokens_are_left_out(lm_task, monkeypatch):
    model, criterion = build_lm(lm_task).eval(), criterion_of(lm_task, "scale_grad").eval()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    log = lm_task.valid_step(lm_batch(lm_task), model, criterion)[2]
    shown = meters_of(criterion, [log])
    assert "uniq" not in shown and "human_uniq" not in shown and "rep_128" in shown
    assert all(torch.is_tensor(value) or type(value) in (int, float) for value in log.values())


@pytest.mark.parametrize("name", ["scale_grad", "unlikelihood"])
def test_training_neither_computes_nor_logs_them(lm_task, name):
    model, criterion = build_gpt2(lm_task), criterion_of(lm_task, name)
    log = criterion(model, lm_batch(lm_task))[2]
    assert not {"rank_sum", "predicted_types", *NAMES} & set(log)


@pytest.mark.parametrize("name", ["scale_grad", "unlikelihood"])
def test_a_validation_batch_of_padding_logs_no_nonsense(lm_task, name):
    model, criterion = build_gpt2(lm_task).eval(), criterion_of(lm_task, name).eval()
    batch = lm_batch(lm_task)
    batch["target"], batch["ntokens"] = torch.full_like(batch["target"], 1), 0
    shown = meters_of(criterion, [lm_task.valid_step(batch, model, criterion)[2]])
    assert shown["rep_16"] == shown["uniq"] == shown["human_uniq"] == 0


def test_damaged_weights_stop_the_validation_and_nothing_is_said_that_is_not_so(lm_task):
    """In validation the weights have changed; in training, after earlier batches, they have not."""
    model, criterion = build_lm(lm_task).eval(), criterion_of(lm_task, "scale_grad").eval()
    batch, before = lm_batch(lm_task), {name: p.detach().clone() for name, p in model.named_parameters()}
    poisoned = next(p for name, p in model.named_parameters() if "layer_norm" in name)

    def message():
        with pytest.raises(FloatingPointError) as error:
            lm_task.valid_step(batch, model, criterion.eval())
        return str(error.value)

    with torch.no_grad():
        poisoned[0] = torch.nan
    assert "nan in validation, sample ids [10, 11, 12]: the weights as they are now give it" in message()
    with torch.no_grad():
        poisoned[0] = before[next(name for name, p in model.named_parameters() if p is poisoned)][0]
    train_step(lm_task, model, criterion, batch, update=6)  # the first batch of --update-freq 2
    with torch.no_grad():
        poisoned[0] = torch.nan
    with pytest.raises(FloatingPointError, match="in update 7, .* before this update changed the weights"):
        train_step(lm_task, model, criterion, batch, update=6)
    for name, parameter in model.named_parameters():
        assert parameter is poisoned or torch.equal(parameter, before[name])
    found = message()
    assert "nan in validation after update 7, sample ids [10, 11, 12]" in found and "before" not in found
