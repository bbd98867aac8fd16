"""Names of places."""

from pathlib import Path

import pytest

from backtune.errors import SpecError
from backtune.results.runs_folder import locate_runs_folder
from backtune.spec import Data, base_folder
from backtune.storage.location import S3Path, parse_location, resolve_location


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket/a/b", "bucket", "a/b"),
        ("s3://bucket//a/b/", "bucket", "a/b"),
        ("s3://bucket/asset=A/year=2018", "bucket", "asset=A/year=2018"),
    ],
)
def test_a_name_in_s3_has_a_bucket_and_a_key(text, bucket, key):
    path = parse_location(text)
    assert isinstance(path, S3Path)
    assert (path.bucket, path.key) == (bucket, key)
    assert str(path) == f"s3://{bucket}/{key}".rstrip("/")
    assert path.resolve() == path


@pytest.mark.parametrize("text", ["s3://", "s3:///key", "gs://bucket/key", "https://bucket/key", "://"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(SpecError, match="is not a place; write a folder, or s3://bucket/prefix"):
        parse_location(text)


def test_keys_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(
        SpecError, match=r"^data\.root: an address holds no keys; AWS_ACCESS_KEY_ID and"
    ) as caught:
        Data(root="s3://AKIA123:hidden@bucket/market")
    assert "hidden" not in str(caught.value)


def test_it_is_taken_apart_as_a_path_is():
    path = parse_location("s3://bucket/runs") / "sweep" / "studies/one"
    assert str(path) == "s3://bucket/runs/sweep/studies/one"
    assert path.name == "one"
    assert str(path.parent.parent) == "s3://bucket/runs/sweep"
    assert parse_location("s3://bucket").parent == parse_location("s3://bucket")
    assert parse_location("s3://bucket").name == ""
    assert hash(path) == hash(parse_location(str(path)))


@pytest.mark.parametrize(
    ("base", "text", "whole"),
    [
        ("/home/me", "runs", "/home/me/runs"),
        ("/home/me", "/srv/runs", "/srv/runs"),
        ("/home/me", "s3://bucket/runs", "s3://bucket/runs"),
        ("s3://bucket/home", "runs", "s3://bucket/home/runs"),
        ("s3://bucket/home", "./runs", "s3://bucket/home/runs"),
        ("s3://bucket/home", "/srv/runs", "/srv/runs"),
        ("s3://bucket/home", "s3://other/runs", "s3://other/runs"),
    ],
)
def test_relative_places_start_at_the_base(base, text, whole):
    assert str(resolve_location(parse_location(base), text)) == whole


@pytest.mark.parametrize(
    ("home", "runs", "data", "expected"),
    [
        ("s3://bucket/backtune", None, "data/market", ("s3://bucket/backtune/runs", "s3://bucket/backtune/data/market")),
        ("s3://bucket/backtune", "s3://other/runs", "s3://x/y", ("s3://other/runs", "s3://x/y")),
        ("/srv/backtune", "/mnt/runs", "data/market", ("/mnt/runs", "/srv/backtune/data/market")),
    ],
)  # fmt: skip
def test_the_environment_says_where_data_and_results_are(monkeypatch, home, runs, data, expected):
    monkeypatch.setenv("BACKTUNE_HOME", home)
    monkeypatch.delenv("BACKTUNE_RUNS", raising=False)
    if runs is not None:
        monkeypatch.setenv("BACKTUNE_RUNS", runs)
    assert str(base_folder()) == home
    assert (str(locate_runs_folder()), Data(root=data).location) == expected


def test_without_a_word_it_is_the_current_folder(monkeypatch, tmp_path):
    for name in ("BACKTUNE_HOME", "BACKTUNE_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert locate_runs_folder() == Path.cwd() / "runs"
