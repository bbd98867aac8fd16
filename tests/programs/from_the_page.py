"""A client written from the page of the gateway's interface alone: standard library and websockets, nothing of backtune.

Usage: ``from_the_page.py URL API_KEY N``; N strategies are optimised at once, and what it found is printed as JSON.
"""

import base64
import json
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from websockets.sync.client import connect

URL, KEY = sys.argv[1], sys.argv[2]
API = f"{URL}/api/v1"
STRATEGIES = ("MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy")[
    : int(sys.argv[3])
]


def ask(method, path, body=None):
    request = urllib.request.Request(  # noqa: S310
        API + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-API-Key": KEY, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
        return answer.read()


def ask_json(method, path, body=None):
    return json.loads(ask(method, path, body))


def optimize(strategy):
    body = {
        "strategy_name": strategy,
        "asset": "AAA",
        "timeframe": "1h",
        "start_date": "2021-01-01",
        "end_date": "2022-01-01",
        "optimization_config": {
            "trials": 60,
            "timeout_hours": 0.1,
            "optimization_metric": "sharpe_ratio",
            "validation": {"method": "holdout", "test_fraction": 0.3},
        },
    }
    return ask_json("POST", "/optimize/single", body)["job_id"]


def watch(job_ids, updates):
    with connect(URL.replace("http", "ws", 1) + "/ws") as socket:
        socket.send(json.dumps({"type": "auth", "api_key": KEY}))
        for job_id in job_ids:
            socket.send(json.dumps({"type": "subscribe", "job_id": job_id}))
        waiting = set(job_ids)
        while waiting:
            message = json.loads(socket.recv(timeout=300))
            if message["type"] == "job_update":
                update = {name: message[name] for name in ("job_id", "status", "progress", "best_params")}
                updates.append(update)
                if update["status"] in ("completed", "failed", "cancelled", "partial"):
                    waiting.discard(update["job_id"])


def wait(job_id):
    while True:
        job = ask_json("GET", f"/jobs/{job_id}")
        if job["status"] not in ("queued", "running"):
            return job
        time.sleep(0.5)


def main():
    found = {"health": ask_json("GET", "/health"), "strategies": ask_json("GET", "/strategies")["strategies"]}
    with ThreadPoolExecutor(4) as pool:
        job_ids = list(pool.map(optimize, STRATEGIES))
    updates = []
    watcher = threading.Thread(target=watch, args=(job_ids, updates))
    watcher.start()
    found["jobs"] = [wait(job_id) for job_id in job_ids]
    watcher.join(60)
    found["updates"] = updates
    best = max(found["jobs"], key=lambda job: job["result"]["sharpe_ratio"] or 0.0)["job_id"]
    found["best"] = best
    found["report"] = ask_json("GET", f"/reports/{best}?format=json")
    found["pdf"] = base64.b64encode(ask("GET", f"/reports/{best}?format=pdf")).decode()
    found["pine"] = ask_json("POST", f"/export/pine-script/{best}")["pine_script"]
    json.dump(found, sys.stdout)


main()
