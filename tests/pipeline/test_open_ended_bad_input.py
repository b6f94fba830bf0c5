"""Bad input to ``--task open_ended_generation``: one message with the thing and the mend, no result."""

import shutil

import pytest
import torch

from tests.pipeline.open_ended import OPEN_ENDED, in_process

TASK = ("--task", "open_ended_generation")


@pytest.fixture
def refused(complete, tmp_path):
    """``refused(words, *parts of the message)``: ``fairseq-generate`` ends with it and writes no table."""

    def check(words, *parts):
        with pytest.raises(SystemExit) as raised:
            complete(tmp_path / "out", *words)
        message = str(raised.value)
        assert message.startswith("error: ") and "\n" not in message
        for part in parts:
            assert str(part) in message, message
        assert not (tmp_path / "out" / "test_samples.tsv").exists()

    return check


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ("--max-len-b", 57),
            ("prompt 0 of 8 tokens", "--max-len-b 57", "64 positions", "give --max-len-b 56"),
        ),
        (("--prefix-tokens", 64), ("64 tokens", "give shorter prompts")),
        (("--prefix-tokens", 10**6), ("--prefix-tokens 1000000", "'valid'", "not one whole prefix")),
        (("--prefix-tokens", 0), ("--prefix-tokens 0",)),
        (("--num-samples", 0), ("--num-samples 0",)),
        (("--first-sample", -1), ("--first-sample -1",)),
        (("--num-samples", 10**6), ("there are", "prefixes")),
        (("--first-sample", 10**6), ("there are", "prefixes")),
        (("--gen-subset", "dev"), ("'dev'", "train, valid, test")),
        (("--gen-subset", "prompts"), ("--prompts FILE is needed",)),
        (
            ("--gen-subset", "prompts", "--prompts", "/nowhere/p.txt"),
            ("--prompts /nowhere/p.txt", "cannot be read"),
        ),
        (("--max-len-b", 0), ("--max-len-b 0",)),
        (("--max-len-a", 1), ("--max-len-a",)),
        (("--min-len", 5), ("--min-len 5", "--stop-at-end")),
        (("--min-len", 12, "--stop-at-end"), ("--min-len 12", "--max-len-b 12")),
        (("--nbest", 2), ("--nbest 2", "--beam 1")),
        (("--gumbel",), ("--gumbel", "--sampling")),
        (("--sampling-topp", 0.9), ("--sampling-topp 0.9 needs --sampling",)),
        (("--temperature", 0.5), ("--temperature 0.5 needs --sampling",)),
        (("--sampling", "--sampling-topp", 1.5), ("--sampling-topp", "1.5")),
        (("--sampling", "--temperature", -1), ("--temperature", "-1")),
        (("--sampling", "--gumbel", "--temperature", 0), ("gumbel", "temperature")),
        (("--sampling", "--diverse-beam-groups", 2), ("--diverse-beam-groups",)),
        (("--contrastive-alpha", 0.6, "--sampling"), ("--contrastive-alpha and --sampling",)),
        (("--contrastive-alpha", 0.6, "--beam", 5), ("--contrastive-alpha and --beam 5", "--beam 1")),
        (("--contrastive-alpha", 1.6), ("--contrastive-alpha 1.6",)),
        (("--contrastive-alpha", 0.6, "--contrastive-k", 0), ("--contrastive-k 0",)),
        (("--no-repeat-ngram-size", -1), ("--no-repeat-ngram-size -1",)),
        (("--beam", 500), ("--beam 500",)),
        (("--prefix-size", 3), ("--prefix-size",)),
    ],
    ids=lambda value: " ".join(map(str, value)) if value and str(value[0]).startswith("--") else "",
)
def test_flags_that_make_no_sense(refused, words, parts):
    refused(("--gen-subset", "valid", "--beam", 1, *words), *parts)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ("is empty",)),
        (b"one\n\xff\xfe\n", ("line 2", "UTF-8")),
        (b"one\n" + b"q" * 99, ("prompt 1 of 100 tokens", "64")),
    ],
)
def test_a_file_of_prompts_that_cannot_be_used(refused, tmp_path, content, parts):
    (tmp_path / "p.txt").write_bytes(content)
    refused(("--gen-subset", "prompts", "--prompts", tmp_path / "p.txt", "--beam", 1), *parts)


@pytest.mark.parametrize("flag", ["--gumbel", "--contrastive-alpha"])
def test_our_decoders_need_our_model(refused, stock_model, flag):
    words = {"--gumbel": ("--gumbel", "--sampling"), "--contrastive-alpha": ("--contrastive-alpha", 0.5)}[
        flag
    ]
    refused(("--gen-subset", "valid", "--beam", 1, "--path", stock_model, *words), flag, "--arch gpt2")


def test_damaged_weights_give_no_text_and_no_number(refused, complete, text, learnt, stock_model, tmp_path):
    """NaN in the weights of our model, and of one of fairseq's, whose own commands would go on."""
    for name, path in {"ours": learnt.checkpoint, "stock": stock_model}.items():
        state = torch.load(path, weights_only=True)
        weight = next(
            value for key, value in state["model"].items() if key.endswith(("ln_f.weight", "fc1.bias"))
        )
        weight[0] = float("nan")
        torch.save(state, tmp_path / f"{name}.pt")
        for options in (("--beam", 1), ("--beam", 3), ("--sampling", "--beam", 1)):
            refused(
                ("--gen-subset", "valid", "--path", tmp_path / f"{name}.pt", "--num-samples", 9, *options),
                "NaN",
            )
        with pytest.raises(SystemExit, match="NaN"):
            in_process(
                "eval_lm", text.folder, *TASK, "--path", tmp_path / f"{name}.pt", "--tokens-per-sample", 32,
                "--cpu", "--gen-subset", "valid",
            )  # fmt: skip


