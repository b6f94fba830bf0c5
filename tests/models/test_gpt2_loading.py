"""``--arch gpt2`` before training and when a checkpoint is loaded: what does not go together is refused."""

import argparse
import logging

import pytest
import torch
from fairseq import checkpoint_utils, tasks
from fairseq.data import Dictionary
from omegaconf import OmegaConf

from fairseq_plugin.core.gpt2 import GPT2Config
from fairseq_plugin.models import gpt2_config
from fairseq_plugin.text.codec import train_bytes_codec
from tests.models.gpt2_setup import EOS, SYMBOLS, TINY, build, configure, tokens, write_dictionary
from tests.reference.gpt2_reference import hugging_face_model


@pytest.fixture
def data(tmp_path):
    return write_dictionary(tmp_path / "data", SYMBOLS)


@pytest.mark.parametrize(
    "flags, length, named",
    [
        (["--add-bos-token"], 40, "--add-bos-token"),
        ([], 41, "--tokens-per-sample 41 is more than the model's 40 positions .--n-positions."),
        (["--n-head", "5"], 40, "--n-embd: n_embd 32 must be a multiple of n_head 5"),
        (["--dropout", "1"], 40, "--dropout"),
        (["--pretrained-model", "gpt2"], 40, "convert_gpt2.py fetch gpt2 --to gpt2"),
        (["--pretrained-model", "no/such/folder"], 40, "no folder no/such/folder"),
    ],
)
def test_what_cannot_work_is_refused_before_training(data, flags, length, named):
    with pytest.raises(SystemExit, match=named):
        build(data, *TINY, *flags, length=length)


def test_eval_lm_and_generate_refuse_blocks_that_do_not_fit(data):
    model, _, _ = build(data)
    cfg = configure(data, *TINY, length=512)
    with pytest.raises(SystemExit, match="--tokens-per-sample 512"):
        model.prepare_for_inference_(cfg)
    cfg.interactive.buffer_size = 1  # fairseq-interactive reads lines, not blocks
    model.prepare_for_inference_(cfg)


def saved_state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_state_survives_a_weights_only_file(data, tmp_path):
    model, _, _ = build(data)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other, _, _ = build(data, seed=9)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(model(tokens(2, 9))[0], other(tokens(2, 9))[0])


def test_a_checkpoint_of_another_tokenizer_of_the_same_size_is_refused(data):
    """A stock task, over folders that hold a tokenizer; older checkpoints know none, and load."""
    texts = ["to be or not to be, that is the question"] * 9
    models = []
    for one in (texts, [text[::-1] for text in texts]):
        train_bytes_codec(one, 260).save(data)
        models.append(build(data)[0])
    saved, other = saved_state(models[0]), models[1]
    with pytest.raises(SystemExit, match="another tokenizer of the same size"):
        other.load_state_dict(saved)
    saved["decoder.dictionary_fingerprint"] = saved["decoder.dictionary_fingerprint"][:3]
    other.load_state_dict(saved)
    assert other.decoder.dictionary_fingerprint.all()
    (data / "codec.json").unlink()
    build(data)[0].load_state_dict(saved_state(other))


def test_a_checkpoint_of_another_dictionary_is_refused(data, tmp_path):
    model, _, _ = build(data)
    for name, symbols, message in (
        ("longer", [*map(str, range(30)), "30", "31"], "35 symbols, the data's dictionary has 36"),
        ("reordered", [*map(str, range(30)), "madeupword0000"], "another dictionary"),
    ):
        other, _, _ = build(write_dictionary(tmp_path / name, symbols))
        with pytest.raises(SystemExit, match=message):
            other.load_state_dict(saved_state(model))


@pytest.mark.parametrize(
    "damage, named",
    [
        (lambda s: s.pop("decoder.gpt2.ln_f.bias"), "decoder.gpt2.ln_f.bias"),
        (lambda s: s.update({"decoder.gpt2.h.2.ln_1.bias": torch.zeros(32)}), "decoder.gpt2.h.2.ln_1.bias"),
        (lambda s: s["decoder.gpt2.ln_f.bias"].fill_(torch.nan), "NaN"),
        (lambda s: s.update({"decoder.gpt2.wpe.weight": torch.zeros(20, 32)}), "--n-positions"),
        (lambda s: [s.pop(name) for name in list(s) if "gpt2" in name], "another model"),
    ],
)
def test_weights_that_do_not_belong_or_are_damaged_are_named(data, damage, named):
    model, _, _ = build(data)
    state = saved_state(model)
    damage(state)
    with pytest.raises(SystemExit, match=named):
        model.load_state_dict(state)


