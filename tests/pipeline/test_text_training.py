"""The stock language modelling commands on prepared text: every token is a target once in every mode."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairseq_plugin.corpus import folder
from fairseq_plugin.corpus.manifest import TextManifest
from tests.corpus.made_text import request_for, sentences, wiki, write

pytestmark = pytest.mark.slow  # each starts trainings of its own

TASK = ("--task", "language_modeling", "--tokens-per-sample", 64)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Two folders with one tokenizer: ``lines``, a document a line, and ``book``, one long document."""
    from fairseq_plugin.corpus.prepare import prepare

    tmp_path = tmp_path_factory.mktemp("text")
    train = write(tmp_path, "train.txt", "\n".join(line for line in sentences(900) if len(line) < 150))
    valid = write(tmp_path, "valid.txt", wiki(2, seed=5))
    for name, documents in (("lines", "line"), ("book", "file")):
        to = str(tmp_path / name)
        prepare(request_for(tmp_path, train, valid=valid, documents=documents, to=to, vocab_size=400))
    return SimpleNamespace(lines=tmp_path / "lines", book=tmp_path / "book")


@pytest.fixture(scope="module")
def learnt(texts, train, tmp_path_factory):
    """A checkpoint after one short epoch over the long document."""
    save = tmp_path_factory.mktemp("learnt")
    train(texts.book, save, *TASK, "--sample-break-mode", "none", "--max-epoch", 1)
    return save / "checkpoint_last.pt"


def evaluate(run_stock, data, checkpoint, mode):
    done = run_stock(
        "fairseq-eval-lm", data, *TASK, "--path", checkpoint, "--gen-subset", "valid",
        "--sample-break-mode", mode,
        "--batch-size", 8, "--num-workers", 0, "--cpu",
    )  # fmt: skip
    tokens, loss, perplexity = re.search(
        r"Evaluated ([\d,]+) tokens .*\n.*Loss \(base 2\): ([\d.]+), Perplexity: ([\d.]+)",
        done.stdout + done.stderr,
    ).groups()
    return int(tokens.replace(",", "")), float(loss), float(perplexity)


def test_training_and_evaluation_meet_every_token(run_stock, texts, learnt):
    tokens, loss, _ = evaluate(run_stock, texts.book, learnt, "none")
    assert tokens == TextManifest.load(texts.book).splits["valid"].tokens
    assert loss < np.log2(400) - 1  # it has learnt something


@pytest.mark.parametrize("mode", ["complete", "complete_doc", "eos"])
def test_the_other_break_modes_meet_every_token(run_stock, train, texts, learnt, tmp_path, mode):
    manifest = TextManifest.load(texts.lines)
    assert manifest.splits["valid"].longest <= 64
    done = train(texts.lines, tmp_path, *TASK, "--sample-break-mode", mode, "--max-update", 5)
    assert "done training" in done.stdout + done.stderr
    tokens, _, perplexity = evaluate(run_stock, texts.lines, tmp_path / "checkpoint_last.pt", mode)
    assert tokens == manifest.splits["valid"].tokens
    assert 1 < perplexity < 400


def blocks(data, mode, size):
    """(source, target) of every sample, as the stock task builds them."""
    from fairseq.data import Dictionary, TokenBlockDataset, data_utils

    dictionary = Dictionary.load(str(data / "dict.txt"))
    items = data_utils.load_indexed_dataset(str(data / "train"), dictionary)
    dataset = TokenBlockDataset(
        items,
        items.sizes,
        size,
        pad=dictionary.pad(),
        eos=dictionary.eos(),
        break_mode=mode,
        include_targets=True,
    )
    return [(source, target) for source, target, _ in dataset]


@pytest.mark.parametrize("size", [63, 64, 128])
def test_a_long_document_in_pieces_gives_the_samples_of_the_whole(texts, size):
    """fairseq puts </s> before a sample that begins with an item; pieces of a document must not show."""
    stream = torch.from_numpy(folder.read_stream(texts.book, "train"))
    assert len(folder.item_sizes(texts.book, "train")) > 2
    samples = blocks(texts.book, "none", size)
    assert torch.equal(torch.cat([target for _, target in samples]), stream)
    assert torch.equal(
        torch.cat([source for source, _ in samples]), torch.cat([torch.tensor([2]), stream[:-1]])
    )


def test_a_document_a_line_gives_a_sample_a_line(texts):
    samples = blocks(texts.lines, "eos", None)
    assert len(samples) == TextManifest.load(texts.lines).splits["train"].documents
    assert all(
        target[-1] == 2 and source[0] == 2 and torch.equal(source[1:], target[:-1])
        for source, target in samples
    )
