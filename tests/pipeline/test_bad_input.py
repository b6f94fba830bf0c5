"""Bad input: a non-zero status and one message that names the thing and the mend."""

import re
import shutil

import pytest
import torch

TASK = ("--task", "conditional_augmentation")
SAMPLE = ("--sampling", "--beam", 1, "--nbest", 1, "--cpu")


@pytest.fixture
def copy(reviews, tmp_path):
    shutil.copytree(reviews.folder, tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(
    "gamma", ["0", *(pytest.param(g, marks=pytest.mark.slow) for g in ("-0.5", "1.5", "nan"))]
)
def test_gamma_out_of_range(train, reviews, tmp_path, one_line_error, gamma):
    done = train(reviews.folder, tmp_path, f"--gamma={gamma}", "--max-update", 1, check=False)
    one_line_error(done, "--gamma", gamma)
    assert not list(tmp_path.glob("*.pt"))


def test_a_missing_data_folder(train, tmp_path, one_line_error):
    one_line_error(train(tmp_path / "nowhere", tmp_path, check=False), "nowhere", "prepare_labelled.py")


@pytest.mark.slow
def test_a_missing_split(run_stock, copy, trained, one_line_error):
    done = run_stock(
        "fairseq-eval-lm",
        copy,
        *TASK,
        "--path",
        trained.checkpoint,
        "--gen-subset",
        "dev",
        "--cpu",
        check=False,
    )
    one_line_error(done, "dev")


@pytest.mark.parametrize(
    "name", ["train.bin", *(pytest.param(n, marks=pytest.mark.slow) for n in ("train.idx", "valid.bin"))]
)
def test_a_cut_data_file(train, copy, tmp_path, one_line_error, name):
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    one_line_error(train(copy, tmp_path / "run", "--max-epoch", 1, check=False), name)


@pytest.mark.parametrize("name", ["train.bin", "valid.labels.npy"])
def test_a_flipped_bit_in_a_data_file(train, copy, tmp_path, one_line_error, name):
    """The size is right and every token may still be one: only the hash tells."""
    content = bytearray((copy / name).read_bytes())
    content[-8] ^= 1
    (copy / name).write_bytes(content)
    one_line_error(train(copy, tmp_path / "run", "--max-epoch", 1, check=False), name)


@pytest.mark.slow
def test_a_dictionary_of_other_data(train, copy, tmp_path, one_line_error):
    with open(copy / "dict.txt", "a") as stream:
        stream.write("99999 1\n")
    one_line_error(train(copy, tmp_path / "run", "--max-epoch", 1, check=False), "dict.txt")


def test_a_checkpoint_of_another_dictionary(
    run_script, run_stock, reviews, trained, tmp_path, one_line_error
):
    run_script(
        "prepare_labelled.py", reviews.source / "train.tsv", "--valid", reviews.source / "valid.tsv",
        "--to", tmp_path / "other", "--codec", "bytes", "--vocab-size", 300, "--max-tokens", 64,
    )  # fmt: skip
    done = run_stock(
        "fairseq-eval-lm",
        tmp_path / "other",
        *TASK,
        "--path",
        trained.checkpoint,
        "--gen-subset",
        "valid",
        "--cpu",
        check=False,
    )
    one_line_error(done, "dictionary")


def test_a_missing_checkpoint(generate, tmp_path, one_line_error):
    one_line_error(generate(tmp_path, "--path", tmp_path / "none.pt", check=False), "none.pt")


@pytest.mark.parametrize(
    "damage", ["cut", *(pytest.param(d, marks=pytest.mark.slow) for d in ("flip", "text"))]
)
def test_a_damaged_checkpoint(generate, trained, tmp_path, one_line_error, damage):
    whole = bytearray(trained.checkpoint.read_bytes())
    if damage == "cut":
        whole = whole[: len(whole) // 3]
    elif damage == "flip":
        whole[len(whole) // 2] ^= 16
    else:
        whole = b"no checkpoint at all"
    (tmp_path / "damaged.pt").write_bytes(whole)
    done = generate(tmp_path / "results", "--path", tmp_path / "damaged.pt", check=False)
    one_line_error(done, "damaged.pt", "ZIP format" if damage == "text" else "cut short")
    assert not (tmp_path / "results" / "augment.json").exists()


@pytest.mark.slow
def test_a_restart_takes_the_newest_whole_checkpoint_and_says_so(train, reviews, trained, tmp_path):
    shutil.copy(trained.checkpoint, tmp_path / "checkpoint_1_9.pt")
    whole = trained.checkpoint.read_bytes()
    (tmp_path / "checkpoint_last.pt").write_bytes(whole[:-100])
    for reason in ("is damaged or cut short", "there is no"):
        done = train(reviews.folder, tmp_path, "--max-epoch", 3, "--no-save")
        line = next(line for line in done.stdout.split("\n") if "going on from" in line)
        assert reason in line and "checkpoint_last.pt" in line and "checkpoint_1_9.pt" in line
        assert re.search(r"Loaded checkpoint .* \(epoch \d @ \d+ updates\)", done.stdout)
        (tmp_path / "checkpoint_last.pt").unlink(missing_ok=True)


@pytest.mark.slow
def test_a_checkpoint_of_another_task(generate, trained, tmp_path, one_line_error):
    state = torch.load(trained.checkpoint, weights_only=True)
    state["cfg"]["task"]["_name"] = "language_modeling"
    torch.save(state, tmp_path / "lm.pt")
    one_line_error(
        generate(tmp_path, "--path", tmp_path / "lm.pt", check=False), "lm.pt", "language_modeling"
    )


@pytest.mark.slow
def test_damaged_weights(generate, trained, tmp_path, one_line_error):
    state = torch.load(trained.checkpoint, weights_only=True)
    next(value for key, value in state["model"].items() if key.endswith("ln_f.weight"))[0] = float("nan")
    torch.save(state, tmp_path / "nan.pt")
    one_line_error(generate(tmp_path, "--path", tmp_path / "nan.pt", check=False), "NaN")


@pytest.mark.parametrize(
    "wish", ["many", *(pytest.param(w, marks=pytest.mark.slow) for w in ("nobody=3", "0"))]
)
def test_an_impossible_number_of_samples(generate, tmp_path, one_line_error, wish):
    one_line_error(generate(tmp_path, "--samples-per-label", wish, check=False), "--samples-per-label")


def test_bad_lines_are_named_and_the_session_goes_on(run_stock, reviews, trained):
    done = run_stock(
        "fairseq-interactive",
        reviews.folder,
        *TASK,
        "--path",
        trained.checkpoint,
        *SAMPLE,
        stdin=f"neutral\npositive\npositive\t{'film ' * 80}\nnegative\n",
    )
    errors = [line for line in done.stderr.split("\n") if line.startswith("error: ")]
    assert len(errors) == 2
    assert all(word in errors[0] for word in ("line 0 ", "neutral", "negative", "positive"))
    assert all(word in errors[1] for word in ("line 2 ", "no room", "64 positions"))
    assert re.findall(r"^D-(\d)", done.stdout, re.M) == ["1", "3"]


def test_a_least_length_beyond_the_limit(generate, tmp_path, one_line_error):
    one_line_error(generate(tmp_path, "--min-len", 40, check=False), "--min-len 40", "--max-len-b 40")


@pytest.mark.slow
def test_rows_longer_than_the_positions(train, reviews, tmp_path, one_line_error):
    done = train(reviews.folder, tmp_path, "--n-positions", 8, check=False)
    one_line_error(done, "--n-positions", "--max-row-tokens")


def test_a_process_that_trains_alone_is_refused(train, reviews, tmp_path, one_line_error):
    """One of several torchrun processes without a process group would train independently of the others."""
    done = train(
        reviews.folder,
        tmp_path,
        "--distributed-world-size",
        1,
        check=False,
        env={"WORLD_SIZE": 2, "RANK": 0, "LOCAL_RANK": 0},
    )
    one_line_error(done, "WORLD_SIZE", "--distributed-world-size")
