"""What is decided by the size of a text and by the speed of a machine, and kept for the next call."""

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.imitation.recipe import Recipe, check_begun, chosen_sizes, sizes_for
from fairseq_plugin.imitation.request import ImitationRequest


@pytest.fixture
def request_of(tmp_path):
    """``request_of(minutes=2)``: a request for a text that is there."""
    (tmp_path / "a.txt").write_text("text")

    def make(**changed):
        return ImitationRequest(tmp_path / "a.txt", tmp_path / "out", **changed)

    return make


def test_a_larger_text_gets_a_larger_model():
    found = [sizes_for(size, False)[0] for size in (1, 299_999, 300_000, 4_999_999, 5_000_000, 10**9)]
    assert [(sizes.layers, sizes.width, sizes.vocab_size) for sizes in found] == [
        (4, 128, 512), (4, 128, 512), (6, 256, 1000), (6, 256, 1000), (6, 384, 4000), (6, 384, 4000),
    ]  # fmt: skip
    assert sizes_for(10**9, True)[0].layers is None


def test_updates_are_what_fits_into_the_time_and_at_most_forty_passes():
    (sizes,) = sizes_for(100_000, False)  # 8 x 128 tokens an update
    assert Recipe.fit(sizes, 10**6, speed=10.0, minutes=2.0) == Recipe(updates=1080, every=54, warmup=55)
    assert Recipe.fit(sizes, 10_240, speed=10.0, minutes=2.0).updates == 40 * 10
    assert Recipe.fit(sizes, 10_240, speed=0.001, minutes=0.1).updates == 25
    assert Recipe.fit(sizes, 10**6, speed=10.0, minutes=6.0).every == -(-3240 // 25)
    assert Recipe.fit(sizes, 10**8, speed=100.0, minutes=60.0).warmup == 100


def test_a_slow_machine_gets_a_smaller_network_and_keeps_it(request_of, tmp_path):
    large, *_, small = sizes_for(1_000_000, False)
    slow = Recipe.fit(large, 400_000, speed=0.5, minutes=6.0)
    assert not slow.is_enough(large, 400_000)
    assert Recipe.fit(large, 400_000, speed=2.0, minutes=6.0).is_enough(large, 400_000)
    # Forty passes over a short text are enough, however few updates that makes.
    assert Recipe.fit(large, 10_000, speed=2.0, minutes=6.0).is_enough(large, 10_000)
    path = tmp_path / "recipe"
    assert chosen_sizes(path, (large, small)) == large
    for sizes in (large, small):
        slow.save(path, request_of(), sizes)
        assert chosen_sizes(path, (large, small)) == sizes


def test_a_run_goes_on_with_its_own_settings_only(request_of, tmp_path):
    path = tmp_path / "recipe"
    check_begun(path, request_of())  # nothing begun
    made = Recipe(100, 4, 6)
    made.save(path, request_of(minutes=2.0), sizes_for(1, False)[0])
    assert Recipe.load(path) == made
    check_begun(path, request_of(minutes=2))
    for changed, told in (
        ({"minutes": 3}, "--minutes 2, not 3"),
        ({"minutes": 2, "gamma": 0.5}, "--gamma 1, not 0.5"),
        ({"minutes": 2, "seed": 7}, "--seed 1, not 7"),
        ({"minutes": 2, "pretrained": tmp_path}, "--from nothing, not /"),
    ):
        with pytest.raises(UserError, match=f"was begun with {told}"):
            check_begun(path, request_of(**changed))


def test_recipes_of_older_runs_are_read(request_of, tmp_path):
    path = tmp_path / "recipe"
    path.write_text("updates 48\nevery 2\nminutes 0.50\nwarmup 3\ngamma 1\nseed 1\nfrom \nlayers 4\n")
    assert Recipe.load(path) == Recipe(48, 2, 3)
    check_begun(path, request_of(minutes=0.5))
    path.write_text("updates 48\nevery two\n")
    with pytest.raises(UserError, match="damaged"):
        Recipe.load(path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"minutes": 0.0}, "--minutes 0 must be a number above 0"),
        ({"minutes": float("nan")}, "--minutes nan"),
        ({"minutes": float("inf")}, "--minutes inf"),
        ({"gamma": 0.0}, "--gamma 0 must be in"),
        ({"gamma": 1.5}, "--gamma 1.5 must be in"),
        ({"seed": -1}, "--seed -1 must be between"),
    ],
)
def test_what_cannot_be_meant_is_refused(request_of, changed, told):
    with pytest.raises(UserError, match=told):
        request_of(**changed).check()


def test_a_text_gives_the_run_its_name(tmp_path):
    (tmp_path / "plays").mkdir()
    for name in ("input.txt", "my.book.txt"):
        (tmp_path / "plays" / name).write_text("a")
    names = [
        ImitationRequest(tmp_path / "plays" / name, tmp_path).name
        for name in ("input.txt", "my.book.txt", "")
    ]
    assert names == ["plays", "my.book", "plays"]
