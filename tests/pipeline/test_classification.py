"""fairseq's own sentence_prediction on our GPT-2, started from a language model and from a folder."""

import json
import random
import re
from types import SimpleNamespace

import pytest
import torch

from fairseq_plugin.labelled.label_folders import write_label_folders
from tests.pipeline.fixtures import MODEL
from tests.reference.gpt2_reference import hugging_face_model

# The tiny model of these tests, without its own criterion.
CLASSIFIER = " ".join(MODEL).replace("--criterion scale_grad --gamma 0.5", "").split()
TASK = (
    "--task sentence_prediction --num-classes 2 --init-token 2 --max-positions 64 "
    "--criterion sentence_prediction"
).split()
ENDING = "--best-checkpoint-metric accuracy --maximize-best-checkpoint-metric --max-epoch 12".split()
RESET = "--reset-optimizer --reset-dataloader --reset-meters --reset-lr-scheduler".split()


WORDS = ("bad", "poor", "awful"), ("good", "great", "moving")


def easy_reviews(count, seed):
    """``[(label, text)]``: one of three telling words each, in one of many sentences."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        label = draw.randrange(2)
        thing, when = (
            draw.choice(("film", "menu", "watch", "book")),
            draw.choice(("today", "I think", "again")),
        )
        rows.append((label, f"The {thing} is {draw.choice(WORDS[label])}, {when}."))
    return rows


@pytest.fixture(scope="module")
def labelled(reviews, tmp_path_factory):
    """``input0/`` and ``label/`` in the reviews' tokens, as scripts/collect.py writes its binary/."""
    folder = tmp_path_factory.mktemp("labelled") / "binary"
    write_label_folders(
        folder, {"train": easy_reviews(300, 1), "valid": easy_reviews(100, 2)}, reviews.folder
    )
    return folder


@pytest.fixture(scope="module")
def train_classifier(labelled, run_stock):
    """``train_classifier(save_dir, words...)``: the stock ``fairseq-train`` for the labels."""

    def run(save_dir, *words, task=TASK, **options):
        return run_stock(
            "fairseq-train", labelled, *CLASSIFIER, *task, *ENDING, "--save-dir", save_dir, *words, **options
        )

    return run


@pytest.fixture(scope="module")
def classifier(trained, train_classifier, tmp_path_factory):
    """A classifier that started from the language model's checkpoint."""
    folder = tmp_path_factory.mktemp("classifier")
    done = train_classifier(folder, *RESET, "--restore-file", trained.checkpoint)
    return SimpleNamespace(done=done, checkpoint=folder / "checkpoint_best.pt", folder=folder)


def best_accuracy(done):
    lines = re.findall(r"\{.*\}", done.stdout + done.stderr)
    logs = [json.loads(line) for line in lines if "valid_accuracy" in line]
    assert logs, (done.stdout + done.stderr)[-2000:]
    return max(float(log["valid_accuracy"]) for log in logs)


@pytest.mark.slow
def test_a_language_models_checkpoint_becomes_a_classifier(classifier, trained):
    assert (
        "classification head 'sentence_classification_head' is new"
        in classifier.done.stdout + classifier.done.stderr
    )
    assert best_accuracy(classifier.done) > 80
    weights = torch.load(classifier.checkpoint, weights_only=True)["model"]
    assert weights["classification_heads.sentence_classification_head.out.weight"].shape == (2, 32)


@pytest.mark.slow
def test_a_classifiers_checkpoint_loads_again(classifier, labelled, run_stock, train_classifier):
    command = [
        "fairseq-validate",
        labelled,
        "--path",
        classifier.checkpoint,
        "--valid-subset",
        "valid",
        "--cpu",
    ]
    done = run_stock(*command, *TASK, "--max-sentences", 7, "--num-workers", 0, "--log-format", "json")
    # Batches of seven instead of many tokens: padding must not change what a text is taken for.
    assert best_accuracy(done) == pytest.approx(best_accuracy(classifier.done), abs=0.06)
    resumed = train_classifier(classifier.folder, "--max-epoch", 13)
    assert (
        "Loaded checkpoint" in resumed.stdout + resumed.stderr
        and "is new" not in resumed.stdout + resumed.stderr
    )


@pytest.mark.slow
def test_a_classifier_starts_from_a_pretrained_folder(train_classifier, tmp_path, reviews):
    from fairseq_plugin.core.gpt2 import GPT2Config
    from fairseq_plugin.pretrained.hf_tokenizer import end_id_of, num_ids_of
    from fairseq_plugin.text.codec import load_codec

    codec = load_codec(reviews.folder)
    config = GPT2Config(vocab_size=num_ids_of(codec), n_positions=64, n_embd=32, n_layer=2, n_head=2)
    model = hugging_face_model(config, spread=0.0)
    model.config.eos_token_id = model.config.bos_token_id = end_id_of(codec)
    model.save_pretrained(tmp_path / "hf")
    done = train_classifier(tmp_path / "run", "--pretrained-model", tmp_path / "hf")
    assert "embedding rows have a symbol" in done.stdout + done.stderr
    assert best_accuracy(done) > 80


@pytest.mark.slow
def test_what_does_not_fit_is_refused_by_name(classifier, train_classifier, tmp_path, one_line_error):
    again = ["--restore-file", classifier.checkpoint, *RESET]
    three = [word if word != "2" else "3" for word in TASK[:4]] + TASK[4:]
    done = train_classifier(tmp_path / "a", *again, task=three, check=False)
    one_line_error(done, "2 classes", "--num-classes 2")
