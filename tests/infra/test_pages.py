"""docs/infra.md and docs/scheduled.md: what can run without containers runs, and every file and name in them is there."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from sweeps import backtune

REPOSITORY = Path(__file__).parents[2]
PAGES = {name: (REPOSITORY / "docs" / name).read_text() for name in ("infra.md", "scheduled.md")}
BLOCKS = [block for page in PAGES.values() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]


def _lines(words):
    """The commands of the pages that have these words."""
    return [line for block in BLOCKS for line in block.splitlines() if words in line]


def test_the_secrets_are_those_that_compose_asks_for(tmp_path):
    (block,) = [block for block in BLOCKS if "openssl rand" in block and "umask" in block]
    (tmp_path / "infra").mkdir()
    script = block[: block.index("docker compose")]
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    file = tmp_path / "infra" / ".env"
    assert file.stat().st_mode & 0o777 == 0o600
    made = dict(line.split("=", 1) for line in file.read_text().splitlines())
    asked = set(re.findall(r"\$\{(\w+):\?", (REPOSITORY / "infra" / "compose.yaml").read_text()))
    assert set(made) == asked
    assert len(set(made.values())) == len(made)
    assert all(len(value) == 64 for name, value in made.items() if name != "STORAGE_USER")


@pytest.mark.slow
def test_what_is_run_in_the_gateway_runs(tmp_path):
    found = [re.search(r"(?:gateway|--) (backtune [^|]+)", line) for line in _lines(" backtune ")]
    commands = [match[1].strip() for match in found if match]
    assert len(commands) >= 6
    for command in commands:
        done = backtune(*command.split()[1:], cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)
    assert (tmp_path / "data" / "market" / "manifest.json").exists()


def test_the_key_of_prometheus_is_read_out_of_what_is_printed(tmp_path):
    (line,) = _lines("metrics.key\n".strip())[:1]
    program = re.search(r"\| (python3 -c '.*?') >", line)[1]
    made = backtune("keys", "create", "--role", "viewer", "--json", cwd=tmp_path)
    done = subprocess.run(
        ["sh", "-c", program], input=made.stdout, capture_output=True, text=True, check=False
    )
    assert re.fullmatch(r"bt_\w{16}_\w{64}\n", done.stdout), done.stderr


@pytest.mark.parametrize("name", sorted(PAGES))
def test_files_and_links_are_there(name):
    page = PAGES[name]
    for link in re.findall(r"\]\(([^)#]+\.md)\)", page):
        assert (REPOSITORY / "docs" / link).exists(), link
    for path in re.findall(r"\b((?:infra|jobs|cluster|tests)/[\w./-]*\w)", page):
        assert (REPOSITORY / path).exists() or path in ("infra/.env", "infra/metrics.key"), path


def test_services_of_compose_that_are_named_are_there():
    services = yaml.safe_load((REPOSITORY / "infra" / "compose.yaml").read_text())["services"]
    for line in _lines("docker compose"):
        words = line.split(" | ")[0].split()
        if words[4] in ("stop", "start"):
            assert set(words[5:]) <= set(services), line
        elif words[4] in ("exec", "run"):
            named = next(word for word in words[5:] if not word.startswith("-"))
            assert named in services, line


def test_values_of_the_chart_that_are_set_are_there():
    (line,) = _lines("helm install")
    values = yaml.safe_load((REPOSITORY / "infra" / "helm" / "backtune" / "values.yaml").read_text())
    given = re.findall(r"--set ([\w.]+)=", line)
    for place in given:
        found = values
        for part in place.split("."):
            assert part in found, place
            found = found[part]
    # All that is empty and must not be.
    assert {
        "image.repository",
        "storage.claim",
        "gateway.secret",
        "mlflow.secret",
        "mlflow.artifacts",
    } == set(given)
