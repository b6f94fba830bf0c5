"""A flipped bit in anything that an evaluation reads and we wrote is refused: no number comes of it."""

import json

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.evaluation.completion import Protocol, complete
from fairseq_plugin.evaluation.continuation_files import read_continuations
from fairseq_plugin.evaluation.decodings import parse_decodings
from fairseq_plugin.evaluation.split_text import load_split
from tests.evaluation.made_text import system, write_folder
from tests.storage.damage import flipped_bits

FLIPS = 200
PROTOCOL = Protocol(prefix_tokens=10, new_tokens=12, max_prefixes=20)


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory):
    """A prepared text of this module alone: it is damaged and restored again and again."""
    return write_folder(tmp_path_factory.mktemp("damaged") / "text")


def unnoticed(path, read):
    """Positions of flipped bytes that ``read()`` did not refuse."""
    found = []
    for place in flipped_bits(path, FLIPS):
        try:
            read()
        except UserError:
            continue
        found.append(place)
    return found


def files_of_test_split(folder):
    """All files of a prepared text folder but those of other splits."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(("train.", "valid.")))


def test_every_file_of_the_split_is_read_verified(own_folder):
    names = files_of_test_split(own_folder)
    assert {"test.bin", "test.idx", "dict.txt", "codec.json", "manifest.json"} < set(names)
    found = {name: unnoticed(own_folder / name, lambda: load_split(own_folder, "test")) for name in names}
    assert {name: places for name, places in found.items() if places} == {}
    load_split(own_folder, "test")  # restored


def test_saved_continuations_are_read_verified(own_folder, tmp_path):
    """By the evaluation that goes on with them, and as a file of --continuations."""
    text = load_split(own_folder, "test")
    (greedy,) = parse_decodings("greedy")
    one = system(text)
    numbers = list(range(20))
    made = complete(one, text, greedy, PROTOCOL, numbers, tmp_path)
    (path,) = tmp_path.iterdir()
    assert len(read_continuations(path).ids) == 20
    assert unnoticed(path, lambda: read_continuations(path)) == []

    def again():
        if complete(one, text, greedy, PROTOCOL, numbers, tmp_path) != made:
            raise AssertionError("other texts")

    content = path.read_bytes()
    for place in unnoticed(path, again):
        assert place == len(content) - 1  # the last line feed: the line counts as torn and is made again
    assert json.loads(path.read_bytes().split(b"\n")[0])["format"] == "completions"


def test_a_data_folder_without_the_split_names_the_mend(tmp_path):
    folder = write_folder(tmp_path / "two", splits=(("train", 30), ("valid", 5)))
    with pytest.raises(UserError, match="--split test: .* has only train, valid; give --split valid"):
        load_split(folder, "test")
