"""``--compute-dtype fastest`` takes what is clearly faster and as good, says so, and keeps to it."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from fairseq_plugin.augment.jobs import fastest_dtype
from fairseq_plugin.augment.jobs.fastest_dtype import RECORD, Probe, choose, remembered_choice
from fairseq_plugin.augment.jobs.label_model import load_label_model
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.storage.dictionary import EOS, index_of_id
from scripts import generate as script


@pytest.mark.parametrize(
    ("bf16", "int8", "expected"),
    [
        (Probe(0.5, 10.05), Probe(0.4, 10.09), "int8"),
        (Probe(0.5, 10.05), Probe(0.4, 10.11), "bf16"),  # 1.1 % worse
        (Probe(0.95, 10.0), Probe(0.92, 10.0), "fp32"),  # hardly faster: not worth other texts
        (Probe(0.5, math.nan), Probe(2.0, 10.0), "fp32"),
    ],
)
def test_the_fastest_that_is_as_good_is_taken(bf16, int8, expected):
    choice = choose({"fp32": Probe(1.0, 10.0), "bf16": bf16, "int8": int8})
    assert choice.dtype == expected and str(choice).startswith(
        f"computing in {expected} (fp32: perplexity 10;"
    )


def test_perplexity_is_that_of_real_sentences_given_their_labels(parts):
    model, [*texts] = load_label_model(parts.checkpoint, parts.data), read_texts(parts.data, "valid")
    nats, tokens = 0.0, 0
    for label, text in texts:
        ids = index_of_id(model.codec)[model.codec.encode_batch([text])[0]].tolist()
        whole = torch.tensor([[*model.prompts[label], *ids, EOS]])
        with torch.no_grad():
            logits_TV = model.gpt2.logits(model.gpt2(whole[:, :-1]))[0, len(model.prompts[label]) - 1 :]
        nats += float(F.cross_entropy(logits_TV, whole[0, len(model.prompts[label]) :], reduction="sum"))
        tokens += len(ids) + 1
    found = remembered_choice(parts.checkpoint.parent / "dtype", parts.checkpoint, parts.data)
    assert found.probes["fp32"].perplexity == pytest.approx(math.exp(nats / tokens), rel=1e-4)


def test_what_was_found_is_kept_for_this_checkpoint_alone(parts, tmp_path, monkeypatch):
    first = remembered_choice(tmp_path, parts.checkpoint, parts.data)
    monkeypatch.setattr(fastest_dtype, "fastest_dtype", lambda *_: pytest.fail("measured again"))
    assert remembered_choice(tmp_path, parts.checkpoint, parts.data) == first
    monkeypatch.undo()
    stated = json.loads((tmp_path / RECORD).read_text())
    assert stated["dtype"] == first.dtype
    (tmp_path / RECORD).write_text((tmp_path / RECORD).read_text().replace(first.dtype, "int9"))
    again = remembered_choice(tmp_path, parts.checkpoint, parts.data)  # damaged: measured anew
    assert again.dtype in again.probes


def test_the_script_says_it_and_goes_on_with_it(parts, tmp_path, capsys):
    words = ["--data", parts.data, "--path", parts.checkpoint, "--to", tmp_path / "job", "--per-label", "5"]
    words = [
        str(word)
        for word in (
            *words,
            "--max-len-b",
            30,
            "--seed",
            3,
            "--temperature",
            1.3,
            "--compute-dtype",
            "fastest",
        )
    ]
    script.main(words)
    told = capsys.readouterr().out
    job = json.loads((tmp_path / "job" / "job.json").read_text())
    dtype = job["settings"]["compute_dtype"]
    assert told.startswith(f"computing in {dtype} (fp32: perplexity ") and "10 rows written" in told
    before = (tmp_path / "job" / RECORD).read_bytes()
    script.main(words)
    assert "they were there already" in capsys.readouterr().out
    assert (tmp_path / "job" / RECORD).read_bytes() == before


def test_ranks_are_told_to_name_a_dtype(parts, tmp_path):
    rank = script.Rank(0, 2)
    with pytest.raises(UserError, match="--compute-dtype fastest: ranks may find different ones; give fp32"):
        script.in_the_fastest_dtype(script.GenerateRequest(parts.data, parts.checkpoint, tmp_path, "1"), rank)
