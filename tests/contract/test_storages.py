"""Every storage keeps the contract of ``Storage``."""

from __future__ import annotations

import pytest
from buckets import empty_bucket, s3_server, s3_variables

from backtune.errors import ResultsError
from backtune.storage.bucket import Bucket
from backtune.storage.local_folder import LocalFolder
from backtune.testing import StorageSuite


@pytest.fixture(scope="module")
def server():
    with s3_server() as address:
        yield address


class TestLocalFolder(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path):
        return LocalFolder(tmp_path / "root", ResultsError)


class TestLocalFolderFromTheCurrentFolder(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return LocalFolder(tmp_path.relative_to(tmp_path), ResultsError)


class TestBucket(StorageSuite):
    @pytest.fixture(params=["everything", "everything/some/prefix"])
    def storage(self, request, server, monkeypatch):
        for name, value in s3_variables(server).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        empty_bucket(server, "everything")
        return Bucket(request.param, ResultsError)
