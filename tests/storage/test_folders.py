"""Publishing: whole or not there, and nothing is replaced that was not there at the start."""

import json
import os
import subprocess
import sys

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import temporary_name
from fairseq_plugin.storage.folders import Place, check_place, publish_prepared, whole_folder
from fairseq_plugin.storage.lock import owned


def fill(folder, text="new"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(text)
    (folder / "deep").mkdir(exist_ok=True)
    (folder / "deep" / "a").write_text(text)


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


NEW, OLD = ({"manifest.json": text, "deep/a": text} for text in ("new", "old"))


def test_a_folder_appears_whole_and_nothing_is_left_beside_it(tmp_path):
    with whole_folder(tmp_path / "deep" / "a") as building:
        fill(building)
        assert not (tmp_path / "deep" / "a").exists()
    assert content(tmp_path / "deep" / "a") == NEW
    assert os.listdir(tmp_path / "deep") == ["a"]
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "deep" / "a").stat().st_mode & 0o777 == 0o777 & ~mask


def test_what_was_seen_at_the_start_is_replaced_and_an_error_leaves_it(tmp_path):
    fill(tmp_path / "a", "old")
    with pytest.raises(KeyError), whole_folder(tmp_path / "a") as building:
        fill(building)
        raise KeyError
    assert content(tmp_path / "a") == OLD
    with whole_folder(Place.look(tmp_path / "a")) as building:
        fill(building)
    assert content(tmp_path / "a") == NEW and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("stood", [None, "old", "empty"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_appears_or_changes_meanwhile_is_never_replaced(tmp_path, stood, overwrite):
    path = tmp_path / "a"
    if stood == "empty":
        path.mkdir()
    elif stood:
        fill(path, "old")
    place = Place.look(path)

    def build(building):
        fill(building)
        if stood == "old":
            os.rename(path, tmp_path / "moved")
        fill(path, "other")  # another program's

    with pytest.raises(UserError, match="--to .*a (has appeared|has changed|holds other)"):
        publish_prepared(place, overwrite, build)
    assert set(content(path).values()) == {"other"}
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_a_folder_that_got_one_more_file_is_not_replaced(tmp_path):
    fill(tmp_path / "a", "old")
    with pytest.raises(UserError, match="has changed since"), whole_folder(tmp_path / "a") as building:
        fill(building)
        (tmp_path / "a" / "notes").write_text("mine")
    assert content(tmp_path / "a") == OLD | {"notes": "mine"}


def test_a_file_or_a_link_that_appears_is_not_replaced(tmp_path):
    for name, make in {"f": "touch", "l": "symlink_to"}.items():
        with pytest.raises(UserError, match="has appeared"), whole_folder(tmp_path / name) as building:
            fill(building)
            getattr(tmp_path / name, make)(*([tmp_path / "nowhere"] if name == "l" else []))
        assert os.path.lexists(tmp_path / name) and not (tmp_path / name).is_dir()


def test_prepared_data_are_kept_when_equal_and_replaced_on_request_only(tmp_path):
    fill(tmp_path / "a")
    same = lambda: ((tmp_path / "a").stat().st_ino, (tmp_path / "a").stat().st_mtime_ns)  # noqa: E731
    before = same()
    assert publish_prepared(check_place(tmp_path / "a", "manifest.json"), False, fill)
    assert same() == before
    other = lambda building: fill(building, "newer")  # noqa: E731
    with pytest.raises(UserError, match="pass --overwrite"):
        publish_prepared(check_place(tmp_path / "a", "manifest.json"), False, other)
    assert not publish_prepared(check_place(tmp_path / "a", "manifest.json"), True, other)
    assert content(tmp_path / "a") == {"manifest.json": "newer", "deep/a": "newer"}


def test_two_at_once_cannot_write_one_folder(tmp_path):
    with owned(tmp_path / "a"), pytest.raises(UserError, match="in use by process"):
        whole_folder(tmp_path / "a").__enter__()


PUBLISH = """
import os, signal, sys
from pathlib import Path
from fairseq_plugin.storage import folders
renames = []
def rename(source, destination):
    renames.append(destination)
    if len(renames) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, destination)
real, os.rename = os.rename, rename
with folders.whole_folder(sys.argv[1]) as building:
    (building / "manifest.json").write_text("new")
    (building / "deep").mkdir()
    (building / "deep" / "a").write_text("new")
"""


@pytest.mark.parametrize("rename", [1, 2])
def test_a_kill_at_either_rename_loses_nothing_and_the_next_run_cleans_up(
    tmp_path, rename, repo_root, caplog
):
    fill(tmp_path / "a", "old")
    done = subprocess.run([sys.executable, "-c", PUBLISH, tmp_path / "a", str(rename)], cwd=repo_root)
    assert done.returncode == -9
    assert (tmp_path / "a").exists() == (rename == 1) and len(os.listdir(tmp_path)) > 1
    place = Place.look(tmp_path / "a")
    assert content(tmp_path / "a") == OLD
    with whole_folder(place) as building:
        fill(building)
    assert content(tmp_path / "a") == NEW and os.listdir(tmp_path) == ["a"]


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    living = temporary_name(tmp_path / "a")
    dead = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{2**22 + 7}-"))
    others = [tmp_path / ".a.old", tmp_path / ".a.mine.tmp", tmp_path / ".ab.x-1-aaaaaaaa.tmp"]
    for folder in (living, dead, *others):
        fill(folder)
    with whole_folder(tmp_path / "a") as building:
        fill(building)
    assert not dead.exists() and all(folder.is_dir() for folder in (living, *others))


def test_a_place_with_other_things_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_text("")
    (tmp_path / "file").write_text(json.dumps({}))
    for name, words in {"photos": "holds other things", "file": "is a file or a link"}.items():
        with pytest.raises(UserError, match=words):
            check_place(tmp_path / name, "manifest.json")
