"""What listens where: heads, private clusters and the gateway, and what somebody without the token gets at each port."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from gateway_process import Gateway
from heads import PATH, RAY
from ports import free_ports
from strangers import TOLD_TO_STRANGERS, answers, listeners, own_addresses, reaches, surprises
from sweeps import backtune_process, environment, spec_document, wait_for, written

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
SLOW = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
OUTSIDE = own_addresses()

DRIVER = """
import os, sys
if "early" in sys.argv: import ray
from backtune.search.executors.ray_tune import RayTarget, connect_to_ray
with connect_to_ray(RayTarget(sys.argv[1] or None, 1)):
    import ray
    @ray.remote(num_cpus=0)
    class Driver:
        def answer(self): return os.getpid()
    actor = Driver.remote()
    print("ready", ray.get(actor.answer.remote(), timeout=120), flush=True)
    sys.stdin.read()
"""


@dataclass
class Head:
    """``make head`` as somebody in this repository gives it.

    Attributes:
        make: the process of make.
        home: of the user, for the token.
        gcs, dashboard, client: ports.
    """

    make: subprocess.Popen
    home: Path
    gcs: int
    dashboard: int
    client: int

    @property
    def log(self):
        return (self.home / "head.log").read_text()

    @property
    def is_up(self):
        return "is up" in self.log

    @property
    def token(self):
        return (self.home / ".ray" / "auth_token").read_text()

    def answers_with(self, token):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.dashboard}/api/version", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return "ray_version" in json.load(answer)


@contextmanager
def make_head(home):
    """With this environment for ``.venv``, and ports of its own; in a process group of its own, as a shell starts it."""
    (home / "venv").mkdir()
    (home / "venv" / "bin").symlink_to(Path(sys.executable).parent)
    (home / "venv" / ".ready").touch()
    gcs, dashboard, client = free_ports(3)
    options = f"--port {gcs} --dashboard-port {dashboard} --client-port {client} --cpus 1"
    # Make tells its options to the makes that it starts; this one is a user's.
    variables = {name: value for name, value in environment(HOME=str(home)).items() if "MAKE" not in name}
    with (home / "head.log").open("wb") as log:
        make = subprocess.Popen(
            ["make", "--silent", "head", f"VENV={home / 'venv'}", f"HEAD={options}"],
            cwd=REPOSITORY, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0,
        )  # fmt: skip
    head = Head(make, home, gcs, dashboard, client)
    try:
        yield head
    finally:
        if make.poll() is None:
            make.terminate()
        make.wait(60)


@contextmanager
def driver(*arguments, **variables):
    """A process that uses Ray and waits: what it starts is there, and can be looked at."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments], env=environment(**variables), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            said = process.stdout.readline()
            assert said.startswith("ready"), said
            yield process
        finally:
            process.stdin.close()


def listening(*pids):
    """Who listens, of these processes and all below them."""
    found = {one for pid in pids for one in listeners(pid)}
    return sorted(found, key=lambda one: (one.program, one.port))


def assert_on_loopback(found):
    """Nothing of it is reached by any other address of this machine."""
    assert [one for one in found if not one.is_on_loopback] == []
    open_outside = [(one, host) for one in found for host in OUTSIDE if reaches(host, one.port)]
    assert open_outside == []


def assert_refused(found):
    """Whoever comes without a token is told nothing but what the table allows; the programs that were asked."""
    named = [
        replace(one, program="driver") if one.program.startswith(sys.executable) else one for one in found
    ]
    assert surprises(named, "127.0.0.1") == {}
    return {one.program for one in named}


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    if shutil.which("make") is None:
        pytest.skip("not installed: make")
    with make_head(tmp_path_factory.mktemp("user")) as head:
        assert wait_for(lambda: head.is_up or head.make.poll() is not None, 180), head.log
        assert head.make.poll() is None, head.log
        yield head
        processes = tree(head.make.pid)
        end_in_order(head)
        head.make.wait(60)
        assert wait_for(lambda: are_gone(processes), 40), [one for one in processes if one.is_running()]


