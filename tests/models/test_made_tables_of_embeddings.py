"""The flags by which embeddings read features and the output has a bias: what they refuse, what they give."""

from types import SimpleNamespace

import pytest
import torch

from fairseq_plugin.core.feature_embedding import SymbolFeatures, is_made
from fairseq_plugin.core.gpt2 import GPT2, GPT2Config
from fairseq_plugin.errors import UserError
from fairseq_plugin.models.gpt2_config import make_table_of

OFF = dict(place_bumps=0, value_bumps=0, no_own_rows=False, marginal_bias=False, pretrained_model=None)


class Task:
    def symbol_features(self, place_bumps, value_bumps):
        return SymbolFeatures(torch.tensor([-1, 0, 0]), torch.ones(3, place_bumps + value_bumps))

    def log_frequencies(self):
        return torch.arange(3.0)


def made(task=None, **flags):
    gpt2 = GPT2(GPT2Config(3, 4, 8, 1, 2))
    make_table_of(SimpleNamespace(**{**OFF, **flags}), task or Task(), gpt2)
    return gpt2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (dict(place_bumps=1), "--place-bumps 1 must be at least 2"),
        (dict(place_bumps=-4), "--place-bumps -4 must be at least 2"),
        (dict(place_bumps=4, value_bumps=1), "--value-bumps 1 must be at least 2"),
        (dict(value_bumps=4), "--value-bumps 4 needs --place-bumps"),
        (dict(no_own_rows=True), "--no-own-rows needs --place-bumps"),
        (
            dict(place_bumps=4, no_own_rows=True, pretrained_model="gpt2"),
            "--no-own-rows .*--pretrained-model",
        ),
        (dict(marginal_bias=True, pretrained_model="gpt2"), "--marginal-bias .*--pretrained-model"),
    ],
)
def test_flags_that_make_no_sense_are_refused_by_name(flags, words):
    with pytest.raises(UserError, match=words):
        made(**flags)


@pytest.mark.parametrize("flags", [dict(place_bumps=4), dict(marginal_bias=True)])
def test_a_task_of_texts_has_no_such_symbols(flags):
    with pytest.raises(UserError, match="--task table_rows"):
        made(object(), **flags)


def test_flags_make_the_table_and_without_them_it_is_plain():
    assert not is_made(made().wte)
    assert is_made(made(place_bumps=4, value_bumps=2).wte)
    assert made(marginal_bias=True).ln_f.bias[-1] == 32
    kinds = [
        type(part).__name__
        for part in made(place_bumps=4, no_own_rows=True, marginal_bias=True).wte.parametrizations.weight
    ]
    assert kinds == ["FeatureEmbedding", "OutputBias"]


def test_a_config_of_an_earlier_version_has_a_plain_table():
    gpt2 = GPT2(GPT2Config(3, 4, 8, 1, 2))
    make_table_of(SimpleNamespace(pretrained_model=None), Task(), gpt2)
    assert not is_made(gpt2.wte)
