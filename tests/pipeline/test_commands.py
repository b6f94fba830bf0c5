"""The stock commands, end to end, in subprocesses."""

import json
import math
import re
from collections import Counter

import pytest
import torch

TASK = ("--task", "conditional_augmentation")
SAMPLE = ("--sampling", "--beam", 1, "--nbest", 1, "--seed", 5, "--cpu")


def printed(text):
    """``{kind: {id: fields}}`` of fairseq's H- and P- lines."""
    found = {"H": {}, "P": {}}
    for line in text.split("\n"):
        match = re.match(r"([HP])-(\d+)\t(.*)", line)
        if match:
            assert int(match[2]) not in found[match[1]], f"id {match[2]} was printed twice"
            found[match[1]][int(match[2])] = match[3].split("\t")
    return found


def test_training_learns_and_logs_what_it_promises(trained):
    # fairseq writes each line of its JSON log twice into --log-file
    written = dict.fromkeys(
        line[line.index("{") :] for line in trained.log.read_text().split("\n") if '{"' in line
    )
    lines = [json.loads(line) for line in written]
    repeats = Counter(line for line in trained.log.read_text().split("\n") if '{"' in line)
    assert max(repeats.values()) <= 2  # and not as often as there are epochs
    valid = [line for line in lines if "valid_loss" in line]
    train = [line for line in lines if "train_loss" in line]
    assert len(valid) == 3 and len(train) == 3
    assert float(valid[-1]["valid_ppl"]) < 0.8 * float(valid[0]["valid_ppl"])
    for line in train:
        for name in ("loss", "nll_loss", "ppl", "accuracy", "novel", "scale_grad_loss"):
            assert math.isfinite(float(line[f"train_{name}"])), name
        assert line["train_loss"] == line["train_scale_grad_loss"] != line["train_nll_loss"]
    for line in valid:  # the checkpoint is chosen by the true likelihood
        assert line["valid_loss"] == line["valid_nll_loss"]


def test_eval_lm_equals_a_plain_loop(run_stock, reviews, trained, tmp_path):
    """Perplexity of the sentences given their labels, in all and by label, to 1e-6 relative."""
    from fairseq import checkpoint_utils

    import fairseq_plugin  # noqa: F401
    from fairseq_plugin.labelled.binary import read_texts
    from fairseq_plugin.labelled.manifest import Manifest
    from fairseq_plugin.text.codec import load_codec

    models, _, task = checkpoint_utils.load_model_ensemble_and_task(
        [str(trained.checkpoint)], arg_overrides={"data": str(reviews.folder)}
    )
    model = models[0].eval().double()
    manifest, codec = Manifest.load(reviews.folder), load_codec(reviews.folder)
    nll, tokens = [0.0] * 2, [0] * 2
    for label, text in read_texts(reviews.folder, "valid"):
        prompt = list(manifest.labels[label].prompt)
        row = (
            prompt + [task.dictionary.index(str(one)) for one in codec.encode(text)] + [task.dictionary.eos()]
        )
        with torch.no_grad():
            logprobs = model(torch.tensor([[task.dictionary.eos()] + row[:-1]]))[0][0].log_softmax(-1)
        for position in range(len(prompt), len(row)):
            nll[label] -= logprobs[position, row[position]].item()
            tokens[label] += 1
    for options in (["--batch-size", 1], ["--max-tokens", 600, "--num-workers", 1]):
        done = run_stock(
            "fairseq-eval-lm", reviews.folder, *TASK, "--path", trained.checkpoint, "--gen-subset", "valid",
            "--cpu", "--results-path", tmp_path / "eval", *options,
        )  # fmt: skip
        report = json.loads((tmp_path / "eval" / "perplexity.json").read_text())
        assert report["all"]["tokens"] == sum(tokens)
        assert report["all"]["ppl"] == pytest.approx(math.exp(sum(nll) / sum(tokens)), rel=1e-6)
        for i, label in enumerate(manifest.labels):
            assert report["labels"][label.name]["tokens"] == tokens[i]
            assert report["labels"][label.name]["ppl"] == pytest.approx(
                math.exp(nll[i] / tokens[i]), rel=1e-6
            )
        stock = re.search(r"Perplexity: ([\d.]+)", done.stdout + done.stderr)[1]
        assert float(stock) == pytest.approx(report["all"]["ppl"], abs=0.006)