def test_a_second_symbol_for_the_end_is_banned():
    dictionary = Dictionary()
    for number in range(50257):
        dictionary.add_symbol(str(number))
    task = argparse.Namespace(source_dictionary=dictionary)
    assert gpt2_config.end_id(task) == 50256
    task.codec_end_id = None  # a task that knows better
    assert gpt2_config.end_id(task) is None


def test_bf16_is_left_out_with_a_warning_where_the_machine_cannot(data, monkeypatch, caplog):
    monkeypatch.setattr(gpt2_config, "why_not_bf16", lambda device: "this CPU has no bfloat16 instructions")
    with caplog.at_level(logging.WARNING):
        model, _, _ = build(data, *TINY, "--compute-dtype", "bf16")
    assert "--compute-dtype bf16 is ignored" in caplog.text and "no bfloat16 instructions" in caplog.text
    assert model.decoder.gpt2.compute_dtype == torch.float32


@pytest.mark.skipif(gpt2_config.why_not_bf16("cpu") is not None, reason="no bfloat16 on this CPU")
def test_bf16_decodes_incrementally_as_in_full(data):
    model, _, _ = build(data, *TINY, "--compute-dtype", "bf16")
    assert model.decoder.gpt2.compute_dtype == torch.bfloat16
    tokens_BT, state = tokens(3, 20), {}
    full_BTV = model(tokens_BT)[0].detach()
    for time in range(1, 21):
        last_BV = model(tokens_BT[:, :time], incremental_state=state)[0][:, -1].detach()
        assert last_BV.dtype == torch.float32
        finite = torch.isfinite(last_BV)
        assert (last_BV - full_BTV[:, time - 1])[finite].abs().max() < 0.05 * full_BTV[
            full_BTV > -torch.inf
        ].abs().max()


def pretrained_folder(tmp_path, **changes):
    config = GPT2Config(
        **{**{"vocab_size": 31, "n_positions": 40, "n_embd": 32, "n_layer": 3, "n_head": 4}, **changes}
    )
    model = hugging_face_model(config)
    model.save_pretrained(tmp_path / "hf")
    return tmp_path / "hf", model


def test_a_pretrained_model_decides_the_sizes_and_keeps_its_logits(data, tmp_path, caplog):
    folder, theirs = pretrained_folder(tmp_path)
    cfg = configure(data, *TINY, "--pretrained-model", folder)
    task = tasks.setup_task(cfg.task)
    with caplog.at_level(logging.INFO):
        model = task.build_model(cfg.model).eval()
    assert "decides the sizes, not --arch gpt2_tiny: n_layer 3 (not 2)" in caplog.text
    assert "31 of 31 embedding rows have a symbol" in caplog.text
    ids_BT = torch.randint(30, (2, 9))
    dictionary = task.source_dictionary
    ours_BT = torch.tensor([[dictionary.index(str(i)) for i in row] for row in ids_BT.tolist()])
    columns = torch.tensor([*(dictionary.index(str(i)) for i in range(30)), EOS])
    with torch.no_grad():
        torch.testing.assert_close(model(ours_BT)[0][..., columns], theirs(ids_BT).logits, atol=1e-4, rtol=0)


def test_a_checkpoint_rebuilds_its_model_without_the_pretrained_folder(data, tmp_path):
    folder, _ = pretrained_folder(tmp_path, layer_norm_epsilon=1e-3)
    cfg = configure(data, *TINY, "--pretrained-model", folder)
    model = tasks.setup_task(cfg.task).build_model(cfg.model).eval()
    for file in folder.iterdir():
        file.unlink()
    container = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)  # what fairseq's trainer saves
    state = {"args": None, "cfg": container, "model": model.state_dict(), "extra_state": {}}
    state["optimizer_history"] = [{"num_updates": 0, "lr_scheduler_state": {}}]
    torch.save(state, tmp_path / "checkpoint.pt")
    (loaded,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(tmp_path / "checkpoint.pt")])
    assert loaded.decoder.gpt2.config == model.decoder.gpt2.config
    assert torch.equal(loaded.eval()(tokens(2, 9))[0], model(tokens(2, 9))[0])


def test_a_pretrained_model_of_another_tokenizer_is_refused(data, tmp_path):
    folder, _ = pretrained_folder(tmp_path, vocab_size=20)
    with pytest.raises(SystemExit, match=r"11 token ids beyond the model's 20 rows|ordinary token"):
        build(data, *TINY, "--pretrained-model", folder)


def test_a_configuration_of_an_earlier_version_still_builds(data):
    """Its checkpoint does not know the flags that have come since."""
    model, task, cfg = build(data)
    older = OmegaConf.create({key: value for key, value in cfg.model.items() if "repetition" not in key})
    OmegaConf.set_struct(older, True)
    other = task.build_model(older)
    assert other.state_dict().keys() == model.state_dict().keys()
