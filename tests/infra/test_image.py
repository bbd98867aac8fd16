"""The image: linted, and what its commands say is what Ray and MLflow understand. No container engine builds it here."""

import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import warnings
import zipfile
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer

from backtune.cli.serve import serve

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
DOCKERFILE = (INFRA / "Dockerfile").read_text()
ENTRYPOINT = INFRA / "entrypoint.sh"


def _hadolint(text):
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_the_dockerfile_passes_hadolint():
    found = _hadolint(DOCKERFILE)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(
    ("line", "changed", "rule"),
    [
        ("FROM python:3.11.14-slim-trixie AS build", "FROM python:latest AS build", "DL3007"),
        ("WORKDIR /build", "WORKDIR build", "DL3000"),
        ('CMD ["gateway"]', "CMD gateway", "DL3025"),
        ("--no-install-recommends ", "", "DL3015"),
        ("COPY src src", "COPI src src", "unexpected"),
    ],
)
def test_hadolint_catches_a_planted_error(line, changed, rule):
    assert line in DOCKERFILE
    found = _hadolint(DOCKERFILE.replace(line, changed))
    assert found.returncode != 0
    assert rule in found.stdout + found.stderr


def test_the_image_is_not_roots_and_tells_its_health():
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["10001:10001"]
    assert re.search(r'^HEALTHCHECK .* CMD \["health.py"\]$', last, re.MULTILINE)
    assert not re.search(r"SECRET|PASSWORD|TOKEN=", DOCKERFILE)
    froms = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(froms) == 2
    assert set(froms) == {"python:3.11.14-slim-trixie"}


def _ignored(path):
    """Whether .dockerignore keeps a file out; the last line that fits decides."""
    out = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern, keeps = line.removeprefix("!"), line.startswith("!")
        parents = [path, *map(str, Path(path).parents)]
        if any(
            fnmatch(one, pattern.removeprefix("**/")) or fnmatch(one, pattern)
            for one in parents
            if one != "."
        ):
            out = not keeps
    return out


def test_what_is_copied_is_there_and_nothing_else_is_sent():
    copied = [
        source
        for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
        if "--from" not in line
        for source in [part for part in line.split() if not part.startswith("--")][:-1]
    ]
    assert {"src", "jobs", "requirements.lock", "infra/health.py"} <= set(copied)
    for source in copied:
        assert (REPOSITORY / source).exists(), source
        assert not _ignored(source), source
    for secret in (".env", ".git/config", "data/market/manifest.json", "infra/compose.yaml", "runs/x"):
        assert _ignored(secret), secret


def test_both_installs_of_the_build_have_the_files_that_they_need(tmp_path):
    """First the dependencies with a package that is all but empty, then the package; with this environment's build tools."""
    copies = [
        line.split()
        for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE.split("\nFROM ")[1], re.MULTILINE)
    ]
    assert [words[-1] for words in copies] == ["./", "src/backtune/__init__.py", "src"]
    names = []
    for *sources, target in copies:
        for source in sources:
            place = tmp_path / target / source if target == "./" else tmp_path / target
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
            copy(REPOSITORY / source, place, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
        if target == "./":
            continue
        wheels = tmp_path / f"wheels-{len(names)}"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", wheels, "."],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (wheel,) = wheels.glob("backtune-*.whl")
        with zipfile.ZipFile(wheel) as content:
            names.append({name for name in content.namelist() if name.startswith("backtune/")})
    assert names[0] == {"backtune/__init__.py"}
    assert {"backtune/py.typed", "backtune/gateway/sql/migrations/env.py"} <= names[1]


def test_every_extra_of_the_image_is_one_and_is_pinned():
    extras = re.search(r'"\.\[([a-z0-9,]+)\]"', DOCKERFILE)[1].split(",")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE))
    assert "s3" in extras
    for extra in extras:
        for requirement in project["optional-dependencies"][extra]:
            assert re.match(r"[A-Za-z0-9-]+", requirement)[0].lower() in pinned, requirement


def _branch(role):
    """The words of the command that a role runs."""
    body = re.search(rf"^{role}\)\n(.*?);;", ENTRYPOINT.read_text(), re.MULTILINE | re.DOTALL)
    assert body is not None
    return re.findall(r"(?<![\w-])--([a-z-]+)", body[1])


def _options(command):
    return {name.removeprefix("--") for param in command.params for name in param.opts}


def test_ray_and_mlflow_know_the_options():
    with warnings.catch_warnings():
        # MLflow's own tables, by SQLAlchemy.
        warnings.simplefilter("ignore")
        from mlflow.cli import server
    from ray.scripts.scripts import start

    for role, command in (("head", start), ("worker", start), ("mlflow", server)):
        said = _branch(role)
        assert said, role
        assert set(said) <= _options(command), role
    assert "dashbord-host" not in _options(start)


def test_the_gateway_knows_the_options():
    app = typer.Typer()
    app.command()(serve)
    known = _options(typer.main.get_command(app))
    assert set(_branch("gateway")) <= known
    assert {"address", "data-root", "trusted-proxy", "redis"} <= known


@pytest.fixture
def run(tmp_path):
    def to_its_end(*arguments, **environment):
        variables = {"PATH": os.environ["PATH"], "BACKTUNE_ROLE_FILE": str(tmp_path / "role"), **environment}
        return subprocess.run(
            ["sh", str(ENTRYPOINT), *arguments],
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return to_its_end


@pytest.mark.parametrize(
    ("role", "message"),
    [("worker", "RAY_HEAD must be the head"), ("mlflow", "MLFLOW_BACKEND_STORE_URI must be the database")],
)
def test_a_role_that_misses_something_says_what(run, role, message):
    done = run(role)
    assert done.returncode != 0
    assert message in done.stderr


def test_any_other_command_runs_as_it_stands(run):
    done = run("sh", "-c", 'echo "$1 $0"', "there", "hello")
    assert (done.returncode, done.stdout) == (0, "hello there\n")


def test_the_entry_script_passes_shellcheck():
    tool = shutil.which("shellcheck")
    if tool is None:
        assert subprocess.run(["sh", "-n", str(ENTRYPOINT)], check=False).returncode == 0
        pytest.skip("shellcheck is not installed; the shell parsed the script")
    found = subprocess.run([tool, str(ENTRYPOINT)], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.path == "/api/version" and self.headers["Authorization"] == "Bearer right"
        self.send_response(200 if good else 403)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("token", "status"), [("right", 0), ("wrong", 1)])
def test_health_asks_what_the_container_is(token, status, tmp_path):
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    (tmp_path / "role").write_text("head\n")
    script = tmp_path / "health.py"
    script.write_text((INFRA / "health.py").read_text().replace(":8265", f":{server.server_port}"))
    variables = {"RAY_AUTH_TOKEN": token, "BACKTUNE_ROLE_FILE": str(tmp_path / "role")}
    try:
        done = subprocess.run([sys.executable, str(script)], env=variables, timeout=30, check=False)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == status
