"""``--task open_ended_generation`` under stock ``fairseq-generate`` and ``-interactive``: new words."""

import hashlib
import json
import re

import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.storage.sample_file import newest_sample_file
from tests.pipeline.open_ended import in_process, texts_of

GREEDY = ("--beam", 1)
TOP_P = ("--sampling", "--sampling-topp", 0.9, "--beam", 1)
DECODERS = {
    "greedy": GREEDY,
    "top-p": TOP_P,
    "top-k": ("--sampling", "--sampling-topk", 20, "--temperature", 0.8, "--beam", 2, "--nbest", 2),
    "gumbel": ("--sampling", "--gumbel", "--beam", 1),
    "beam": ("--beam", 5, "--nbest", 3, "--no-repeat-ngram-size", 3),
    "contrastive": ("--contrastive-alpha", 0.6, "--contrastive-k", 4, "--beam", 1),
}


@pytest.fixture(scope="module")
def stream(text):
    from fairseq_plugin.corpus.folder import read_stream

    return read_stream(text.folder, "valid")


@pytest.fixture(scope="module")
def gpt2(learnt, text):
    from fairseq import checkpoint_utils

    import fairseq_plugin  # noqa: F401

    models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(learnt.checkpoint)], arg_overrides={"data": str(text.folder)}
    )
    return models[0].eval()


def greedy_by_hand(model, prompt, num_new, eos=2):
    """The most probable token after everything so far, the whole text read anew for each; never the end."""
    tokens = list(prompt)
    for _ in range(num_new):
        with torch.no_grad():
            logits = model(torch.tensor([tokens]))[0][0, -1].clone()
        logits[[0, 1, eos, 3]] = float("-inf")
        tokens.append(int(logits.argmax()))
    return tokens[len(prompt) :]


def ids_of(tokens):
    return " ".join(str(token - 4) for token in tokens)


def test_each_prefix_of_a_split_gets_its_own_continuation(complete, text, stream, gpt2, tmp_path):
    """Prefix i is ``stream[8 i : 8 (i + 1)]``; the H- line holds the 12 new tokens and no end."""
    from fairseq_plugin.corpus.folder import load_codec, text_of
    from fairseq_plugin.text.one_line import escape

    printed = complete(tmp_path, "--gen-subset", "valid", *GREEDY)
    shown, new = texts_of(tmp_path, "S"), texts_of(tmp_path, "H")
    number = len(stream) // 8
    assert sorted(new) == list(range(number)) and number > 40
    assert (
        f"{number} prefixes of 8 tokens; {len(stream) - 8 * number} tokens at the end are left over"
        in printed
    )
    codec = load_codec(text.folder)
    for i in range(number):
        prefix = stream[8 * i : 8 * (i + 1)]
        assert shown[i] == [escape(text_of(prefix, codec))]
    assert any(2 in stream[8 * i : 8 * (i + 1)] for i in range(number)), (
        "no prefix goes over the end of a document"
    )
    for i in range(0, number, 7):
        assert new[i] == [ids_of(greedy_by_hand(gpt2, stream[8 * i : 8 * (i + 1)].tolist(), 12))]


def test_a_run_leaves_a_record_and_a_table(complete, text, learnt, tmp_path):
    complete(tmp_path, "--gen-subset", "test", "--num-samples", 9, "--first-sample", 3, *DECODERS["top-k"])
    record = json.loads((tmp_path / "completions.json").read_text())
    assert (
        record["format"] == "completions" and record["complete"] and record["done"] == record["expected"] == 9
    )
    assert record["tokens"] == 9 * 2 * 12
    assert (record["subset"], record["prefix_tokens"], record["seed"]) == ("test", 8, 5)
    assert (
        record["manifest_sha256"] == hashlib.sha256((text.folder / "manifest.json").read_bytes()).hexdigest()
    )
    assert record["checkpoint_sha256"] == [hashlib.sha256(learnt.checkpoint.read_bytes()).hexdigest()]
    settings = record["settings"]
    assert (settings["sampling_topk"], settings["beam"], settings["stop_at_end"]) == (20, 2, False)
    contexts, texts = texts_of(tmp_path, "S", "test"), texts_of(tmp_path, "D", "test")
    assert sorted(texts) == list(range(3, 12))
    rows = [f"{contexts[i][0]}\t{text}\n" for i in range(3, 12) for text in texts[i]]
    assert (tmp_path / "test_samples.tsv").read_text("utf-8") == "".join(rows)


