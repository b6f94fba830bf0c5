"""A sealed file is read as it was written, or not at all."""

import random

import pytest

from fairseq_plugin.storage.sealed import KEY, read_sealed, write_sealed

CONTENT = {"text": '\u2028 \\ " \u00e9', "seconds": 1e-05, "rows": [1, None, True]}


def test_what_was_written_is_read_with_its_digest(tmp_path):
    write_sealed(tmp_path / "a.json", CONTENT)
    found = read_sealed(tmp_path / "a.json")
    assert found is not None and len(found.pop(KEY)) == 64
    assert found == CONTENT


def test_200_flipped_bits_and_every_cut_give_nothing(tmp_path):
    path, chance = tmp_path / "a.json", random.Random(1)
    write_sealed(path, CONTENT)
    whole = path.read_bytes()
    for _ in range(200):
        bit = chance.randrange(8 * len(whole))
        path.write_bytes(
            bytes(byte ^ (1 << bit % 8) if i == bit // 8 else byte for i, byte in enumerate(whole))
        )
        assert read_sealed(path) is None
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_sealed(path) is None


@pytest.mark.parametrize(
    "written", [b"[]", b"7", b"{}", b'{"sha256": 1}', b'"\\ud800"', b"[" * 100_000, b"\xff"]
)
def test_other_json_and_what_is_none_give_nothing(tmp_path, written):
    (tmp_path / "a.json").write_bytes(written)
    assert read_sealed(tmp_path / "a.json") is None
