from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from backtune.errors import CatalogError
from backtune.storage.local_folder import LocalFolder
from backtune.storage.storage import open_storage


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("root", ["gs://bucket/x", "s3://", "https://host/x"])
def test_unknown_places(root):
    with pytest.raises(CatalogError, match="write a folder, or s3://bucket/prefix"):
        open_storage(root)


def test_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_storage("~/market").describe("a") == str(tmp_path / "market" / "a")


def test_opening_creates_nothing(tmp_path):
    storage = open_storage(tmp_path / "market")
    assert storage.list_files() == []
    assert storage.read("x") is None
    assert not (tmp_path / "market").exists()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    storage = LocalFolder(tmp_path, CatalogError)
    storage.write("a/b.bin", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    with pytest.raises(CatalogError, match=r"b\.bin: cannot be written: No space left on device"):
        storage.write("a/b.bin", b"new")
    monkeypatch.undo()
    assert storage.read("a/b.bin") == b"old"
    assert _files(tmp_path) == ["b.bin"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        for content in (b"first", b"second"):
            LocalFolder(tmp_path, CatalogError).write("a/x", content)
            assert stat.S_IMODE((tmp_path / "a" / "x").stat().st_mode) == mode
    finally:
        os.umask(before)


def test_the_lock_keeps_others_out_and_leaves_no_file(tmp_path):
    storage, order = LocalFolder(tmp_path / "market", CatalogError), []
    entered = threading.Event()

    def wait_for_turn() -> None:
        entered.set()
        with LocalFolder(tmp_path / "market", CatalogError).lock():
            order.append("second")

    with storage.lock():
        other = threading.Thread(target=wait_for_turn)
        other.start()
        entered.wait()
        other.join(0.05)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert _files(tmp_path) == []


def test_unreadable_file_is_a_catalog_error(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CatalogError, match="folder: cannot be read"):
        LocalFolder(tmp_path, CatalogError).read("folder")


def test_leftovers_of_a_writer_are_removed(tmp_path):
    storage = LocalFolder(tmp_path, CatalogError)
    storage.write("a/b", b"")
    for name in (".123.part", "own.part", ".hidden"):
        (tmp_path / "a" / name).touch()
    storage.remove_leftovers("a")
    assert _files(tmp_path) == [".hidden", "b", "own.part"]


def test_a_file_that_is_held_is_refused_to_others(tmp_path):
    holder, other = (LocalFolder(tmp_path, CatalogError) for _ in range(2))
    with holder.hold(".lock"), pytest.raises(BlockingIOError), other.hold(".lock"):
        pass
