"""Requests that never pause, over connections that are kept and over new ones, and what became of each."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SINGLE = {
    "strategy_name": "RSIStrategy",
    "asset": "AAA",
    "timeframe": "1h",
    "optimization_config": {"trials": 5},
}


@dataclass
class Told:
    """What was answered.

    Attributes:
        n_answers: of any kind.
        failures: what was no good answer, in words.
        job_ids: of the jobs that were submitted.
    """

    n_answers: int = 0
    failures: list[str] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)


@contextmanager
def constant_requests(port: int, n_kept: int = 2, n_new: int = 2, *, submits: bool = True) -> Iterator[Told]:
    """Ask while the block runs; a request is never tried again."""
    told, over, lock = Told(), threading.Event(), threading.Lock()

    def ask(is_kept: bool, number: int) -> None:
        line = None
        for count in itertools.count():
            if over.is_set():
                break
            line = line or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                status, answer = _asked(line, number, count, submits=submits)
                problem = None if status in (200, 202) else f"{status}: {answer}"
            except (OSError, http.client.HTTPException) as error:
                answer, problem = {}, repr(error)
            with lock:
                told.n_answers += 1
                if problem is not None:
                    told.failures.append(problem)
                elif "job_id" in answer:
                    told.job_ids.append(answer["job_id"])
            if problem is not None or not is_kept:
                line.close()
                line = None
        if line is not None:
            line.close()

    kinds = [True] * n_kept + [False] * n_new
    threads = [threading.Thread(target=ask, args=(kept, n), daemon=True) for n, kept in enumerate(kinds)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def _asked(line: http.client.HTTPConnection, number: int, count: int, *, submits: bool) -> tuple[int, Any]:
    if submits and count % 20 == 0:
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{number}-{count}"}
        line.request("POST", "/api/v1/optimize/single", json.dumps(SINGLE), headers)
    else:
        line.request("GET", "/api/v1/jobs?limit=1" if count % 2 else "/health")
    answer = line.getresponse()
    return answer.status, json.loads(answer.read())
