"""Catalogs behave alike on a local disk and on S3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from buckets import empty_bucket, s3_server, s3_variables

from backtune.data.catalog import Catalog
from backtune.data.check import check_catalog
from backtune.data.load import load_bars
from backtune.data.synthetic import make_market, synthetic_bars
from backtune.errors import CatalogError, FingerprintError
from backtune.storage.storage import open_storage


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(server, monkeypatch) -> str:
    """The address of an empty bucket."""
    for name, value in s3_variables(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    return empty_bucket(server, "market-data")


@pytest.fixture(params=["local", "s3"])
def root(request, tmp_path) -> str:
    if request.param == "local":
        return str(tmp_path / "market")
    return f"{request.getfixturevalue('bucket')}/some/prefix"


def test_names_are_whole(root):
    assert open_storage(root).describe("a/b") == f"{root}/a/b"
    assert open_storage(root).describe().rstrip("/") == root


def test_catalog_round_trip(root):
    window = {"timeframe": "15m", "start": "2018-12-01", "end": "2019-02-01"}
    make_market(root, assets=["A", "B"], seed=5, **window)
    catalog = Catalog.open(root)
    assert catalog.assets() == ["A", "B"]
    bars = load_bars(root, "A", "15m")
    assert bars.to_frame().equals(synthetic_bars("A", "15m", "2018-12-01", "2019-02-01", seed=5).to_frame())
    assert len(load_bars(root, "B", "4h", "2018-12-15", "2019-01-15")) == 31 * 6
    assert catalog.write("A", "15m", bars.to_frame()) == []
    assert [report.problem for report in check_catalog(root)] == [None] * 4


def test_fingerprint_is_the_same_everywhere(bucket, tmp_path):
    prints = set()
    for root in (str(tmp_path), f"{bucket}/x"):
        make_market(root, assets=["A"], timeframe="1h", start="2018-01-01", end="2018-02-01", seed=5)
        prints.add(Catalog.open(root).fingerprint("A", "4h"))
    assert len(prints) == 1


def test_damage_is_seen(root):
    make_market(root, assets=["A"], timeframe="1h", start="2018-01-01", end="2018-02-01", seed=5)
    storage, path = open_storage(root), Catalog.open(root).all_partitions()[0].path
    storage.write(path, (storage.read(path) or b"")[:-1])
    with pytest.raises(FingerprintError, match=r"year=2018/bars\.parquet: SHA-256 is"):
        load_bars(root, "A", "1h")


@pytest.mark.parametrize(
    "act", [lambda s: s.read("x"), lambda s: s.list_files(), lambda s: s.write("x", b"1")]
)
def test_absent_bucket_is_named(bucket, act):
    with pytest.raises(CatalogError, match="there is no bucket 'absent' at http"):
        act(open_storage("s3://absent/prefix"))


def test_absent_catalog_says_the_way_out(bucket):
    with pytest.raises(CatalogError, match=r"s3://market-data/x: holds no market data.*backtune data import"):
        Catalog.open(f"{bucket}/x")


def test_server_that_does_not_answer_is_named(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(
        CatalogError, match=r"http://127\.0\.0\.1:9 does not answer; check AWS_ENDPOINT_URL"
    ) as caught:
        Catalog.open(bucket)
    assert "\n" not in str(caught.value)
