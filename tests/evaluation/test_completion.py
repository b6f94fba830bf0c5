"""The completion protocol: which prefixes, what follows them, and that a kill loses no finished text."""

import json

import numpy as np
import pytest
import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation import completion
from fairseq_plugin.evaluation.completion import (
    Protocol,
    choose_prefixes,
    complete,
    human_continuations,
    prefix_of,
)  # fmt: skip
from fairseq_plugin.evaluation.continuations import continuation_column
from fairseq_plugin.evaluation.decodings import parse_decodings
from tests.evaluation.made_text import system
from tests.reference import language_model_metrics as oracle

GREEDY, TOP_K = parse_decodings("greedy,top-k=8")
SHORT = Protocol(prefix_tokens=10, new_tokens=12, max_prefixes=7)


def test_prefixes_are_consecutive_and_do_not_overlap():
    stream = np.arange(100)
    protocol = Protocol(prefix_tokens=10, new_tokens=25)
    prefixes = choose_prefixes(100, protocol)
    assert prefixes.numbers == [0, 1, 2, 3, 4, 5, 6] and prefixes.num_prefixes == 10
    assert [prefix_of(stream, number, protocol)[0] for number in prefixes.numbers] == [
        0,
        10,
        20,
        30,
        40,
        50,
        60,
    ]
    people = human_continuations(stream, prefixes.numbers, protocol)
    assert people[6] == list(range(70, 95)) and {len(text) for text in people.values()} == {25}
    assert "3 at the end are left out" in str(prefixes)


@pytest.mark.parametrize("num_tokens", [150, 151, 199, 200, 1234])
def test_each_prefix_has_a_whole_human_continuation_and_none_that_has_is_left_out(num_tokens):
    found = choose_prefixes(num_tokens, Protocol()).numbers
    assert found == [i for i in range(100) if i * 50 + 150 <= num_tokens]


def test_fewer_prefixes_are_spread_evenly():
    numbers = choose_prefixes(5000, Protocol(max_prefixes=10)).numbers
    assert len(numbers) == 10 and numbers[0] == 0
    assert set(np.diff(numbers)) <= {9, 10}
    assert choose_prefixes(5000, Protocol(max_prefixes=10**6)).numbers == list(range(98))


@pytest.mark.parametrize(
    ("num_tokens", "protocol", "word"),
    [
        (149, Protocol(), "too few for one prefix of 50 and its human continuation of 100"),
        (1000, Protocol(prefix_tokens=0), "--prefix-tokens 0"),
        (1000, Protocol(new_tokens=0), "--new-tokens 0"),
        (1000, Protocol(max_prefixes=-1), "--max-prefixes -1"),
    ],
)
def test_a_protocol_that_gives_nothing_is_refused(num_tokens, protocol, word):
    with pytest.raises(UserError, match=word):
        choose_prefixes(num_tokens, protocol)


def test_continuations_are_the_models_own_words_after_exactly_the_prefix(text):
    one = system(text, seed=2)
    made = complete(one, text, GREEDY, SHORT, [0, 3, 5], batch=2)
    for number, tokens in made.items():
        prompt = text.stream[number * 10 : number * 10 + 10].tolist()
        assert tokens == oracle.greedy(one.gpt2, prompt, 12, [2])


@pytest.mark.parametrize("decoding", [GREEDY, TOP_K])
def test_the_batch_and_the_other_prefixes_do_not_matter(text, decoding):
    one = system(text)
    numbers = list(range(9))
    made = complete(one, text, decoding, SHORT, numbers, batch=9)
    assert complete(one, text, decoding, SHORT, numbers, batch=2) == made
    assert complete(one, text, decoding, SHORT, [7], batch=1) == {7: made[7]}


def test_too_long_texts_are_refused_before_anything_is_decoded(text):
    with pytest.raises(UserError, match="exceed the 64 positions of tiny"):
        complete(system(text), text, GREEDY, Protocol(40, 25), [0])


class Killed(Exception):
    pass


def test_a_killed_evaluation_goes_on_where_it_stopped(text, tmp_path, monkeypatch):
    one, numbers = system(text), list(range(8))
    whole = complete(one, text, TOP_K, SHORT, numbers)
    decoded = []

    def dies(gpt2, decoding, prompts, ids, **options):
        if len(decoded) == 4:
            raise Killed
        decoded.extend(ids)
        return real(gpt2, decoding, prompts, ids, **options)

    real = completion.continue_exactly
    monkeypatch.setattr(completion, "continue_exactly", dies)
    with pytest.raises(Killed):
        complete(one, text, TOP_K, SHORT, numbers, tmp_path, batch=2)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'{"id": 4, "continu')  # torn in the middle of a line
    later = []
    monkeypatch.setattr(completion, "continue_exactly", lambda *a, **o: later.extend(a[3]) or real(*a, **o))
    assert complete(one, text, TOP_K, SHORT, numbers, tmp_path, batch=3) == whole
    assert later == [4, 5, 6, 7]
    monkeypatch.setattr(completion, "continue_exactly", None)  # finished: nothing is decoded again
    assert complete(one, text, TOP_K, SHORT, numbers, tmp_path) == whole
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert sorted(line["id"] for line in lines) == numbers


def test_other_settings_do_not_find_each_others_texts(text, tmp_path):
    first, second = system(text, seed=1), system(text, seed=2)
    complete(first, text, TOP_K, SHORT, [0], tmp_path)
    complete(second, text, TOP_K, SHORT, [0], tmp_path)
    complete(first, text, GREEDY, SHORT, [0], tmp_path)
    complete(first, text, TOP_K, Protocol(10, 13), [0], tmp_path)
    complete(first, text, TOP_K, Protocol(10, 12, seed=2), [0], tmp_path)
    assert len(list(tmp_path.iterdir())) == 5
    complete(first, text, GREEDY, Protocol(10, 12, seed=2), [0], tmp_path)  # greedy has no seed
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize(
    "line",
    ["[]", '{"id": 0}', '{"id": "0", "continuation": []}', '{"id": 0, "continuation": [1, 2]}', "\x00"],
)
def test_a_damaged_line_is_named(text, tmp_path, line):
    complete(system(text), text, GREEDY, SHORT, [0], tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(UserError, match="line 3 is damaged"):
        complete(system(text), text, GREEDY, SHORT, [0, 1], tmp_path)


def test_nan_in_the_logits_stops(text, tmp_path):
    one = system(text)
    with torch.no_grad():
        one.gpt2.wpe.weight[15] = float("nan")
    with pytest.raises(UserError, match="tiny greedy, prefixes 3 to 5: .*NaN"):
        complete(one, text, GREEDY, SHORT, [3, 5], tmp_path)


def test_a_decoding_that_collapsed_into_long_words_is_not_called_diverse():
    """Nine of ten continuations are one word each; the tenth alone would have a diversity of 1."""
    words = [["aaaaaaaa"]] * 9 + [["a", "b", "c", "d", "e"]]
    column = continuation_column("x", [[7] * 20] * 10, words, "units")
    assert "diversity (words)" not in column.values and "seq-rep-4 (words)" not in column.values
    assert column.values["diversity"] < 0.1 and column.values["seq-rep-1 (words)"] == 0
    assert any("more than half" in note and "n = 2, 3, 4" in note for note in column.notes)
