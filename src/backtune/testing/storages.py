"""The conformance suite of storages."""

from __future__ import annotations

import pytest

from backtune.storage.storage import Stamp, Storage


class StorageSuite:
    """The contract of a storage: whole files, and absence as a value, under the same paths in every place."""

    @pytest.fixture
    def storage(self) -> Storage:
        """Return the storage to test, which must be empty."""
        raise NotImplementedError("override the fixture 'storage'")

    def test_an_absent_file_is_a_value(self, storage: Storage) -> None:
        assert storage.read("a/b") is None
        assert storage.read_stamp("a/b") is None
        assert not storage.exists("a/b")
        assert not storage.is_held("a/b")

    def test_an_absent_folder_is_empty(self, storage: Storage) -> None:
        assert storage.list_files() == []
        assert storage.list_names("a") == []
        assert storage.list_files("a") == []
        assert list(storage.list_stamps("a", {"b"})) == []
        storage.remove("a/b")
        storage.remove_folder("a")
        storage.remove_leftovers("a")

    @pytest.mark.parametrize("size", [0, 1, 6_000_000])
    @pytest.mark.parametrize("is_durable", [False, True])
    def test_content_comes_back(self, storage: Storage, size: int, *, is_durable: bool) -> None:
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        storage.write("asset=A/x.bin", content, is_durable=is_durable)
        assert storage.read("asset=A/x.bin") == content
        assert storage.exists("asset=A/x.bin")

    def test_files_are_replaced(self, storage: Storage) -> None:
        storage.write("x", b"a longer content")
        storage.write("x", b"short")
        assert storage.read("x") == b"short"

    def test_below_a_file_there_is_nothing(self, storage: Storage) -> None:
        storage.write("a", b"")
        assert storage.read("a/b") is None
        assert storage.read_stamp("a/b") is None
        assert not storage.exists("a/b")
        assert storage.list_names("a/b") == []

    def test_files_are_listed_below_a_folder(self, storage: Storage) -> None:
        for path in ("b/2/x", "a", "b/1", "bb/1"):
            storage.write(path, b"")
        assert storage.list_files() == ["a", "b/1", "b/2/x", "bb/1"]
        assert storage.list_files("b") == ["b/1", "b/2/x"]
        assert storage.list_files("none") == []
        assert not storage.exists("b")

    def test_names_are_those_of_files_and_folders(self, storage: Storage) -> None:
        for path in ("b/2/x", "a", "b/1"):
            storage.write(path, b"")
        assert sorted(storage.list_names()) == ["a", "b"]
        assert sorted(storage.list_names("b")) == ["1", "2"]

    def test_a_removed_file_is_gone(self, storage: Storage) -> None:
        storage.write("a/b", b"")
        storage.write("a/c", b"")
        storage.remove("a/b")
        assert storage.list_names("a") == ["c"]

    def test_a_folder_is_removed_with_its_files(self, storage: Storage) -> None:
        for path in ("a/b", "a/c", "d"):
            storage.write(path, b"")
        storage.remove_folder("a")
        assert storage.list_names() == ["d"]

    def test_leftovers_are_no_files(self, storage: Storage) -> None:
        storage.write("a/b", b"")
        storage.remove_leftovers("a")
        assert storage.list_files() == ["a/b"]

    def test_stamps_tell_a_changed_folder(self, storage: Storage) -> None:
        def read_stamps() -> dict[str, Stamp | None]:
            return dict(storage.list_stamps("studies", {"a", "b", "none"}))

        for path in ("studies/a/1", "studies/b/1", "studies/c/1"):
            storage.write(path, b"")
        before = read_stamps()
        assert before.keys() == {"a", "b"}
        storage.write("studies/a/2", b"")
        # Without a stamp, a change is too recent to be told from the next one.
        assert read_stamps()["a"] is None or read_stamps()["a"] != before["a"]

    def test_the_stamp_of_a_file_is_its_time(self, storage: Storage) -> None:
        storage.write("a", b"")
        stamp = storage.read_stamp("a")
        assert stamp is not None
        assert 1.7e18 < stamp[0] < 4e18

    def test_the_holder_of_a_lock_may_write(self, storage: Storage) -> None:
        with storage.lock():
            storage.write("x", b"1")
        assert storage.read("x") == b"1"

    def test_a_file_is_held_by_one(self, storage: Storage) -> None:
        with storage.hold("a/.lock"):
            assert storage.is_held("a/.lock")
        assert not storage.is_held("a/.lock")
        with storage.hold("a/.lock"):
            pass
