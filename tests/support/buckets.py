"""An S3 server of our own, on the loopback address."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

from backtune.storage.files import list_files
from backtune.storage.location import Location

SECRET = "nowhere-in-the-results"  # noqa: S105


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[str]:
    """The address of a server without a bucket."""
    server = ThreadedMotoServer(ip_address=host, port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


def s3_variables(address: str) -> dict[str, str]:
    """The environment that leads there; the server believes any key."""
    return {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


def empty_bucket(address: str, name: str) -> str:
    """Forget all that the server has, and make a bucket."""
    for path, method in (("/moto-api/reset", "POST"), (f"/{name}", "PUT")):
        with urllib.request.urlopen(urllib.request.Request(address + path, method=method)):  # noqa: S310
            pass
    return f"s3://{name}"


def files_below(folder: Location) -> list[Location]:
    """Return the locations of all files, sorted."""
    return [folder / path for path in list_files(folder)]