def test_a_labelled_folder_names_its_task(train, reviews, tmp_path, one_line_error):
    done = train(reviews.folder, tmp_path, *OPEN_ENDED, "--max-update", 1, check=False)
    one_line_error(done, "labelled", "--task conditional_augmentation")


def test_a_text_folder_is_no_labelled_one(train, text, tmp_path, one_line_error):
    one_line_error(
        train(text.folder, tmp_path, "--max-update", 1, check=False), "manifest", "prepare_labelled.py"
    )


def test_a_missing_folder_and_a_mixed_one(text, learnt, tmp_path):
    words = (*TASK, "--path", learnt.checkpoint, "--gen-subset", "valid", "--cpu", "--beam", 1)
    with pytest.raises(SystemExit, match="no folder.*prepare_text.py"):
        in_process("generate", tmp_path / "nowhere", *words)
    shutil.copytree(text.folder, tmp_path / "data")
    with open(tmp_path / "data" / "dict.txt", "a") as stream:
        stream.write("99999 1\n")
    with pytest.raises(SystemExit, match="dict.txt.*mixed from two preparations"):
        in_process("generate", tmp_path / "data", *words)


@pytest.mark.parametrize("name", ["valid.bin", "valid.idx"])
def test_a_flipped_bit_in_the_data(text, learnt, tmp_path, name):
    shutil.copytree(text.folder, tmp_path / "data")
    content = bytearray((tmp_path / "data" / name).read_bytes())
    content[-9] ^= 1
    (tmp_path / "data" / name).write_bytes(content)
    words = (*TASK, "--path", learnt.checkpoint, "--gen-subset", "valid", "--cpu")
    for command, options in {"generate": ("--beam", 1), "eval_lm": ("--tokens-per-sample", 32)}.items():
        with pytest.raises(SystemExit, match=name):
            in_process(command, tmp_path / "data", *words, *options)


def test_a_checkpoint_of_another_task(trained, text):
    words = (*TASK, "--path", trained.checkpoint, "--gen-subset", "valid", "--cpu", "--beam", 1)
    with pytest.raises(SystemExit, match="trained with --task conditional_augmentation"):
        in_process("generate", text.folder, *words)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ("--sample-prompts", "PROMPTS", "--sample-tokens", 50),
            ("prompt 0 of 25 tokens", "--sample-tokens 50", "64 positions"),
        ),
        (("--sample-prompts", "/nowhere/p.txt"), ("--sample-prompts /nowhere/p.txt",)),
        (("--sample-tokens", 64), ("--sample-tokens 64", "63")),
        (("--sample-tokens", 0), ("--sample-tokens 0",)),
        (("--sample-interval-updates", -1), ("--sample-interval-updates -1",)),
        (("--num-sample-prefixes", -1), ("--num-sample-prefixes -1",)),
    ],
    ids=lambda value: " ".join(map(str, value)) if value and str(value[0]).startswith("--") else "",
)
def test_samples_while_training_that_make_no_sense(text, words, parts, tmp_path):
    """Known before the first update, not after an hour."""
    from fairseq_plugin.errors import UserError
    from fairseq_plugin.tasks.open_ended_config import OpenEndedGenerationConfig
    from fairseq_plugin.tasks.training_samples import sample_prompts

    (tmp_path / "p.txt").write_text("q" * 24 + "\n")
    values = {words[i].removeprefix("--").replace("-", "_"): words[i + 1] for i in range(0, len(words), 2)}
    if values.get("sample_prompts") == "PROMPTS":
        values["sample_prompts"] = str(tmp_path / "p.txt")
    cfg = OpenEndedGenerationConfig(data=str(text.folder), **values)
    with pytest.raises(UserError) as raised:
        sample_prompts(cfg, "valid", 64, 2, lambda line: [9] * len(line), str)
    for part in parts:
        assert part in str(raised.value)


def test_a_sample_prompt_beyond_the_positions_stops_the_command(text, train, tmp_path, one_line_error):
    (tmp_path / "p.txt").write_text("q" * 70 + "\n")
    done = train(
        text.folder,
        tmp_path / "run",
        *OPEN_ENDED,
        "--sample-prompts",
        tmp_path / "p.txt",
        "--max-update",
        1,
        check=False,
    )
    one_line_error(done, "prompt 0 of 71 tokens", "--sample-tokens 12", "64 positions")
    assert not list((tmp_path / "run").glob("*.pt"))


def test_a_process_that_trains_alone_is_refused(train, text, tmp_path, one_line_error):
    done = train(
        text.folder, tmp_path, *OPEN_ENDED, "--distributed-world-size", 1, check=False,
        env={"WORLD_SIZE": 2, "RANK": 0, "LOCAL_RANK": 0},
    )  # fmt: skip
    one_line_error(done, "WORLD_SIZE", "--distributed-world-size")


def test_a_folder_with_nothing_but_damaged_checkpoints_is_not_trained_anew(
    train, text, learnt, tmp_path, one_line_error
):
    whole = learnt.checkpoint.read_bytes()
    (tmp_path / "checkpoint_last.pt").write_bytes(whole[:-100])
    done = train(text.folder, tmp_path, *OPEN_ENDED, "--max-epoch", 5, check=False)
    one_line_error(done, "checkpoint_last.pt", "cut short", "none is whole")
