"""A small labelled set, prepared and learnt by the stock commands once, for all pipeline tests."""

from types import SimpleNamespace

import pytest

from tests.pipeline.open_ended import OPEN_ENDED, in_process, made_text

# The tiny model of these tests: 2 layers, width 32, 64 positions, dropout on.
MODEL = (
    "--arch gpt2_tiny --n-layer 2 --n-embd 32 --n-head 2 --n-positions 64 --dropout 0.1 "
    "--criterion scale_grad --gamma 0.5 --optimizer fused_adamw --lr 0.003 --lr-scheduler inverse_sqrt "
    "--warmup-updates 20 --clip-norm 1.0 --max-tokens 512 --seed 3 --cpu --num-workers 0 "
    "--log-format json --log-interval 10 --no-progress-bar"
).split()


@pytest.fixture(scope="session")
def reviews(tmp_path_factory, run_script):
    """``folder`` of a prepared set of 400 / 80 / 80 short reviews; ``source`` of its TSV files."""
    folder = tmp_path_factory.mktemp("reviews")
    run_script("make_reviews.py", "--to", folder / "source", "--train", 400, "--valid", 80, "--test", 80)
    source = folder / "source"
    run_script(
        "prepare_labelled.py", source / "train.tsv", "--valid", source / "valid.tsv", "--test",
        source / "test.tsv", "--to", folder / "data", "--codec", "bytes", "--vocab-size", 400,
        "--max-tokens", 64,
    )  # fmt: skip
    return SimpleNamespace(folder=folder / "data", source=source)


@pytest.fixture(scope="session")
def train(run_stock):
    """``train(data, save_dir, words...)``: the stock ``fairseq-train`` with the tiny model."""

    def run(data, save_dir, *words, **options):
        given = [*MODEL, "--save-dir", save_dir, *words]
        if "--task" not in given:
            given += ["--task", "conditional_augmentation"]
        return run_stock("fairseq-train", data, *given, **options)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, reviews, train):
    """A checkpoint trained for three epochs; ``log`` is the file of its JSON log."""
    folder = tmp_path_factory.mktemp("trained")
    done = train(reviews.folder, folder, "--max-epoch", 3, "--log-file", folder / "train.log")
    return SimpleNamespace(
        folder=folder, checkpoint=folder / "checkpoint_best.pt", log=folder / "train.log", done=done
    )


@pytest.fixture(scope="session")
def generate(run_stock, reviews, trained):
    """``generate(results, words...)``: the stock ``fairseq-generate`` for ``augment``; lines by kind."""

    def run(results, *words, **options):
        done = run_stock(
            "fairseq-generate", reviews.folder, "--task", "conditional_augmentation", "--gen-subset",
            "augment", "--path", trained.checkpoint, "--results-path", results, "--sampling", "--beam", 1,
            "--nbest", 1, "--max-len-b", 40, "--seed", 5, "--cpu", "--num-workers", 0, *words, **options,
        )  # fmt: skip
        return done

    return run


# -- running text ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def text(tmp_path_factory, run_script):
    """``folder`` of a small prepared text of short documents; ``source`` of its file."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "source.txt").write_text(made_text(600), encoding="utf-8")
    run_script(
        "prepare_text.py", folder / "source.txt", "--split", "0.8,0.1,0.1", "--documents", "blank-lines",
        "--to", folder / "data", "--codec", "bytes", "--vocab-size", 300,
    )  # fmt: skip
    return SimpleNamespace(folder=folder / "data", source=folder / "source.txt")


@pytest.fixture(scope="session")
def learnt(tmp_path_factory, text, train):
    """A language model trained on ``text`` for two epochs; ``log`` is the file of its JSON log."""
    folder = tmp_path_factory.mktemp("learnt")
    log = folder / "train.log"
    done = train(text.folder, folder, *OPEN_ENDED, "--max-epoch", 2, "--log-file", log)
    return SimpleNamespace(folder=folder, checkpoint=folder / "checkpoint_best.pt", log=log, done=done)


@pytest.fixture(scope="session")
def stock_model(tmp_path_factory, text, run_stock):
    """A checkpoint of fairseq's own ``transformer_lm``, trained by the stock task for three updates."""
    folder = tmp_path_factory.mktemp("stock_model")
    run_stock(
        "fairseq-train", text.folder, "--task", "language_modeling", "--tokens-per-sample", 64, "--save-dir",
        folder, "--arch", "transformer_lm", "--decoder-layers", 1, "--decoder-embed-dim", 16,
        "--decoder-ffn-embed-dim", 32, "--decoder-attention-heads", 2, "--optimizer", "adam", "--lr", 0.01,
        "--max-update", 3, "--max-tokens", 512, "--cpu", "--num-workers", 0, "--disable-validation",
        user_dir=None,
    )  # fmt: skip
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def complete(text, learnt):
    """``complete(results, words...)``: ``fairseq-generate`` with our task, by :func:`in_process`."""

    def run(results, *words):
        return in_process(
            "generate", text.folder, "--task", "open_ended_generation", "--path", learnt.checkpoint, "--cpu",
            "--results-path", results, "--seed", 5, "--prefix-tokens", 8, "--max-len-b", 12, *words,
        )  # fmt: skip

    return run