def test_make_head_makes_a_token_that_its_user_alone_can_read(head):
    assert (head.home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    assert head.answers_with(head.token)
    assert head.token not in head.log


@pytest.fixture(scope="module")
def found(head):
    """All that listens of the head and of a sweep on it, while that runs."""
    with driver(f"127.0.0.1:{head.gcs}", HOME=str(head.home)) as sweep:
        yield listening(head.make.pid, sweep.pid)


@pytest.mark.skipif(not OUTSIDE, reason="this machine has no address but the loopback one")
def test_nothing_of_make_head_and_of_a_sweep_on_it_listens_beyond_this_machine(head, found):
    assert {head.gcs, head.dashboard, head.client} <= {one.port for one in found}
    assert_on_loopback(found)


def test_whoever_has_no_token_gets_nothing_of_make_head_on_this_machine_either(head, found):
    assert assert_refused(found) >= set(TOLD_TO_STRANGERS) - {"monitor.py"}
    # It was asked for everything that Ray has, and does what it did before.
    assert head.make.poll() is None
    assert head.answers_with(head.token)


def test_a_second_head_is_told_that_the_port_is_taken(head, tmp_path):
    options = ["--port", str(head.gcs), "--dashboard-port", str(head.dashboard)]
    second = subprocess.run(
        [sys.executable, "-m", "backtune", "cluster", "head", *options], env=environment(HOME=str(tmp_path)),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert second.stderr == (
        f"error: port {head.gcs} of 127.0.0.1 is taken, maybe by another head; give another one\n"
    )


def test_authentication_cannot_be_turned_off(tmp_path):
    refused = subprocess.run(
        [sys.executable, "-m", "backtune", "cluster", "head"], capture_output=True, text=True, timeout=60, check=False,
        env=environment(HOME=str(tmp_path), RAY_AUTH_MODE="disabled"),
    )  # fmt: skip
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "error: RAY_AUTH_MODE is 'disabled'; whoever reaches Ray may run anything"
    )


def test_a_sweep_that_has_no_token_to_show_says_so(market, tmp_path):
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    refused = backtune_process(
        "run",
        spec,
        "--address",
        "127.0.0.1:9",
        "--no-tracking",
        cwd=tmp_path,
        HOME=str(tmp_path),
        RAY_AUTH_MODE="token",
    )
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("error: Ray at 127.0.0.1:9 cannot be used: ")
    assert f"there is none in {tmp_path}/.ray/auth_token" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        pytest.param((), {}, id="late"),
        pytest.param(("early",), {"RAY_AUTH_MODE": "disabled"}, id="early", marks=SLOW),
    ],
)
def test_a_private_cluster_is_nobody_else_s(tmp_path, arguments, variables):
    """Also where Ray was imported before, by a program that has turned authentication off."""
    with driver("", *arguments, HOME=str(tmp_path), **variables) as process:
        found = listening(process.pid)
        assert_on_loopback(found)
        names = assert_refused(found)
    assert names >= {"gcs_server", "raylet", "worker", "driver"}
    assert list(tmp_path.iterdir()) == []


@SLOW
def test_a_gateway_and_its_head_are_this_machine_s_alone(market, tmp_path):
    gateway = Gateway(tmp_path, market)
    gateway.key = gateway.make_key("admin")
    gateway.start()
    try:
        own = gateway.head()
        found = [*listeners(gateway.process.pid), *listeners(own["pid"])]
        assert {gateway.port, own["port"]} <= {one.port for one in found}
        assert_on_loopback(found)
        assert_refused([one for one in found if one.port != gateway.port])
        assert answers("127.0.0.1", gateway.port) <= {"HTTP 401", "HTTP 404", "HTTP 429"}
        assert (gateway.runs / ".gateway" / "head.json").stat().st_mode & 0o777 == 0o600
        assert Path(own["folder"]).stat().st_mode & 0o777 == 0o700
    finally:
        gateway.stop()


def tree(pid):
    """All processes of it, known also by the time they were started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def are_gone(processes):
    return all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes)


def end_in_order(head):
    head.make.send_signal(signal.SIGTERM)


def press_ctrl_c(head):
    os.killpg(head.make.pid, signal.SIGINT)


def kill_make(head):
    head.make.kill()


def kill_backtune(head):
    next(one for one in psutil.Process(head.make.pid).children() if "cluster" in _command(one)).kill()


def hang_up(head):
    os.killpg(head.make.pid, signal.SIGHUP)


@pytest.mark.parametrize(
    ("end", "when"),
    [
        pytest.param(kill_make, "up", marks=SLOW),
        pytest.param(end_in_order, "up", marks=SLOW),
        pytest.param(press_ctrl_c, "up", marks=SLOW),
        pytest.param(kill_backtune, "up", marks=SLOW),
        pytest.param(hang_up, "up", marks=SLOW),
        pytest.param(end_in_order, "starting", marks=SLOW),
        (kill_make, "starting"),
        pytest.param(press_ctrl_c, "starting", marks=SLOW),
        pytest.param(kill_backtune, "starting", marks=SLOW),
    ],
)
@pytest.mark.skipif(shutil.which("make") is None, reason="not installed: make")
def test_no_process_outlives_make_head(tmp_path, end, when):
    """However it ends; up, it has a job, whose processes have to go with it."""
    with make_head(tmp_path) as head:
        if when == "up":
            assert wait_for(lambda: head.is_up or head.make.poll() is not None, 180), head.log
            submit(head)
        else:
            assert wait_for(
                lambda: any("gcs_server" in "".join(_command(one)) for one in tree(head.make.pid)), 120
            )
        processes = tree(head.make.pid)
        (folder,) = {
            word.partition("=")[2].removesuffix("/ray")
            for one in processes
            for word in _command(one)
            if word.startswith("--temp-dir=/tmp/backtune-head-")
        }
        end(head)
        head.make.wait(60)
        assert wait_for(lambda: are_gone(processes), 40), [one for one in processes if one.is_running()]
        assert wait_for(lambda: not Path(folder).exists(), 20)
        # No process that was started after the look is left either.
        assert [one for one in psutil.process_iter() if folder in " ".join(_command(one))] == []


def submit(head):
    """A job that sleeps, and what it started."""
    address = f"http://127.0.0.1:{head.dashboard}"
    variables = environment(HOME=str(head.home), PATH=PATH, RAY_AUTH_MODE="token")
    done = subprocess.run(
        [*RAY, "job", "submit", "--no-wait", "--address", address, "--", "sh", "-c", "sleep 1234 & sleep 1235"],
        env=variables, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert wait_for(
        lambda: {"1234", "1235"} <= {_command(one)[-1] for one in tree(head.make.pid) if _command(one)}, 60
    )
    time.sleep(0.1)


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
