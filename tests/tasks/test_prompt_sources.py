"""Prompts out of a running text and out of files."""

import numpy as np
import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.tasks.prompt_sources import check_room, prefixes, read_prompts, take


@pytest.mark.parametrize("tokens, length", [(10, 3), (9, 3), (3, 3), (11, 1)])
def test_prefixes_are_consecutive_and_every_token_is_in_one_or_counted(tokens, length):
    stream = np.arange(tokens)
    found, left = prefixes(stream, length, "valid")
    assert [row.tolist() for row in found] == [
        list(range(i * length, (i + 1) * length)) for i in range(tokens // length)
    ]
    assert left == tokens % length


@pytest.mark.parametrize("tokens, length", [(0, 1), (2, 3), (5, 0), (5, -1)])
def test_a_text_without_a_whole_prefix_is_refused(tokens, length):
    with pytest.raises(UserError, match="--prefix-tokens"):
        prefixes(np.arange(tokens), length, "valid")


def test_a_part_of_the_prompts_keeps_its_ids():
    prompts = list("abcdef")
    assert take(prompts, 0, None, "prompts") == (range(6), prompts)
    assert take(prompts, 2, None, "prompts") == (range(2, 6), prompts[2:])
    assert take(prompts, 2, 3, "prompts") == (range(2, 5), prompts[2:5])
    for first, number in ((6, None), (5, 2), (0, 7)):
        with pytest.raises(UserError, match="there are 6 prompts"):
            take(prompts, first, number, "prompts")


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"a\nb", ["a", "b"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\r\n b \r\n", ["a", " b "]),
        (rb"a\nb\tc\\n\q" + b"\n", ["a\nb\tc\\n\\q"]),
        ("\u2028\x85x\n\x0b".encode(), ["\u2028\x85x", "\x0b"]),
    ],
)
def test_a_line_is_a_prompt_whatever_stands_in_it(tmp_path, content, expected):
    (tmp_path / "p.txt").write_bytes(content)
    found = read_prompts(tmp_path / "p.txt", "--prompts", lambda text: list(text.encode()))
    assert found == [(text, list(text.encode())) for text in expected]


def test_a_line_that_cannot_be_encoded_is_named(tmp_path):
    def encode(text):
        if text == "bad":
            raise UserError("it has no ids")
        return [1]

    (tmp_path / "p.txt").write_text("good\nbad\n")
    with pytest.raises(UserError, match="line 2: it has no ids"):
        read_prompts(tmp_path / "p.txt", "--prompts", encode)


def test_room_is_measured_by_the_longest_prompt():
    check_room([[1] * 3, [1] * 5], 5, 10)
    with pytest.raises(UserError, match="prompt 1 of 5 tokens.*give --max-len-b 5 or less"):
        check_room([[1] * 3, [1] * 5], 6, 10)
    with pytest.raises(UserError, match="give shorter prompts$"):
        check_room([[1] * 10], 1, 10)
