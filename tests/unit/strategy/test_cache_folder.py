"""Code that Numba keeps compiled lies in a folder that its user alone can write: Numba runs what it finds there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from backtune.strategy.loading import load_module
from backtune.strategy.modules import StrategyModule

MAIN = StrategyModule("kept", "OPTIONS = 'cache=True'\n", is_package=False, path="/somewhere/kept.py")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder, and no folder for caches."""
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"backtune-strategies-{os.getuid()}"


def _file_of(folder: Path) -> str:
    # Another text makes another namespace, which this process has not loaded yet.
    main = StrategyModule("kept", MAIN.source + f"# {folder}\n", is_package=False, path=MAIN.path)
    return str(load_module(main, ()).__file__)


def test_a_temporary_folder_of_our_own_is_used(temporary):
    assert _file_of(temporary).startswith(f"{temporary}/")
    assert temporary.stat().st_mode & 0o077 == 0


def test_one_that_is_open_to_others_is_not(temporary):
    temporary.mkdir()
    temporary.chmod(0o777)
    assert _file_of(temporary) == MAIN.path


def test_a_link_to_elsewhere_is_not(temporary, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    temporary.symlink_to(tmp_path / "elsewhere")
    assert _file_of(temporary) == MAIN.path
