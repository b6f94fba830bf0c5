"""CTranslate2 reads an exported folder, and its greedy text is transformers' and ours."""

import pytest
import torch
from transformers import AutoTokenizer, GPT2LMHeadModel

from fairseq_plugin.pretrained.export import export_checkpoint

ctranslate2 = pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")


@pytest.mark.parametrize("prompt", ["<|endoftext|>", "<|endoftext|>a full", "<|endoftext|>the plot is"])
def test_it_converts_and_gives_the_same_greedy_text(tmp_path, checkpoint, data, prompt):
    export_checkpoint(checkpoint, data, tmp_path / "hf")
    converter = ctranslate2.converters.TransformersConverter(str(tmp_path / "hf"))
    generator = ctranslate2.Generator(converter.convert(str(tmp_path / "ct2")))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    tokens = tokenizer.convert_ids_to_tokens(tokenizer.encode(prompt))
    (found,) = generator.generate_batch(
        [tokens], max_length=10, sampling_topk=1, include_prompt_in_result=False
    )
    model = GPT2LMHeadModel.from_pretrained(tmp_path / "hf").eval()
    ids = torch.tensor([tokenizer.encode(prompt)])
    expected = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=10, do_sample=False, pad_token_id=0
    )
    new = expected[0, ids.shape[1] :].tolist()
    if tokenizer.eos_token_id in new:  # CTranslate2 leaves the end token out
        new = new[: new.index(tokenizer.eos_token_id)]
    assert found.sequences_ids[0] == new
