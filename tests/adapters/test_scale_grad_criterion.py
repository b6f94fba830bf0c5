"""``--criterion scale_grad`` on stock fairseq models and on GPT-2: real models, batches and gradients."""

import logging
import math

import pytest
import torch
from fairseq import criterions, metrics, models
from fairseq.data import Dictionary
from fairseq.distributed import ModuleProxyWrapper
from fairseq.tasks.language_modeling import LanguageModelingConfig, LanguageModelingTask
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from omegaconf import OmegaConf

import fairseq_plugin  # noqa: F401  (registers)
from fairseq_plugin.core.scale_grad import scale_grad_loss
from fairseq_plugin.criterions.scale_grad import ScaleGradCriterion, ScaleGradCriterionConfig

VOCABULARY = 30
TRANSFORMER = dict(
    decoder_layers=1, decoder_embed_dim=16, decoder_input_dim=16, decoder_output_dim=16,
    decoder_ffn_embed_dim=16, decoder_attention_heads=2, share_decoder_input_output_embed=True,
    dropout=0.0, tokens_per_sample=16, max_target_positions=16,
)  # fmt: skip


def dictionary():
    words = Dictionary()
    for number in range(VOCABULARY - len(words)):
        words.add_symbol(str(number))
    return words


@pytest.fixture
def lm_task():
    return LanguageModelingTask(LanguageModelingConfig(), dictionary())


def build_lm(task, **changes):
    torch.manual_seed(0)
    settings = {"_name": "transformer_lm", **TRANSFORMER, **changes}
    return models.build_model(OmegaConf.create(settings), task)


def build_gpt2(task):
    torch.manual_seed(0)
    sizes = {"_name": "gpt2", "n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 16, "dropout": 0.0}
    return models.build_model(OmegaConf.create(sizes), task)


def build_criterion(task, **settings):
    settings = {"_name": "scale_grad", "gamma": 0.4, "sentence_avg": False, **settings}
    return criterions.build_criterion(OmegaConf.create(settings), task)


def lm_batch(task, rows=3, steps=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(4, VOCABULARY, (rows, steps), generator=generator)
    target[:, -1] = task.source_dictionary.eos()
    target[0, -2:] = task.source_dictionary.pad()
    source = torch.cat([torch.full((rows, 1), 2), target[:, :-1]], dim=1)
    lengths = torch.full((rows,), steps)
    return {
        "id": torch.arange(10, 10 + rows),
        "nsentences": rows,
        "ntokens": int((target != 1).sum()),
        "net_input": {"src_tokens": source, "src_lengths": lengths},
        "target": target,
    }


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


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
    task = TranslationTask(TranslationConfig(), dictionary(), dictionary())
    torch.manual_seed(0)
    side = dict(layers=1, embed_dim=16, ffn_embed_dim=16, attention_heads=2)
    sides = {"encoder": side, "decoder": {**side, "output_dim": 16}}
    settings = {"_name": "transformer", "dropout": 0.0, **sides}
    model = models.build_model(OmegaConf.create(settings), task)
    sample = lm_batch(task)
    sample["net_input"]["prev_output_tokens"] = sample["net_input"]["src_tokens"]
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
    expected = direct(model, sample, seen_BT=seen)
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


def meters_of(logs):
    with metrics.aggregate(new_root=True) as meters:
        ScaleGradCriterion.reduce_metrics(logs)
    return meters.get_smoothed_values()


def test_meters_are_those_of_all_batches_together(lm_task):
    model, criterion = build_lm(lm_task), build_criterion(lm_task)
    batches = [lm_batch(lm_task, rows=rows, seed=rows) for rows in (2, 5)]
    shown = meters_of([criterion(model, sample)[2] for sample in batches])
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
    loss, sample_size, logged = build_criterion(lm_task)(model, sample)
    loss.backward()
    assert loss == 0 and sample_size == 0 and all((g == 0).all() for g in gradients(model).values())
    assert meters_of([logged])["loss"] == 0


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("build", [build_lm, build_gpt2])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(lm_task, build, poison):
    model, sample, criterion = build(lm_task), lm_batch(lm_task), build_criterion(lm_task)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "layer_norm" in name or "ln_" in name)[0] = poison
    with metrics.aggregate(new_root=False):
        metrics.log_scalar("num_updates", 41, weight=0)
        with pytest.raises(FloatingPointError, match=r"loss nan.* in update 42, sample ids \[10, 11, 12\]"):
            criterion(model, sample)


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