def test_generation_gives_each_label_its_number(generate, reviews, tmp_path):
    generate(tmp_path, "--samples-per-label", "negative=7,positive=12")
    found = printed((tmp_path / "generate-augment.txt").read_text())
    record = json.loads((tmp_path / "augment.json").read_text())
    assert record["labels"] == ["negative", "positive"] and record["counts"] == [7, 12]
    assert sorted(found["H"]) == sorted([2 * k for k in range(7)] + [2 * k + 1 for k in range(12)])
    assert record["complete"] and record["done"] == record["expected"] == 19
    for sample, (_, symbols) in found["H"].items():
        scores = found["P"][sample][0].split()
        assert all(symbol.isdecimal() for symbol in symbols.split())
        assert len(scores) - len(symbols.split()) in (0, 1)
        assert len(scores) == 40 or len(scores) == len(symbols.split()) + 1, (
            "short of the limit without an end"
        )


@pytest.mark.slow
def test_texts_do_not_depend_on_the_batch(generate, tmp_path):
    """The same text for batch size 1, 2, 7, 32, and in two shards."""
    seen = []
    for size in (1, 2, 7, 32):
        generate(tmp_path / str(size), "--samples-per-label", 20, "--batch-size", size)
        seen.append(printed((tmp_path / str(size) / "generate-augment.txt").read_text())["H"])
    assert len(seen[0]) == 40 and len({fields[1] for fields in seen[0].values()}) > 20
    assert seen[1:] == seen[:1] * 3
    shards = {}
    for shard in (0, 1):
        generate(
            tmp_path / f"shard{shard}", "--samples-per-label", 20, "--batch-size", 7,
            "--distributed-world-size", 2, "--distributed-rank", shard,
        )  # fmt: skip
        part = printed((tmp_path / f"shard{shard}" / "generate-augment.txt").read_text())["H"]
        assert not shards.keys() & part.keys()
        shards |= part
    assert shards == seen[0]


@pytest.mark.slow
def test_later_samples_go_on_where_earlier_ones_stopped(generate, tmp_path):
    generate(tmp_path / "all", "--samples-per-label", 9)
    generate(tmp_path / "rest", "--samples-per-label", 4, "--first-sample", 5)
    whole = printed((tmp_path / "all" / "generate-augment.txt").read_text())["H"]
    rest = printed((tmp_path / "rest" / "generate-augment.txt").read_text())["H"]
    assert len(rest) == 8 and rest.items() <= whole.items()


@pytest.mark.slow
def test_beam_search_gives_sentences_too(run_stock, reviews, trained, tmp_path):
    run_stock(
        "fairseq-generate", reviews.folder, *TASK, "--gen-subset", "augment", "--samples-per-label", 1,
        "--cpu", "--path", trained.checkpoint, "--results-path", tmp_path, "--beam", 3, "--nbest", 3,
        "--max-len-b", 20,
    )  # fmt: skip
    lines = [line.split("\t") for line in (tmp_path / "generate-augment.txt").read_text().split("\n")]
    best = [line for line in lines if line[0] == "H-0"]
    assert len(best) == 3 and len({line[2] for line in best}) == 3
    scores = [float(line[1]) for line in best]
    assert scores == sorted(scores, reverse=True)


def test_interactive_continues_beginnings(run_stock, reviews, trained):
    words = (
        "fairseq-interactive",
        reviews.folder,
        *TASK,
        "--path",
        trained.checkpoint,
        *SAMPLE,
        "--max-len-b",
        30,
    )
    typed = "positive\nnegative\tthe plot\npositive\nnegative\tthe plot\n"
    outputs = []
    for options in ([], ["--buffer-size", 4, "--batch-size", 4]):
        done = run_stock(*words, *options, stdin=typed)
        texts = dict(re.findall(r"^D-(\d)\t\S+\t(.*)$", done.stdout, re.M))
        assert sorted(texts) == ["0", "1", "2", "3"]
        assert texts["1"].startswith("the plot") and texts["3"].startswith("the plot")
        assert texts["0"] != texts["2"] and texts["1"] != texts["3"], (
            "equal lines must give different samples"
        )
        outputs.append(texts)
    assert outputs[0] == outputs[1]


@pytest.mark.slow
def test_a_split_can_be_rewritten_row_by_row(run_stock, reviews, trained, tmp_path):
    run_stock(
        "fairseq-generate", reviews.folder, *TASK, "--gen-subset", "valid", "--path", trained.checkpoint,
        "--results-path", tmp_path, *SAMPLE, "--max-len-b", 20,
    )  # fmt: skip
    assert len(printed((tmp_path / "generate-valid.txt").read_text())["H"]) == 80
