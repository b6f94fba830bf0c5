"""Import is strict and loud: every tensor of a Hugging Face folder is used, explained or refused by name."""

import hashlib
import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import config_values, read_config
from fairseq_plugin.pretrained.hf_folder import read_folder, read_sizes
from fairseq_plugin.pretrained.vocabulary import SPECIAL_SYMBOLS, read_symbols
from tests.pretrained.made_folder import CONFIG, EOS, SYMBOLS, load
from tests.reference.gpt2_reference import hugging_face_model


def change(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def reconfigure(folder, **values):
    old = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**old, **values}))


def test_rows_follow_the_dictionary_in_any_order(folder):
    symbols = [*SPECIAL_SYMBOLS, *map(str, random.Random(0).sample(range(20), 20)), "madeupword0000"]
    network, report = load(folder, symbols)
    wte_VD = load_file(folder / "model.safetensors")["transformer.wte.weight"]
    assert torch.equal(network.wte.weight[EOS], wte_VD[20])
    for index, symbol in enumerate(symbols):
        if symbol.isdigit():
            assert torch.equal(network.wte.weight[index], wte_VD[int(symbol)])
    assert not network.wte.weight[[0, 1, 3, 24]].any() and not network.wte.weight[25:].any()
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert report == (
        "21 of 21 embedding rows have a symbol; 4 symbols have no row and start at zero "
        f"(<s>, <pad>, <unk>, madeupword0000); read model.safetensors (SHA-256 {digest}); weights of "
        "this format have no checksum: compare the SHA-256 with the publisher's"
    )


def test_rows_without_a_symbol_are_counted(folder):
    symbols = [s for s in SYMBOLS if s not in ("3", "17")]
    _, report = load(folder, symbols)
    assert "19 of 21 embedding rows have a symbol; 2 have none and are left out (ids 3, 17)" in report
    with pytest.raises(UserError, match="2 of them without a symbol"):
        load(folder, symbols, complete=True)


def test_fairseqs_own_gpt2_dictionary_is_understood(shared_data):
    from fairseq_plugin.pretrained.vocabulary import banned_symbols, guess_end_id, map_table

    symbols = read_symbols(shared_data / "gpt2-bpe" / "dict.txt")
    table_map = map_table(symbols, EOS, 50256, 50257)
    assert table_map.without_symbol == [] and table_map.without_id == ["<s>", "<pad>", "<unk>", *symbols[-3:]]
    assert all(table_map.ids[symbols.index(str(i))] == i for i in range(0, 50257, 997))
    assert guess_end_id(symbols) == 50256
    banned = banned_symbols(symbols, 4, EOS, 50256)
    assert [symbols[i] for i in banned] == ["<s>", "<pad>", "<unk>", "50256", *symbols[-3:]]


