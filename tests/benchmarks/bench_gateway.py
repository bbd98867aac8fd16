"""A gateway under load while a sweep runs: time to answer at a steady rate, from when each request was due, first by itself
and then with two hundred sockets open, one of which reads nothing.

Run it on an idle machine: ``make bench-gateway``. Both the gateway, its Ray, the sweep and the load share the cpus.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway_process import Gateway, gateway_in
from subscribers import subscribers
from sweeps import build_market, wait_for

_CONNECTIONS = 16


@dataclass(frozen=True)
class Timing:
    """Of one path, seconds from when a request was due to the end of its answer."""

    path: str
    seconds: np.ndarray
    n_refused: int

    def row(self) -> str:
        milliseconds = np.percentile(self.seconds, [50, 95, 99, 100]) * 1e3
        cells = "  ".join(f"{value:7.1f}" for value in milliseconds)
        return f"{self.path:<36} {len(self.seconds):7,}  {cells}  {self.n_refused:7}"


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bt-bench-") as name:
        folder = Path(name)
        market = build_market(folder / "market")
        with gateway_in(folder, market) as gateway:
            gateway.key = gateway.make_key("trader", "--rate", "100000/second")
            gateway.start()
            job_id = _long_job(gateway)
            for n_sockets in (0, options.sockets):
                _measure(gateway, job_id, options.rate, options.seconds, n_sockets)
            gateway.post(f"/jobs/{job_id}/cancel")


def _measure(gateway: Gateway, job_id: str, rate: float, seconds: float, n_sockets: int) -> None:
    before, busy, started = _memory(gateway), _cpu_seconds(gateway), time.perf_counter()
    paths = [f"/jobs/{job_id}", "/strategies"]

    async def both() -> tuple[list[Timing], str]:
        ready = asyncio.Event()
        if not n_sockets:
            return await _load(gateway, paths, rate, seconds), ""
        watched = asyncio.create_task(subscribers(gateway, job_id, n_sockets, seconds, ready))
        await ready.wait()
        opened = _memory(gateway)
        timings = await _load(gateway, paths, rate, seconds)
        return timings, f"{(await watched).row()}; gateway with all open: {opened:.0f} MiB"

    timings, told = asyncio.run(both())
    busy = (_cpu_seconds(gateway) - busy) / (time.perf_counter() - started)
    still = gateway.job(job_id)
    print(
        f"{rate:g} requests a second; the sweep: {still['status']}, {still['n_trials']:,} trials; "
        f"gateway: {busy:.0%} of a cpu, {before:.0f} -> {_memory(gateway):.0f} MiB"
    )
    if told:
        print(told)
    _print(timings)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, over all paths")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each part")
    parser.add_argument("--sockets", type=int, default=200)
    return parser.parse_args()


def _long_job(gateway: Gateway) -> str:
    body = {
        "name": "load",
        "grid": {
            "strategies": ["RSIStrategy", "MACDStrategy"],
            "assets": ["AAA", "BBB"],
            "timeframes": ["15m"],
        },
        "search": {"sampler": "tpe", "trials": 20_000},
    }
    job_id: str = gateway.post("/optimize/batch", body)["job_id"]
    assert wait_for(lambda: gateway.job(job_id)["n_trials"] > 0, 120), gateway.job(job_id)
    return job_id


async def _load(gateway: Gateway, paths: Sequence[str], rate: float, seconds: float) -> list[Timing]:
    """Requests in turn to each path, begun on time whether earlier ones were answered or not."""
    queue: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
    taken: list[list[float]] = [[] for _ in paths]
    refused = [0] * len(paths)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        while (due := await queue.get()) is not None:
            index, moment = due
            status = await _get(reader, writer, paths[index], gateway.key)
            taken[index].append(time.perf_counter() - moment)
            refused[index] += status != 200
        writer.close()

    connections = [asyncio.create_task(connection()) for _ in range(_CONNECTIONS)]
    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        moment = started + number / rate
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        queue.put_nowait((number % len(paths), moment))
    for _ in connections:
        queue.put_nowait(None)
    await asyncio.gather(*connections)
    return [
        Timing(path, np.array(times), bad) for path, times, bad in zip(paths, taken, refused, strict=True)
    ]


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, key: str) -> int:
    writer.write(f"GET /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].partition("\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1])


def _memory(gateway: Gateway) -> float:
    assert gateway.process is not None
    return psutil.Process(gateway.process.pid).memory_info().rss / 2**20


def _cpu_seconds(gateway: Gateway) -> float:
    assert gateway.process is not None
    times = psutil.Process(gateway.process.pid).cpu_times()
    return float(times.user + times.system)


def _print(timings: Sequence[Timing]) -> None:
    print(
        f"{'milliseconds to answer':<36} {'n':>7}  {'p50':>7}  {'p95':>7}  {'p99':>7}  {'max':>7}  {'not 200':>7}"
    )
    for timing in timings:
        print(timing.row())


if __name__ == "__main__":
    main()
