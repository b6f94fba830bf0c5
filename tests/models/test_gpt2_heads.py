"""Classification heads on ``--arch gpt2``: what sentence_prediction gets and checkpoints keep."""

import logging

import pytest
import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from tests.models.gpt2_setup import EOS, PAD, TINY, build, tokens, write_dictionary

HEAD = "sentence_classification_head"
SYMBOLS = [
    str(number) for number in range(60)
]  # with fairseq's own 64: the added <mask> needs another block of rows


def build_classifier(data, *flags, classes=3, seed=2):
    """The model that ``--task sentence_prediction`` starts from, in evaluation mode."""
    write_dictionary(data / "input0", SYMBOLS)
    write_dictionary(data / "label", ["no", "yes", "maybe"])
    parser = options.get_training_parser()
    words = [
        data,
        "--task",
        "sentence_prediction",
        "--criterion",
        "sentence_prediction",
        "--num-classes",
        classes,
    ]
    args = options.parse_args_and_arch(parser, [str(word) for word in (*words, "--cpu", *TINY, *flags)])
    cfg = convert_namespace_to_omegaconf(args)
    torch.manual_seed(seed)
    task = tasks.setup_task(cfg.task)
    return task.build_model(cfg.model).eval(), task, cfg


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_text_is_classified_by_its_last_token_whatever_the_padding(data, side):
    model, _, _ = build_classifier(data)
    rows = [tokens(1, length, seed=length)[0] for length in (3, 12, 1)]
    padded_BT = torch.full((3, 12), PAD)
    for row, text in enumerate(rows):
        padded_BT[row, slice(12 - len(text), None) if side == "left" else slice(len(text))] = text
    logits_BC, _ = model(padded_BT, src_lengths=None, features_only=True, classification_head_name=HEAD)
    assert logits_BC.shape == (3, 3)
    for row, text in enumerate(rows):
        hidden_TD = model.extract_features(text.unsqueeze(0))[0][0]
        alone_C = model.classification_heads[HEAD].out(hidden_TD[-1])
        torch.testing.assert_close(logits_BC[row], alone_C, atol=1e-5, rtol=1e-5)


def test_every_weight_but_the_unused_ones_learns(data):
    model, task, cfg = build_classifier(data)
    criterion = tasks.FairseqTask.build_criterion(task, cfg.criterion)
    sample = {
        "net_input": {"src_tokens": tokens(4, 9), "src_lengths": torch.full((4,), 9)},
        "target": torch.tensor([[0], [2], [1], [0]]), "ntokens": 36, "nsentences": 4,
    }  # fmt: skip
    loss, sample_size, log = criterion(model.train(), sample)
    loss.backward()
    assert sample_size == 4 and 0 <= log["ncorrect"] <= 4
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_dropout_goes_before_the_head_in_training_only(data):
    model, _, _ = build_classifier(data, "--dropout", "0.5")
    head, hidden_BD = model.classification_heads[HEAD], torch.randn(6, 32)
    assert torch.equal(head(hidden_BD), head(hidden_BD))
    head.train()
    assert not torch.equal(head(hidden_BD), head(hidden_BD))


def test_a_language_model_becomes_a_classifier_and_back(data, tmp_path, caplog):
    language_model, _, _ = build(write_dictionary(tmp_path / "lm", SYMBOLS))
    classifier, _, _ = build_classifier(data)
    assert language_model.decoder.gpt2.wte.weight.shape[0] == 64
    assert classifier.decoder.gpt2.wte.weight.shape[0] == 128
    head = classifier.classification_heads[HEAD].out.weight.clone()
    with caplog.at_level(logging.INFO):
        classifier.load_state_dict(state_of(language_model))
    assert f"classification head '{HEAD}' is new" in caplog.text
    assert torch.equal(classifier.classification_heads[HEAD].out.weight, head)
    assert torch.equal(classifier(tokens(2, 9))[0][..., :64], language_model(tokens(2, 9))[0])

    other, _, _ = build(tmp_path / "lm", seed=9)
    with caplog.at_level(logging.WARNING):
        other.load_state_dict(state_of(classifier))
    assert f"head '{HEAD}' is left out" in caplog.text
    assert torch.equal(other(tokens(2, 9))[0], language_model(tokens(2, 9))[0])


def test_a_classifiers_state_loads_again(data):
    classifier, _, _ = build_classifier(data)
    other, _, _ = build_classifier(data, seed=7)
    other.load_state_dict(state_of(classifier))
    arguments = {"features_only": True, "classification_head_name": HEAD}
    assert torch.equal(other(tokens(2, 9), **arguments)[0], classifier(tokens(2, 9), **arguments)[0])


def test_the_added_mask_is_no_token(data):
    model, task, _ = build_classifier(data)
    mask = task.source_dictionary.index("<mask>")
    assert mask == 64 and (model(tokens(2, 5))[0][..., mask] == -torch.inf).all()
    with pytest.raises(SystemExit, match="<mask>"):
        model(torch.tensor([[EOS, 5, mask]]), features_only=True, classification_head_name=HEAD)


def test_heads_that_do_not_fit_are_refused_by_name(data):
    model, _, _ = build_classifier(data)
    two, _, _ = build_classifier(data, classes=2)
    with pytest.raises(SystemExit, match="2 classes, the model's 3: give --num-classes 2"):
        model.load_state_dict(state_of(two))
    with pytest.raises(SystemExit, match=f"no classification head 'mood' .known: {HEAD}"):
        model(tokens(2, 5), features_only=True, classification_head_name="mood")
    with pytest.raises(SystemExit, match="this head has 3 classes, not 4"):
        model.register_classification_head(HEAD, num_classes=4)
    for name in ("", "a.b"):
        with pytest.raises(SystemExit, match="--classification-head-name"):
            model.register_classification_head(name, num_classes=2)
    model.register_classification_head(HEAD, num_classes=3)  # as it is
    with torch.no_grad():
        damaged = state_of(model)
        damaged[f"classification_heads.{HEAD}.out.bias"][0] = torch.nan
    with pytest.raises(SystemExit, match="NaN"):
        model.load_state_dict(damaged)