def test_names_without_prefix_old_buffers_and_a_tied_head_are_accepted(folder):
    expected, _ = load(folder)

    def as_published(tensors):
        renamed = {name.removeprefix("transformer."): value for name, value in tensors.items()}
        tensors.clear()
        tensors.update(renamed)
        for i in range(2):
            tensors[f"h.{i}.attn.bias"] = torch.ones(1, 1, 12, 12)
            tensors[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["lm_head.weight"] = tensors["wte.weight"].clone()

    change(folder, as_published)
    network, _ = load(folder)
    for name, value in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_half_precision_weights_are_widened_exactly(folder):
    change(folder, lambda t: t.update({name: value.half() for name, value in t.items()}))
    network, _ = load(folder)
    assert network.wpe.weight.dtype == torch.float32
    assert torch.equal(
        network.wpe.weight, load_file(folder / "model.safetensors")["transformer.wpe.weight"].float()
    )


@pytest.mark.parametrize(
    "edit, named",
    [
        (lambda t: t.pop("transformer.h.1.ln_2.bias"), "h.1.ln_2.bias"),
        (lambda t: t.pop("transformer.wte.weight"), "wte.weight"),
        (lambda t: t.update({"transformer.h.2.ln_1.bias": torch.zeros(8)}), "h.2.ln_1.bias"),
        (lambda t: t.update({"score.weight": torch.zeros(2, 8)}), "score.weight"),
        (lambda t: t.update({"transformer.wpe.weight": torch.zeros(13, 8)}), "wpe.weight.*13, 8.*12, 8"),
        (lambda t: t.update({"transformer.h.0.mlp.c_fc.weight": torch.zeros(32, 8)}), "h.0.mlp.c_fc.weight"),
        (lambda t: t["transformer.h.0.attn.c_attn.bias"].fill_(torch.nan), "h.0.attn.c_attn.bias.*NaN"),
        (lambda t: t["transformer.wte.weight"][20, 3].fill_(torch.inf), "wte.weight.*infinite"),
        (
            lambda t: t.update({"transformer.ln_f.bias": torch.zeros(8, dtype=torch.int64)}),
            "ln_f.bias.*int64",
        ),
        (lambda t: t.update({"lm_head.weight": torch.zeros(21, 8)}), "lm_head.weight.*differs"),
        (lambda t: t.update({"lm_head.weight": torch.zeros(20, 8)}), "lm_head.weight.*shape"),
        (lambda t: t.update({"wpe.weight": torch.zeros(12, 8)}), "wpe.weight.*twice"),
    ],
)
def test_a_tensor_out_of_order_is_named(folder, edit, named):
    change(folder, edit)
    with pytest.raises(UserError, match=named):
        load(folder)


@pytest.mark.parametrize(
    "values, named",
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"reorder_and_upcast_attn": True}, "reorder_and_upcast_attn"),
        ({"scale_attn_weights": False}, "scale_attn_weights"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"n_inner": 33}, "n_inner is 33"),
        ({"n_head": 3}, "n_embd 8 is not a multiple of n_head 3"),
        ({"n_layer": 0}, "n_layer"),
        ({"n_layer": 2_000_000_000}, "n_layer must be .* 1,000, not 2000000000"),
        ({"n_embd": "8"}, "n_embd"),
        ({"n_positions": True}, "n_positions"),
        ({"vocab_size": 1e9}, "vocab_size"),
        ({"layer_norm_epsilon": -1.0}, "layer_norm_epsilon"),
        ({"eos_token_id": 21}, "eos_token_id 21"),
        ({"eos_token_id": [20]}, "eos_token_id"),
    ],
)
def test_a_model_that_we_do_not_compute_is_refused_by_key(folder, values, named):
    reconfigure(folder, **values)
    with pytest.raises(UserError, match=named):
        load(folder)


def test_the_written_config_reads_back(tmp_path, folder):
    config = read_config(folder)
    (tmp_path / "config.json").write_text(json.dumps(config_values(config)))
    assert read_config(tmp_path) == config
    assert read_sizes(folder) == {
        "n_layer": 2,
        "n_head": 2,
        "n_embd": 8,
        "n_positions": 12,
        "layer_norm_epsilon": 1e-5,
    }


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, "\x00", '"gpt2"'])
def test_a_damaged_config_is_named(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config.json"):
        load(folder)


def test_missing_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds none of model.safetensors, pytorch_model.bin"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"there is no .*config.json"):
        load(folder)


def test_another_tokenizers_dictionary_is_refused(folder):
    with pytest.raises(UserError, match="2 token ids beyond the model's 21 rows"):
        load(folder, [*SYMBOLS, "21", "22"])
    with pytest.raises(UserError, match="id 20 is its end token, but an ordinary token"):
        load(folder, [*SYMBOLS, "20"])
    with pytest.raises(UserError, match="end token has id 20, the data's tokenizer has 19"):
        load(folder, end_id=19)
    with pytest.raises(UserError, match="not token ids"):
        load(folder, [*SPECIAL_SYMBOLS, "hello", "world"])


def test_checking_reads_every_tensor(folder):
    config, tensors = read_folder(folder)
    assert config.vocab_size == 21
    assert sum(tensors[name].numel() for name in tensors) == hugging_face_model(CONFIG).num_parameters()
