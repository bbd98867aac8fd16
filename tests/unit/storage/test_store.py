from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from backtune.errors import CatalogError
from backtune.storage.store import LocalStore, open_store


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("root", ["gs://bucket/x", "s3://", "https://host/x"])
def test_unknown_places(root):
    with pytest.raises(CatalogError, match="write a folder, or s3://bucket/prefix"):
        open_store(root)


def test_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/market").describe("a") == str(tmp_path / "market" / "a")


def test_opening_creates_nothing(tmp_path):
    store = open_store(tmp_path / "market")
    assert store.list() == []
    assert store.read("x") is None
    assert not (tmp_path / "market").exists()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    store = LocalStore(tmp_path)
    store.write("a/b.bin", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    with pytest.raises(CatalogError, match=r"b\.bin: cannot be written: No space left on device"):
        store.write("a/b.bin", b"new")
    monkeypatch.undo()
    assert store.read("a/b.bin") == b"old"
    assert _files(tmp_path) == ["b.bin"]


def test_files_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        LocalStore(tmp_path).write("x", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_exclusive_keeps_others_out_and_leaves_no_file(tmp_path):
    store, order = LocalStore(tmp_path / "market"), []
    entered = threading.Event()

    def wait_for_turn() -> None:
        entered.set()
        with LocalStore(tmp_path / "market").exclusive():
            order.append("second")

    with store.exclusive():
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
        LocalStore(tmp_path).read("folder")
