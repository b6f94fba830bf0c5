"""Symbols that are no tokens begin at the literal mean of what they stand for."""

import json

import pytest
import torch

from fairseq_plugin.checksums import read_checksums
from fairseq_plugin.core.feature_embedding import SymbolFeatures, read_features
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_folder import read_sizes
from fairseq_plugin.pretrained.symbol_means import load_means, means
from fairseq_plugin.pretrained.tensor_files import SAFETENSORS, open_folder
from tests.tables.made_gpt2 import made_gpt2, trained_bpe

IDS = [[], [[3]], [[1, 2, 2]], [[0], [4, 5]], [[6, 7], [8], [9, 1, 1]]]


def literal_means(wte, ids):
    rows = []
    for texts in ids:
        row = torch.zeros(wte.shape[1], dtype=torch.float64)
        for text in texts:
            for token in text:
                row += wte[token].double() / len(text) / len(texts)
        rows.append(row)
    return torch.stack(rows)


def test_a_symbol_begins_at_the_mean_of_its_texts():
    wte = torch.randn(10, 8, generator=torch.Generator().manual_seed(1))
    found = means(wte, IDS)
    torch.testing.assert_close(found.double(), literal_means(wte, IDS), atol=1e-6, rtol=0)
    assert torch.equal(found[1], wte[3]) and (found[0] == 0).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    made_gpt2(folder)
    return folder


def test_a_network_gets_the_means_and_every_other_weight_as_it_is(folder):
    codec = made_gpt2(folder)
    gpt2 = GPT2(GPT2Config(vocab_size=len(IDS), dropout=0.0, **read_sizes(folder)))
    report = load_means(folder, gpt2, codec, lambda end: IDS if end == codec.end_id else [])
    assert report.startswith("1 symbols begin at a token's embedding, 3 at a mean of several; read ")
    theirs = open_folder(folder, read_checksums(folder))
    wte = theirs["transformer.wte.weight"]
    torch.testing.assert_close(
        gpt2.wte.weight[: len(IDS)].double(), literal_means(wte, IDS), atol=1e-6, rtol=0
    )
    assert (gpt2.wte.weight[len(IDS) :] == 0).all()
    assert torch.equal(gpt2.wpe.weight, theirs["transformer.wpe.weight"])
    reading = GPT2(gpt2.config)
    read_features(reading.wte, SymbolFeatures(torch.tensor([-1, -1, 0, 0, 0]), torch.rand(5, 3)))
    load_means(folder, reading, codec, lambda end: IDS)
    assert torch.equal(reading.wte.weight, gpt2.wte.weight)
    assert torch.equal(gpt2.h[0].mlp.c_fc.weight, theirs["transformer.h.0.mlp.c_fc.weight"].t())


def test_a_folder_of_another_tokenizer_is_refused(folder, tmp_path):
    codec = made_gpt2(folder)
    gpt2 = GPT2(GPT2Config(vocab_size=len(IDS), dropout=0.0, **read_sizes(folder)))
    made_gpt2(tmp_path / "smaller", codec=trained_bpe(300))
    made_gpt2(tmp_path / "other")
    path = tmp_path / "other" / "vocab.json"
    ids = json.loads(path.read_text("utf-8"))
    ids["!"], ids["#"] = ids["#"], ids["!"]  # as many tokens, for other texts
    path.write_text(json.dumps(ids), "utf-8")
    for name in ("smaller", "other"):
        with pytest.raises(UserError, match=f"--pretrained-model .*{name}.*another tokenizer.*--from"):
            load_means(tmp_path / name, gpt2, codec, lambda end: IDS)
    (folder / SAFETENSORS).unlink()
    with pytest.raises(UserError, match=r"holds none of model\.safetensors"):
        load_means(folder, gpt2, codec, lambda end: IDS)
