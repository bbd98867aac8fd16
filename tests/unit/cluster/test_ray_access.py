"""Ray's token: where it is looked for, how it is kept, who has to show it."""

import os
import stat
import subprocess
import sys

import pytest

from backtune.cluster import ray_access
from backtune.errors import ClusterError

VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def kept(home):
    return home / ".ray" / "auth_token"


def mode_of(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_token_is_readable_by_its_user_alone(kept, umask):
    before = os.umask(umask)
    try:
        assert ray_access.make_token_file() == kept
    finally:
        os.umask(before)
    assert mode_of(kept) == "0o600"
    assert mode_of(kept.parent) == "0o700"
    assert len(kept.read_text()) == 64
    assert [path.name for path in kept.parent.iterdir()] == ["auth_token"]


def test_a_token_that_is_there_stays_and_is_closed_to_others(kept):
    kept.parent.mkdir()
    kept.write_text("0f" * 32)
    kept.chmod(0o644)
    assert ray_access.is_readable_by_others(kept)
    ray_access.make_token_file()
    assert kept.read_text() == "0f" * 32
    assert mode_of(kept) == "0o600"
    assert not ray_access.is_readable_by_others(kept)


def test_an_empty_file_is_none(kept):
    kept.parent.mkdir()
    kept.touch()
    assert ray_access.find_token() is None
    ray_access.make_token_file()
    assert ray_access.find_token() == kept.read_text()


def test_another_file_may_be_named(home, kept, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "deep" / "er" / "token"))
    assert ray_access.make_token_file() == home / "deep" / "er" / "token"
    assert not kept.exists()


def test_several_programs_at_a_time_make_one_token(home):
    program = "from backtune.cluster.ray_access import *; make_token_file(); print(find_token())"
    several = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    said = {one.communicate(timeout=60)[0] for one in several}
    assert said == {f"{ray_access.find_token()}\n"}


def test_a_place_that_cannot_be_written_is_named(home, kept):
    (home / ".ray").write_text("")
    with pytest.raises(ClusterError, match=r"\.ray/auth_token: .*give another file in RAY_AUTH_TOKEN_PATH"):
        ray_access.make_token_file()


@pytest.mark.parametrize(
    ("variables", "file", "other", "found"),
    [
        ({}, None, None, None),
        ({}, "a\n", None, "a"),
        ({"RAY_AUTH_TOKEN_PATH": "other"}, "a", "b", "b"),
        ({"RAY_AUTH_TOKEN_PATH": "other"}, "a", None, None),
        ({"RAY_AUTH_TOKEN": "c", "RAY_AUTH_TOKEN_PATH": "other"}, "a", "b", "c"),
        ({"RAY_AUTH_TOKEN": ""}, "a", None, "a"),
    ],
)
def test_the_places_in_ray_s_order(home, kept, monkeypatch, variables, file, other, found):
    monkeypatch.chdir(home)
    kept.parent.mkdir()
    for path, text in ((kept, file), (home / "other", other)):
        if text is not None:
            path.write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ray_access.find_token() == found


def test_a_token_that_cannot_be_read_is_named(kept):
    kept.mkdir(parents=True)
    with pytest.raises(ClusterError, match=r"Ray's token cannot be read: .*correct .*/\.ray/auth_token"):
        ray_access.find_token()


@pytest.mark.parametrize(
    ("variables", "has_token", "said"),
    [
        ({}, False, "there is none in {file}; copy that of Ray's user"),
        ({}, True, "it was shown the one in {file}, which has to be that of Ray's user"),
        ({"RAY_AUTH_MODE": "token"}, True, "it was shown the one in {file}, which has to be that of Ray's user"),
        ({"RAY_AUTH_MODE": "disabled"}, True, "RAY_AUTH_MODE=disabled keeps the one in {file} back; unset RAY_AUTH_MODE"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "c"}, False,
         "it was shown the one in $RAY_AUTH_TOKEN, which has to be that of Ray's user"),
    ],
)  # fmt: skip
def test_an_error_says_which_token_was_shown(kept, monkeypatch, variables, has_token, said):
    if has_token:
        ray_access.make_token_file()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ray_access.describe_token() == said.format(file=kept)


TOKEN, LOOPBACK = {"RAY_AUTH_MODE": "token"}, {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@pytest.mark.parametrize(
    ("mode", "has_token", "address", "expected"),
    [
        (None, True, "http://10.0.0.1:8265", TOKEN),
        (None, False, "http://10.0.0.1:8265", {}),
        ("disabled", True, "10.0.0.1:6379", {}),
        (None, True, "127.0.0.1:6379", TOKEN | LOOPBACK),
        (None, False, "ray://localhost:10001", LOOPBACK),
        (None, False, "auto", {}),
        ("token", False, None, {}),
    ],
)
def test_what_a_client_adds_to_its_environment(kept, monkeypatch, mode, has_token, address, expected):
    if has_token:
        ray_access.make_token_file()
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    assert ray_access.client_variables(address) == expected


@pytest.mark.parametrize(
    ("mode", "has_token", "is_shown"),
    [
        (None, True, True),
        ("token", True, True),
        ("TOKEN", True, True),
        ("disabled", True, False),
        (None, False, False),
    ],
)
def test_the_header_shows_the_token_unless_the_mode_keeps_it_back(
    kept, monkeypatch, mode, has_token, is_shown
):
    if has_token:
        ray_access.make_token_file()
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    assert ray_access.token_header() == ({"Authorization": f"Bearer {kept.read_text()}"} if is_shown else {})


def test_every_private_cluster_has_a_token_of_its_own(kept):
    one, other = ray_access.private_variables(), ray_access.private_variables()
    assert one | {"RAY_AUTH_TOKEN": ""} == TOKEN | LOOPBACK | {"RAY_AUTH_TOKEN": ""}
    assert len(one["RAY_AUTH_TOKEN"]) == 64
    assert one["RAY_AUTH_TOKEN"] != other["RAY_AUTH_TOKEN"]
    assert not kept.exists()


def test_a_head_makes_a_token_and_asks_for_it(kept, monkeypatch):
    assert ray_access.head_variables() == TOKEN | LOOPBACK | {"RAY_AUTH_TOKEN_PATH": str(kept)}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "c")
    assert ray_access.head_variables() == TOKEN | LOOPBACK


@pytest.mark.parametrize("mode", ["disabled", "", "k8s"])
def test_a_head_without_a_token_is_refused(monkeypatch, mode):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(ClusterError, match=f"RAY_AUTH_MODE is '{mode}'; .*: unset RAY_AUTH_MODE"):
        ray_access.head_variables()


def test_the_environment_is_as_it_was_after_the_block(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "before")
    with ray_access.environment({"RAY_AUTH_TOKEN_PATH": "in it", "RAY_AUTH_MODE": "token"}):
        assert [os.environ.get(name) for name in VARIABLES] == ["token", None, "in it", None]
    assert [os.environ.get(name) for name in VARIABLES] == [None, None, "before", None]
