"""The weekly grid through a gateway: one sweep a strategy, then reports, Pine scripts, a summary and a ranking.

    BACKTUNE_GATEWAY=https://gateway.example.com BACKTUNE_API_KEY=... python weekly.py weekly.yaml out/

Exit status: 0 all complete, 1 something is missing, after what there is was fetched. ``ALERT_WEBHOOK``, where it is set, is then sent
``{"text": ...}``. Started again in the same week, it finds its sweeps and fetches what they have by now.
"""

import csv
import json
import os
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from backtune.client import HyperOptClient, RetryLimits
from backtune.errors import BacktuneError
from backtune.spec.documents import read_document

COLUMNS = (
    "strategy", "asset", "timeframe", "n_trials", "is_sharpe_ratio", "oos_sharpe_ratio", "oos_total_return",
    "oos_max_drawdown", "family_p", "timing_p", "dsr", "params", "warnings",
)  # fmt: skip
RANKING = (
    "rank",
    "strategy",
    "median_oos_sharpe_ratio",
    "cells",
    "cells_above_zero",
    "cells_without_a_winner",
)
# A gateway that is away for an hour costs no week.
PATIENCE = RetryLimits(tries=100, longest_seconds=60.0, total_seconds=3600.0)
POLL_SECONDS = 10.0


def main(spec_path: Path, out: Path) -> int:
    """Submit, wait, fetch, write; the exit status."""
    week = f"{datetime.now(UTC):%G-W%V}"
    out.mkdir(parents=True, exist_ok=True)
    try:
        gateway = HyperOptClient(
            os.environ["BACKTUNE_GATEWAY"], os.environ.get("BACKTUNE_API_KEY") or None, retries=PATIENCE
        )
        with gateway as client:
            rows, problems = grid(client, read_document(spec_path).value, week, out)
    except BacktuneError as error:
        rows, problems = [], [str(error)]
    write(out / "summary.csv", COLUMNS, summary(rows))
    write(out / "ranking.csv", RANKING, ranking(rows))
    if problems:
        alert(f"backtune, {week}: " + "; ".join(problems))
    return 1 if problems else 0


def grid(
    client: HyperOptClient, spec: dict[str, Any], week: str, out: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of all leaderboards, and what went wrong; a sweep that fails keeps no other from being fetched."""
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    jobs: dict[str, str] = {}
    # All are submitted before one is waited for; the same key in the same week is the same job.
    for name, one in sweeps(spec):
        try:
            jobs[name] = client.start_batch(one, idempotency_key=f"{one['name']}-{week}")
        except BacktuneError as error:
            problems.append(f"{name}: {error}")
    for name, job_id in jobs.items():
        try:
            job = client.wait_for_completion(job_id, poll_interval=POLL_SECONDS)
            if job["status"] != "completed":
                problems.append(f"{name}: {job['status']}: {job['error'] or job['message'] or job_id}")
            if job["status"] in ("completed", "partial"):
                rows += fetch(client, name, job_id, out)
        except BacktuneError as error:
            problems.append(f"{name}: {error}")
    return rows, problems


def sweeps(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """One sweep a strategy, so that each has a report and a script, and fails alone."""
    return [
        (name, {**spec, "name": f"{spec['name']}-{name}", "grid": {**spec["grid"], "strategies": [name]}})
        for name in spec["grid"]["strategies"]
    ]


def fetch(client: HyperOptClient, name: str, job_id: str, out: Path) -> list[dict[str, Any]]:
    """Report and script of a job as files; the rows of its leaderboard."""
    report = client.get_performance_report(job_id)
    (out / f"{name}.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    (out / f"{name}.html").write_text(client.get_performance_report(job_id, "html"), encoding="utf-8")
    if report["best_parameters"]:
        (out / f"{name}.pine").write_text(client.generate_pine_script(job_id), encoding="utf-8")
    found: list[dict[str, Any]] = report["leaderboard"]
    return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a cell, the best in sample first, so that the tests decide nothing; what is undefined is empty and comes last.

    A sweep's family-wise p-value is for its own cells; here it is raised to all sweeps of the week.
    """
    n_sweeps = len({row["strategy"] for row in rows})
    plain = [
        {
            **row,
            "family_p": None if row["family_p"] is None else min(1.0, row["family_p"] * n_sweeps),
            "params": json.dumps(row["params"], sort_keys=True),
            "warnings": "; ".join(row["warnings"]),
        }
        for row in rows
    ]
    return sorted(plain, key=lambda row: -_number(row["is_sharpe_ratio"]))


def ranking(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Strategies by the median of their cells out of sample: one lucky cell does not carry one."""
    cells: dict[str, list[float | None]] = {}
    for row in rows:
        cells.setdefault(row["strategy"], []).append(row["oos_sharpe_ratio"])
    ranked = []
    for strategy, values in cells.items():
        known = [value for value in values if value is not None]
        ranked.append(
            {
                "strategy": strategy,
                "median_oos_sharpe_ratio": median(known) if known else None,
                "cells": len(values),
                "cells_above_zero": sum(value > 0 for value in known),
                "cells_without_a_winner": len(values) - len(known),
            }
        )
    ranked.sort(key=lambda one: -_number(one["median_oos_sharpe_ratio"]))
    return [{"rank": i, **one} for i, one in enumerate(ranked, start=1)]


def write(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """A CSV with these columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


def alert(text: str) -> None:
    """On stderr, where CI and Kubernetes keep it, and to a webhook where there is one."""
    sys.stderr.write(text + "\n")
    url = os.environ.get("ALERT_WEBHOOK")
    if not url:
        return
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    except OSError as error:
        sys.stderr.write(f"the webhook does not take it: {error}\n")


def _number(value: float | None) -> float:
    return value if value is not None else float("-inf")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
