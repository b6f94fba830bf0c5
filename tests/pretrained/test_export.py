"""A checkpoint becomes a Hugging Face folder that serves the same model, and comes back bit by bit."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, GPT2LMHeadModel

from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.export import export_checkpoint
from fairseq_plugin.pretrained.hf_folder import load_weights
from fairseq_plugin.pretrained.vocabulary import read_symbols
from fairseq_plugin.text.codec import gpt2_codec, load_codec
from tests.pretrained.conftest import SIZES, write_checkpoint, write_data
from tests.reference.gpt2_reference import hugging_face_model

EOS = 2


def imported(folder, data, end_id=None):
    symbols = read_symbols(data / "dict.txt")
    network = GPT2(GPT2Config(vocab_size=len(symbols), **SIZES)).eval()
    load_weights(folder, network, symbols, EOS, end_id=end_id, complete=True)
    return network


def test_transformers_computes_the_same_from_the_exported_folder(tmp_path, checkpoint, data, network, codec):
    written = export_checkpoint(checkpoint, data, tmp_path / "hf")
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path / "hf").eval()
    assert written.config.vocab_size == theirs.config.vocab_size == codec.num_ids + 1
    assert written.config.eos_token_id == theirs.config.eos_token_id == codec.num_ids
    assert theirs.generation_config.eos_token_id == codec.num_ids
    assert written.num_parameters == theirs.num_parameters()
    ids_BT = torch.randint(codec.num_ids + 1, (3, 20))
    ours_BT = torch.where(ids_BT == codec.num_ids, EOS, ids_BT + 4)
    columns = torch.tensor([*range(4, 4 + codec.num_ids), EOS])
    with torch.no_grad():
        logits_BTV = network.logits(network(ours_BT))[..., columns]
        torch.testing.assert_close(logits_BTV, theirs(ids_BT).logits, atol=1e-4, rtol=0)


def test_export_import_export_is_bit_exact(tmp_path, checkpoint, data, network):
    export_checkpoint(checkpoint, data, tmp_path / "first")
    back = imported(tmp_path / "first", data)
    for name, value in network.state_dict().items():
        assert torch.equal(value, back.state_dict()[name]), name
    export_checkpoint(write_checkpoint(tmp_path / "again.pt", back, data), data, tmp_path / "second")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("config.json", "vocab.json", "merges.txt", "tokenizer.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_folder_of_transformers_comes_back_bit_by_bit(tmp_path, data, codec):
    theirs = hugging_face_model(GPT2Config(vocab_size=codec.num_ids + 1, **SIZES))
    theirs.save_pretrained(tmp_path / "theirs")
    network = imported(tmp_path / "theirs", data)
    export_checkpoint(write_checkpoint(tmp_path / "checkpoint.pt", network, data), data, tmp_path / "ours")
    theirs, ours = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_the_exported_tokenizer_gives_the_codecs_ids(tmp_path, checkpoint, data, codec):
    export_checkpoint(checkpoint, data, tmp_path / "hf")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert tokenizer.is_fast and tokenizer.eos_token_id == tokenizer.bos_token_id == codec.num_ids
    assert tokenizer.model_max_length == SIZES["n_positions"]
    for text in ("a tidy plot", " two  spaces\tand\nlines ", "naïve 日本 🙂", "</s>", ""):
        assert tokenizer.encode(text) == codec.encode(text)
        assert tokenizer.decode(codec.encode(text)) == text
    assert tokenizer.encode("wit<|endoftext|>")[-1] == codec.num_ids
    again = load_codec(tmp_path / "hf")  # data can be prepared with the exported tokenizer
    assert again.encode("a tidy plot") == codec.encode("a tidy plot") and again.end_id == codec.num_ids


def test_gpt2s_own_tokenizer_keeps_its_end_token(tmp_path, shared_data):
    codec = gpt2_codec(shared_data / "gpt2-bpe" / "encoder.json", shared_data / "gpt2-bpe" / "vocab.bpe")
    data = write_data(tmp_path / "data", codec, range(50256))
    network = GPT2(GPT2Config(vocab_size=50260, **SIZES)).eval()
    written = export_checkpoint(write_checkpoint(tmp_path / "c.pt", network, data), data, tmp_path / "hf")
    assert (written.config.vocab_size, written.config.eos_token_id) == (50257, 50256)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert tokenizer.encode("Hello world<|endoftext|>") == [15496, 995, 50256]
    assert torch.equal(
        imported(tmp_path / "hf", data, end_id=50256).wte.weight[4:50260], network.wte.weight[4:50260]
    )


def test_the_folder_is_complete_or_not_there(tmp_path, checkpoint, data, monkeypatch):
    from fairseq_plugin.pretrained import export

    def full_disk(*arguments, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_tokenizer", full_disk)
    with pytest.raises(OSError, match="No space"):
        export_checkpoint(checkpoint, data, tmp_path / "hf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "data"]
    monkeypatch.undo()
    export_checkpoint(checkpoint, data, tmp_path / "hf")
    assert {path.name for path in (tmp_path / "hf").iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "vocab.json", "merges.txt",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "README.md", "checksums.json",
    }  # fmt: skip
    with pytest.raises(UserError, match="exists already"):
        export_checkpoint(checkpoint, data, tmp_path / "hf")


def test_ids_without_weights_are_refused(tmp_path, network, codec):
    data = write_data(tmp_path / "pruned", codec, [*range(100), *range(101, codec.num_ids), "madeupword0000"])
    with pytest.raises(UserError, match=r"no symbol for 1 of the tokenizer's .*first: 100"):
        export_checkpoint(write_checkpoint(tmp_path / "c.pt", network, data), data, tmp_path / "hf")


def test_what_is_no_checkpoint_of_these_data_is_refused(
    tmp_path, checkpoint, data, network, codec, other_codec
):
    foreign = write_data(tmp_path / "foreign", other_codec, range(codec.num_ids))
    shuffled = write_data(tmp_path / "shuffled", codec, reversed(range(codec.num_ids)))
    torch.save({"model": {"encoder.weight": torch.zeros(3)}, "cfg": {"model": {}}}, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "torn.pt").write_bytes(checkpoint.read_bytes()[:5000])
    with torch.no_grad():
        network.ln_f.bias[0] = torch.nan
    write_checkpoint(tmp_path / "nan.pt", network, data)
    for path, folder, message in (
        (checkpoint, shuffled, "another dictionary"),
        (checkpoint, foreign, "another tokenizer of the same size"),
        (checkpoint, tmp_path, "no dictionary"),
        (tmp_path / "other.pt", data, "names the model None"),
        (tmp_path / "list.pt", data, "not a fairseq checkpoint"),
        (tmp_path / "torn.pt", data, "damaged or cut short"),
        (tmp_path / "nan.pt", data, "decoder.gpt2.ln_f.bias"),
        (tmp_path / "missing.pt", data, "there is no checkpoint"),
    ):
        with pytest.raises(UserError, match=message):
            export_checkpoint(path, folder, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


@pytest.mark.slow
def test_the_script_exports_and_checks(tmp_path, checkpoint, data, run_script, one_line_error):
    done = run_script("convert_gpt2.py", "export", checkpoint, "--data", data, "--to", tmp_path / "hf")
    assert "2 layers x 16, 2 heads, 24 positions, 291 tokens (end token 290)" in done.stdout
    done = run_script("convert_gpt2.py", "check", tmp_path / "hf")
    assert "all finite" in done.stdout and "all checksums hold" in done.stdout
    values = json.loads((tmp_path / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**values, "n_layer": 3}))
    one_line_error(
        run_script("convert_gpt2.py", "check", tmp_path / "hf", check=False),
        "config.json is not the file that was written",
    )
