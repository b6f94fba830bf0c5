"""``--optimizer fused_adamw``: what decays, what a checkpoint keeps, what is refused."""

import io
import logging

import pytest
import torch
from fairseq import optim
from fairseq.dataclass.configs import FairseqConfig
from fairseq.optim.lr_scheduler import build_lr_scheduler
from omegaconf import OmegaConf

import fairseq_plugin  # noqa: F401  (registers)
from fairseq_plugin.optim.fused_adamw import parse_betas

BETAS = "(0.9, 0.95)"
SETTINGS = {"_name": "fused_adamw", "adam_betas": BETAS, "adam_eps": 1e-6, "weight_decay": 0.1, "lr": [0.01]}


def network(dtype=torch.float32):
    torch.manual_seed(0)
    layers = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 7)
    return torch.nn.Sequential(*layers).to(dtype)


def build(model, **changes):
    return optim.build_optimizer(OmegaConf.create(SETTINGS | changes), list(model.parameters()))


def train(model, optimizer, first=0, updates=5):
    for update in range(first, first + updates):
        tokens = torch.randint(0, 7, (16,), generator=torch.Generator().manual_seed(update))
        optimizer.zero_grad()
        optimizer.backward(torch.nn.functional.cross_entropy(model(tokens), tokens.flip(0)))
        optimizer.clip_grad_norm(1.0)
        optimizer.step()


def weights(model):
    return [p.detach().clone() for p in model.parameters()]


def test_updates_are_those_of_torchs_adamw_with_decay_on_matrices_only():
    ours, theirs = network(), network()
    train(ours, build(ours))
    groups = [
        {"params": [p for p in theirs.parameters() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in theirs.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    plain = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-6, foreach=False)
    for update in range(5):
        tokens = torch.randint(0, 7, (16,), generator=torch.Generator().manual_seed(update))
        plain.zero_grad()
        torch.nn.functional.cross_entropy(theirs(tokens), tokens.flip(0)).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        plain.step()
    for a, b in zip(weights(ours), weights(theirs)):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_biases_and_layer_norms_do_not_decay():
    model = network()
    optimizer = build(model, weight_decay=0.5, lr=[1.0])
    before = weights(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name_parameter, old in zip(model.named_parameters(), before):
        name, parameter = name_parameter
        expected = old * 0.5 if parameter.dim() >= 2 else old
        assert torch.allclose(parameter, expected), name


def test_the_fused_kernel_is_used():
    assert all(group["fused"] for group in build(network()).param_groups)


def test_without_a_fused_kernel_the_plain_one_is_used_and_told(caplog):
    model = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))])
    with caplog.at_level(logging.WARNING):
        optimizer = build(model)
    assert "no fused AdamW" in caplog.text and not optimizer.param_groups[0]["fused"]
    model[0].grad = torch.ones_like(model[0])
    optimizer.step()
    assert (model[0] != 1).all()


def test_a_run_resumed_from_a_checkpoint_is_bit_equal():
    straight, resumed = network(), network()
    optimizer = build(straight)
    train(straight, optimizer, updates=10)
    first = build(resumed)
    train(resumed, first, updates=5)
    stored = io.BytesIO()
    torch.save({"model": resumed.state_dict(), "last_optimizer_state": first.state_dict()}, stored)
    stored.seek(0)
    checkpoint = torch.load(stored, weights_only=True)
    again = network()
    again.load_state_dict(checkpoint["model"])
    second = build(again)
    second.load_state_dict(checkpoint["last_optimizer_state"])
    train(again, second, first=5, updates=5)
    assert all(torch.equal(a, b) for a, b in zip(weights(straight), weights(again)))


def test_a_checkpoint_of_the_plain_kernel_continues_with_the_fused_one():
    model = network()
    optimizer = build(model)
    train(model, optimizer)
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["fused"] = None
    fresh = build(model)
    fresh.load_state_dict(state)
    assert all(group["fused"] for group in fresh.param_groups)
    train(model, fresh, first=5)


def test_overrides_of_the_decay_leave_biases_alone():
    model = network()
    optimizer = build(model)
    optimizer.load_state_dict(optimizer.state_dict(), {"weight_decay": 0.3, "lr": 0.5})
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]


def test_another_optimizers_checkpoint_is_refused():
    model = network()
    foreign = torch.optim.Adam(model.parameters())
    with pytest.raises(SystemExit, match="error: --restore-file.*--reset-optimizer"):
        build(model).load_state_dict(foreign.state_dict())


def test_learning_rate_schedules_reach_every_group():
    optimizer = build(network())
    schedule = OmegaConf.create(
        {"_name": "inverse_sqrt", "warmup_updates": 10, "warmup_init_lr": -1.0, "lr": [0.01]}
    )
    scheduler = build_lr_scheduler(schedule, optimizer)
    scheduler.step_update(5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.005])
    assert optimizer.get_lr() == pytest.approx(0.005)


def mixed_precision(**flags):
    cfg = OmegaConf.structured(FairseqConfig())
    OmegaConf.set_struct(cfg, False)
    cfg.optimizer = SETTINGS
    cfg.distributed_training.distributed_world_size = 1
    for name, value in flags.items():
        cfg.common[name] = value
    return cfg


def test_bf16_training_keeps_float32_weights_of_the_same_shapes():
    model = network(torch.bfloat16)
    optimizer = optim.FP16Optimizer.build_optimizer(mixed_precision(bf16=True), list(model.parameters()))
    decaying = list(optimizer.fp32_optimizer.param_groups[0]["params"])
    assert all(p.dtype == torch.float32 and p.dim() == 2 for p in decaying) and len(decaying) == 3
    before = weights(model)
    train(model, optimizer)
    assert not any(torch.equal(a, b) for a, b in zip(before, weights(model)))


def test_memory_efficient_half_precision_is_refused():
    model = network(torch.bfloat16)
    with pytest.raises(ValueError, match="Unsupported optimizer"):
        optim.MemoryEfficientFP16Optimizer.build_optimizer(
            mixed_precision(bf16=True, memory_efficient_bf16=True), list(model.parameters())
        )


@pytest.mark.parametrize("value", ["(0.9, 0.95)", (0.9, 0.95), [0.9, 0.95], OmegaConf.create([0.9, 0.95])])
def test_betas_are_read_as_fairseq_writes_them(value):
    assert parse_betas(value) == (0.9, 0.95)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"adam_betas": "(0.9)"}, "--adam-betas"),
        ({"adam_betas": "(0.9, 1.0)"}, "--adam-betas"),
        ({"adam_betas": "(0.9, 0.9, 0.9)"}, "--adam-betas"),
        ({"adam_betas": "__import__('os').getcwd()"}, "--adam-betas"),
        ({"adam_eps": -1.0}, "--adam-eps"),
        ({"weight_decay": -0.1}, "--weight-decay"),
        ({"weight_decay": float("nan")}, "--weight-decay"),
    ],
)
def test_flags_out_of_range_end_with_one_line(changes, flag):
    with pytest.raises(SystemExit, match=f"error: {flag}"):
        build(network(), **changes)
