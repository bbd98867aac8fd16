"""The commands of the gateway's pages, run as they stand there against a real gateway."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_process import gateway_in
from sweeps import environment
from typer.testing import CliRunner

from backtune.cli import app
from backtune.data.synthetic import make_market

DOCS = Path(__file__).parents[2] / "docs"
TOOLS = ("bash", "curl", "jq", "openssl")
FIXED_JOB = "job-39c79ac48f6141fb6a668c60"


def shell_blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """Without a Ray: jobs wait in the queue."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    root = tmp_path_factory.mktemp("market")
    make_market(str(root), assets=["BTCUSD"], timeframe="1h", start="2018-01-01", end="2020-01-01", seed=3)
    with gateway_in(tmp_path_factory.mktemp("gateway"), root) as made:
        made.key = made.make_key("admin")
        made.start("--address", "http://127.0.0.1:9")
        yield made


def in_shell(gateway, text: str) -> list[str]:
    """What a page's commands print, a line each."""
    for address in ("http://127.0.0.1:8080", "localhost:8080"):
        text = text.replace(address, gateway.url)
    script = f'set -euo pipefail\nbacktune() {{ "{sys.executable}" -m backtune "$@"; }}\n{text}'
    done = subprocess.run(
        ["bash", "-c", script], cwd=gateway.folder, env=environment(), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_job_as_the_gateway_s_page_submits_it(gateway):
    _, key, job = shell_blocks("gateway.md")
    asked, looked = job.split("curl localhost:8080/api/v1/jobs", 1)
    looked = "curl localhost:8080/api/v1/jobs" + looked.replace(FIXED_JOB, "$JOB")
    told = in_shell(gateway, f"{key}JOB=$({asked.strip()} | jq -r .job_id)\n{looked}")
    job_told = json.loads("".join(told))
    assert (job_told["status"], job_told["name"]) == ("queued", "RSIStrategy BTCUSD 1h")
    assert gateway.job(job_told["job_id"]) == job_told


@pytest.mark.slow
def test_keys_signatures_and_the_audit_log_as_the_page_of_security_uses_them(gateway):
    keys, signed, audit = shell_blocks("security.md")
    assert "revoked " in "\n".join(in_shell(gateway, keys))
    accepted = json.loads("".join(in_shell(gateway, signed)))
    assert gateway.job(accepted["job_id"])["status"] == "queued"
    told = in_shell(gateway, audit)
    assert "whole" in told
    assert any("/optimize/single" in line for line in told)


def test_every_option_of_serve_on_the_pages_is_one():
    known = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, ["serve", "--help"]).output
    for page in ("gateway.md", "security.md", "alerts.md", "client.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for line in re.findall(r"backtune serve [^`#\n]*", text):
            for option in re.findall(r"--[a-z-]+", line):
                assert option in known, (page, option)