def test_a_cut_run_loses_nothing_of_an_earlier_one(complete, tmp_path, monkeypatch):
    """Table, samples and record stay; what the cut run had written is counted; a rerun doubles nothing."""
    from fairseq_plugin.tasks.prompt_decoders import PromptDecoder

    words = ("--gen-subset", "valid", "--num-samples", 6, "--batch-size", 2, *TOP_P)
    complete(tmp_path, *words)
    names = ("test_samples.tsv", "completions.json", "completions.samples.jsonl")
    whole = {name: (tmp_path / name).read_bytes() for name in names}
    real, calls = PromptDecoder.generate, []

    def stops(self, *args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(PromptDecoder, "generate", stops)
        complete(tmp_path, *words)
    assert {name: (tmp_path / name).read_bytes() for name in names} == whole
    with pytest.raises(UserError, match="completions.part-1.jsonl holds 4 of 6 samples"):
        newest_sample_file(tmp_path, "completions")
    complete(tmp_path, *words)
    assert (tmp_path / "test_samples.tsv").read_bytes() == whole["test_samples.tsv"]
    assert newest_sample_file(tmp_path, "completions").num_samples == 6  # and the part is gone


@pytest.mark.parametrize(
    "name",
    [
        "top-p",
        "beam",
        *(pytest.param(name, marks=pytest.mark.slow) for name in DECODERS if name not in ("top-p", "beam")),
    ],
)
def test_a_text_depends_on_seed_id_and_model_only(complete, tmp_path, name):
    """The same texts for batch sizes 1, 2, 7, 32, and in 1, 2, 3 shards."""
    words = ("--gen-subset", "valid", "--num-samples", 20, *DECODERS[name])
    found = []
    for size in (1, 2, 7, 32):
        complete(tmp_path / str(size), *words, "--batch-size", size)
        found.append(texts_of(tmp_path / str(size), "H"))
    assert sorted(found[0]) == list(range(20))
    assert len({text for texts in found[0].values() for text in texts}) >= 10
    assert found[1:] == found[:1] * 3
    for shards in (2, 3):
        parts = {}
        for shard in range(shards):
            folder = tmp_path / f"{shard}-{shards}"
            complete(
                folder,
                *words,
                "--batch-size",
                3,
                "--distributed-world-size",
                shards,
                "--distributed-rank",
                shard,
            )
            part = texts_of(folder, "H")
            assert not parts.keys() & part.keys()
            parts |= part
        assert parts == found[0]


def test_another_seed_gives_other_samples(complete, tmp_path):
    words = ("--gen-subset", "valid", "--num-samples", 10)
    found = {}
    for name, options in {"5": TOP_P, "6": (*TOP_P, "--seed", 6), "gumbel": DECODERS["gumbel"]}.items():
        complete(tmp_path / name, *words, *options)
        found[name] = texts_of(tmp_path / name)
    assert found["5"] != found["6"] and found["5"] != found["gumbel"]


def test_several_samples_of_a_prompt_differ(complete, tmp_path):
    complete(tmp_path, "--gen-subset", "valid", "--num-samples", 5, "--sampling", "--beam", 4, "--nbest", 4)
    for texts in texts_of(tmp_path).values():
        assert len(texts) == 4 and len(set(texts)) > 1


def test_blocked_ngrams_do_not_come_twice(complete, tmp_path):
    for name, options in {"free": GREEDY, "blocked": (*GREEDY, "--no-repeat-ngram-size", 2)}.items():
        complete(tmp_path / name, "--gen-subset", "valid", "--num-samples", 20, "--max-len-b", 40, *options)
    repeats = {}
    for name in ("free", "blocked"):
        pairs = [list(zip(t[0].split(), t[0].split()[1:])) for t in texts_of(tmp_path / name, "H").values()]
        repeats[name] = sum(len(one) - len(set(one)) for one in pairs)
    assert repeats["free"] > 0 == repeats["blocked"]


def test_prompts_come_from_a_file(complete, gpt2, text, tmp_path):
    """A prompt is ``</s>`` and its line; escapes are read; CRLF or no last line feed are the same."""
    from fairseq_plugin.corpus.folder import load_codec

    lines = ["The cat", "A\\nking\\\\n\tsings", "", "\u2028ö"]
    (tmp_path / "prompts.txt").write_bytes("\r\n".join(lines).encode())
    complete(tmp_path / "out", "--gen-subset", "prompts", "--prompts", tmp_path / "prompts.txt", *GREEDY)
    new, codec = texts_of(tmp_path / "out", "H", "prompts"), load_codec(text.folder)
    for i, line in enumerate(["The cat", "A\nking\\n\tsings", "", "\u2028ö"]):
        prompt = [2, *(one + 4 for one in codec.encode(line))]
        assert new[i] == [ids_of(greedy_by_hand(gpt2, prompt, 12))]
    rows = (tmp_path / "out" / "test_samples.tsv").read_text("utf-8").split("\n")[:-1]
    assert [row.partition("\t")[0] for row in rows] == ["The cat", "A\\nking\\\\n\\tsings", "", "\u2028ö"]


def test_texts_without_a_prompt_go_on_where_earlier_ones_stopped(complete, tmp_path):
    words = ("--gen-subset", "unconditional", *TOP_P)
    complete(tmp_path / "all", *words, "--num-samples", 7)
    complete(tmp_path / "rest", *words, "--num-samples", 3, "--first-sample", 4)
    whole, rest = (texts_of(tmp_path / name, "D", "unconditional") for name in ("all", "rest"))
    assert len(whole) == 7 and sorted(rest) == [4, 5, 6] and rest.items() <= whole.items()
    assert all(
        line.startswith("\t")
        for line in (tmp_path / "all" / "test_samples.tsv").read_text("utf-8").split("\n")[:-1]
    )


@pytest.mark.parametrize("options", [TOP_P, ("--beam", 3)])
def test_a_text_may_end_if_that_is_wanted(complete, tmp_path, options):
    """A text that ends by itself has one score more than tokens, and no end token among them."""
    complete(
        tmp_path,
        "--gen-subset",
        "valid",
        "--stop-at-end",
        "--min-len",
        3,
        "--max-len-b",
        50,
        "--num-samples",
        30,
        *options,
    )
    new, scores = texts_of(tmp_path, "H"), texts_of(tmp_path, "P")
    lengths = {i: len(texts[0].split()) for i, texts in new.items()}
    assert min(lengths.values()) >= 3 and max(lengths.values()) <= 50
    ended = [i for i, length in lengths.items() if len(scores[i][0].split()) == length + 1]
    assert len(ended) > 5
    assert all(lengths[i] == 50 for i in lengths.keys() - set(ended))


def test_interactive_continues_what_is_typed(text, learnt):
    """An empty line asks for a text without a beginning; equal lines get different samples."""
    typed = "The cat\n\nThe cat\nA\\nking\n"
    words = (
        text.folder,
        "--task",
        "open_ended_generation",
        "--path",
        learnt.checkpoint,
        "--cpu",
        "--max-len-b",
        9,
    )
    outputs = []
    for options in ([], ["--buffer-size", 4, "--batch-size", 4]):
        printed = in_process(
            "interactive", *words, "--sampling", "--beam", 2, "--nbest", 2, *options, stdin=typed
        )
        found = re.findall(r"^D-(\d)\t\S+\t(.*)$", printed, re.M)
        assert [int(number) for number, _ in found] == [0, 0, 1, 1, 2, 2, 3, 3]
        assert len({line for _, line in found}) > 5
        tokens = re.findall(r"^H-\d\t\S+\t(.*)$", printed, re.M)
        assert {len(line.split()) for line in tokens} == {9}
        outputs.append(found)
    assert outputs[0] == outputs[1]
    assert outputs[0][:2] != [("0", line) for _, line in outputs[0][4:6]]


def test_interactive_ends_a_text_with_the_positions(text, learnt, capfd):
    words = (
        text.folder,
        "--task",
        "open_ended_generation",
        "--path",
        learnt.checkpoint,
        "--cpu",
        "--beam",
        1,
    )
    printed = in_process("interactive", *words, "--buffer-size", 2, stdin="The cat sees the king.\nThe\n")
    lengths = [len(line.split()) for line in re.findall(r"^[SH]-\d\t(?:\S+\t)?(.*)$", printed, re.M)]
    assert lengths[0] + lengths[1] == lengths[2] + lengths[3] == 63  # and </s>
    for options in ([], ["--buffer-size", 3, "--batch-size", 3]):
        typed = "q" * 200 + "\n\udcff\nThe\n"
        printed = in_process("interactive", *words, *options, stdin=typed)
        assert re.findall(r"^D-(\d)", printed, re.M) == ["2"]  # the session goes on
        errors = [line for line in capfd.readouterr().err.split("\n") if line.startswith("error: ")]
        assert len(errors) == 2 and "line 0 " in errors[0] + errors[1] and "line 1 " in errors[0] + errors[1]
        assert "64 positions" in "".join(errors) and "not valid Unicode" in "".join(errors)


def test_a_refused_line_changes_no_other_text(text, learnt):
    words = (text.folder, "--task", "open_ended_generation", "--path", learnt.checkpoint, "--cpu",
             "--sampling", "--beam", 1, "--nbest", 1, "--max-len-b", 9)  # fmt: skip
    texts = [
        re.findall(r"^D-([02])\t\S+\t(.*)$", in_process("interactive", *words, stdin=typed), re.M)
        for typed in ("The\nA\nThe\n", f"The\n{'q' * 200}\nThe\n")
    ]
    assert texts[0] == texts[1] and len(texts[0]) == 2


@pytest.mark.parametrize("options", [GREEDY, ("--beam", 4, "--nbest", 2), TOP_P])
def test_a_stock_model_is_continued_by_fairseqs_generator(
    complete, stock_model, stream, text, tmp_path, options
):
    """Exactly so many new tokens, after a document's end too; greedy as by hand."""
    from fairseq import checkpoint_utils

    complete(tmp_path, "--gen-subset", "valid", "--path", stock_model, "--num-samples", 25, *options)
    new = texts_of(tmp_path, "H")
    assert sorted(new) == list(range(25))
    assert {len(text.split()) for texts in new.values() for text in texts} == {12}
    if options == GREEDY:
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task(
            [str(stock_model)], arg_overrides={"data": str(text.folder)}
        )
        over_an_end = next(i for i in range(25) if 2 in stream[8 * i + 1 : 8 * (i + 1)])
        for i in (0, 11, over_an_end):
            by_hand = greedy_by_hand(models[0].eval(), stream[8 * i : 8 * (i + 1)].tolist(), 12)
            assert new[i] == [ids_of(by_hand)]


def test_the_stock_command_gives_new_words(run_stock, text, learnt, tmp_path):
    """In a process of its own, as a user calls it."""
    run_stock(
        "fairseq-generate", text.folder, "--task", "open_ended_generation", "--path", learnt.checkpoint,
        "--cpu", "--gen-subset", "valid", "--prefix-tokens", 8, "--max-len-b", 12, "--results-path",
        tmp_path, *GREEDY,
    )  # fmt: skip
    assert {len(texts[0].split()) for texts in texts_of(tmp_path, "H").values()} == {12}


def test_fairseqs_hub_interface_takes_and_gives_texts(text, learnt, gpt2):
    """What ``fairseq-interactive`` would print for the same words, greedily."""
    from fairseq_plugin.models.gpt2 import GPT2LanguageModel

    where = (str(learnt.folder), learnt.checkpoint.name, str(text.folder))
    hub = GPT2LanguageModel.from_pretrained(*where)
    found = hub.sample(["The cat", "Nobody"], beam=1, max_len_b=10)
    codec, dictionary = hub.task.codec, hub.task.dictionary
    for prompt, continued in zip(("The cat", "Nobody"), found):
        tokens = [2, *(dictionary.index(str(one)) for one in codec.encode(prompt))]
        new = greedy_by_hand(gpt2, tokens, 10)
        assert continued == codec.decode(int(dictionary[one]) for one in new)
