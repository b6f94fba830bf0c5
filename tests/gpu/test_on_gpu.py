"""The same promises on a GPU; skipped, with the reason, where there is none."""

import pytest
import torch

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.keyed_random import keyed_uniform
from fairseq_plugin.sampling.pool import SamplePool
from fairseq_plugin.sampling.request import DecodingRequest
from tests.core.losses import fused_scale_grad_loss, scale_grad_loss
from tests.sampling.doors import continue_prompts

pytestmark = pytest.mark.gpu

CONFIG = GPT2Config(vocab_size=500, n_positions=64, n_embd=64, n_layer=2, n_head=2, dropout=0.0)


@pytest.fixture
def models():
    torch.manual_seed(0)
    on_cpu = GPT2(CONFIG).eval()
    on_gpu = GPT2(CONFIG).eval()
    on_gpu.load_state_dict(on_cpu.state_dict())
    return on_cpu, on_gpu.cuda()


def test_logits_and_loss_are_those_of_the_cpu(models):
    tokens_BT = torch.randint(4, 500, (3, 40))
    losses = []
    for model in models:
        device = model.wte.weight.device
        hidden_BTD = model(tokens_BT.to(device))
        target_BT = tokens_BT.roll(-1, 1).to(device)
        options = {"gamma": 0.3, "ignore_index": 1}
        fused = fused_scale_grad_loss(hidden_BTD, model.wte.weight, target_BT, num_symbols=500, **options)
        plain = scale_grad_loss(model.logits(hidden_BTD), target_BT, **options)
        torch.testing.assert_close(fused.loss, plain.loss, rtol=1e-4, atol=1e-3)
        fused.loss.backward()
        losses.append((fused.loss.item(), model.wte.weight.grad.cpu()))
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-4)
    torch.testing.assert_close(losses[0][1], losses[1][1], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(top_k=20), Sampling(top_p=0.9), Sampling(temperature=0.0)]
)
def test_texts_reach_the_last_position_and_mostly_agree_with_the_cpu(models, sampling):
    prompts, ids = [[2, 10, 7], [2, 11, 12, 7]] * 16, list(range(32))
    options = {"seed": 5, "end": 2, "max_new": 60, "sampling": sampling}
    on_cpu, on_gpu = (continue_prompts(model, prompts, ids, **options) for model in models)
    assert sum(torch.equal(a.tokens, b.tokens) for a, b in zip(on_cpu, on_gpu)) >= 28


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=20), Sampling(top_p=0.9)])
def test_recorded_steps_write_what_single_steps_write(models, sampling):
    request = DecodingRequest(sampling, end=2, max_new=40, min_new=3, seed=5)
    groups = [((2, 10, 7), range(100)), ((2, 11, 12, 7), range(100, 200))]
    texts = []
    for steps_ahead in (0, 1, 4):
        pool = SamplePool(models[1], request, 4, 64, steps_ahead=steps_ahead)
        texts.append({one.sample_id: one.continuation.tokens for one in pool.run(groups)})
        assert len(texts[-1]) == 200 and (pool.counts.idle > 0) == (steps_ahead > 0)
    for other in texts[1:]:  # products of other shapes may round otherwise, and a draw may tip over
        assert sum(torch.equal(other[key], one) for key, one in texts[0].items()) >= 180


def test_random_numbers_are_those_of_the_cpu():
    ids, steps = torch.arange(10_000) * 987_654_321, torch.arange(10_000) % 64
    on_cpu = keyed_uniform((1 << 64) - 3, ids, steps)
    assert torch.equal(keyed_uniform((1 << 64) - 3, ids.cuda(), steps.cuda()).cpu(), on_cpu)


def test_bf16_training_steps_lower_the_loss():
    torch.manual_seed(0)
    model = GPT2(CONFIG, torch.bfloat16).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    tokens_BT = torch.randint(4, 500, (4, 40), device="cuda")
    losses = []
    for _ in range(20):
        loss = fused_scale_grad_loss(
            model(tokens_BT[:, :-1]),
            model.wte.weight,
            tokens_BT[:, 1:],
            gamma=0.5,
            ignore_index=1,
            num_symbols=500,
        ).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
