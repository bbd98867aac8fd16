"""What listens in a tree of processes, and what somebody without a token gets there."""

import http.client
import importlib
import pkgutil
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import grpc
import psutil

# Nothing of these is Ray's own: gRPC's servers may have them built in.
_BUILT_IN = (
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
_BINARIES = ("core/src/ray/gcs/gcs_server", "core/src/ray/raylet/raylet", "_raylet.so")
_PAGES = (
    "/", "/nodes?view=summary", "/timezone", "/logs", "/api/version", "/api/jobs/", "/api/healthz", "/api/gcs_healthz",
    "/api/local_raylet_healthz", "/api/authentication_mode", "/api/cluster_status", "/api/v0/tasks", "/api/v0/logs/file",
    "/api/component_activities", "/worker/traceback", "/api/serve/applications/",
)  # fmt: skip
_ORDERS = ("/api/jobs/", "/api/job_agent/jobs/", "/api/authenticate", "/get_or_create_runtime_env", "/upload")
_SECONDS = 5.0
# Ray 2.60 looks for the sender's id before it looks for the token, and its GCS ends where there is none.
_METADATA = {"ray.rpc.syncer.RaySyncer/StartSync": (("node_id", "0f" * 28),)}

# Refused for want of a token, and the few things that say no more than that something is there.
_GRPC = {"gRPC UNAUTHENTICATED"}
_HEALTH = {
    "gRPC OK grpc.health.v1.Health/Check",
    "gRPC OK grpc.health.v1.Health/Watch",
    "gRPC OK grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}
_HTTP = {"HTTP 401", "HTTP 403", "HTTP 404", "HTTP 405"}
_PAGE = {"HTTP 200 GET /", "HTTP 200 GET /api/authentication_mode", "HTTP 200 GET /api/gcs_healthz"}
_ALIVE = {"HTTP 200 GET /api/healthz", "HTTP 200 GET /api/local_raylet_healthz"}
# Numbers for Prometheus, to everybody who reaches the port.
_METRICS = {"HTTP 200 metrics"}
TOLD_TO_STRANGERS: Final = {
    "gcs_server": [_GRPC | _HEALTH],
    "raylet": [_GRPC | _HEALTH],
    "worker": [_GRPC | _HEALTH],
    "driver": [_GRPC | _HEALTH],
    "ray.util.client.server": [_GRPC | _HEALTH],
    "dashboard.py": [_HTTP | _PAGE, _METRICS],
    "DashboardAgent": [_GRPC, _HTTP | _ALIVE, _METRICS],
    "RuntimeEnvAgent": [_HTTP],
    "monitor.py": [_METRICS],
}


@dataclass(frozen=True)
class Listener:
    """A socket that takes connections.

    Attributes:
        program: what a reader knows its process by, such as ``raylet``.
    """

    program: str
    address: str
    port: int

    @property
    def is_on_loopback(self) -> bool:
        return self.address in ("127.0.0.1", "::ffff:127.0.0.1", "::1")


def listeners(pid: int) -> list[Listener]:
    """All TCP and UDP sockets of a process and its descendants that anybody may send to."""
    found = set()
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            program = _program(process.cmdline())
            for one in process.net_connections(kind="inet"):
                if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM:
                    found.add(Listener(program, one.laddr.ip, one.laddr.port))
        except psutil.NoSuchProcess:
            continue
    return sorted(found, key=lambda one: (one.program, one.port, one.address))


def own_addresses() -> list[str]:
    """The addresses of this machine that other machines may reach it by."""
    return [
        address.address
        for device in psutil.net_if_addrs().values()
        for address in device
        if address.family in (socket.AF_INET, socket.AF_INET6)
        and not address.address.startswith(("127.", "::1", "fe80:"))
    ]


def reaches(host: str, port: int) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True


def answers(host: str, port: int) -> set[str]:
    """What somebody without a token is told there, whatever is asked: words such as ``gRPC UNAUTHENTICATED``, ``HTTP 401``.

    Where an answer is more than a refusal, what was asked for stands behind it.
    """
    if not reaches(host, port):
        return {"refused"}
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with grpc.insecure_channel(target) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=2)
        except grpc.FutureTimeoutError:
            return set(_http(host, port))
        return set(_grpc(channel))


def surprises(found: list[Listener], host: str) -> dict[str, list[str]]:
    """What strangers are told at these ports beyond what they may be, and ports where nobody asks for a token."""
    told = {f"{one.program} at {one.port}": (one.program, answers(host, one.port)) for one in found}
    return {
        place: sorted(answer)
        for place, (program, answer) in told.items()
        if not any(answer <= allowed for allowed in TOLD_TO_STRANGERS.get(program, ()))
        or not answer & (_GRPC | {"HTTP 401"} | _METRICS)
    }


def _grpc(channel: grpc.Channel) -> Iterator[str]:
    """Every method of every service of Ray, with an empty message."""
    for method in ray_methods():
        try:
            call = channel.stream_stream(f"/{method}")
            next(iter(call(iter([b""]), timeout=_SECONDS, metadata=_METADATA.get(method))))
        except StopIteration:
            yield f"gRPC OK {method}"
        except grpc.RpcError as error:
            code = error.code().name
            if code == "UNAUTHENTICATED":
                yield f"gRPC {code}"
            elif code != "UNIMPLEMENTED":
                yield f"gRPC {code} {method}"
        else:
            yield f"gRPC OK {method}"


def _http(host: str, port: int) -> Iterator[str]:
    asked = [("GET", path) for path in _PAGES] + [("POST", path) for path in _ORDERS]
    for method, path in asked:
        connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
        try:
            connection.request(method, path, body=b"{}" if method == "POST" else None)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            yield f"HTTP {type(error).__name__} {method} {path}"
            continue
        finally:
            connection.close()
        if answer.status == 200 and re.search(rb"^# TYPE \w+ \w+$", text, re.MULTILINE):
            # Whatever is asked for.
            yield "HTTP 200 metrics"
            return
        if answer.status in (401, 403, 404, 405, 429):
            yield f"HTTP {answer.status}"
        else:
            yield f"HTTP {answer.status} {method} {path}"


@cache
def ray_methods() -> tuple[str, ...]:
    """All gRPC methods that Ray's programs and its Python parts know, as ``package.Service/Method``."""
    import ray.core.generated

    found = set(_BUILT_IN)
    folder = Path(ray.__file__).parent
    for binary in _BINARIES:
        content = (folder / binary).read_bytes()
        found |= {name.decode() for name in re.findall(rb"/(ray\.[\w.]+/\w+)\0", content)}
    for module in pkgutil.walk_packages(ray.core.generated.__path__, "ray.core.generated."):
        if module.name.endswith("_pb2"):
            services = importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
            found |= {f"{one.full_name}/{method.name}" for one in services for method in one.methods}
    return tuple(sorted(found))


def _program(command: list[str]) -> str:
    text = " ".join(command)
    known = (
        "gcs_server", "ray.util.client.server", "log_monitor.py", "monitor.py", "dashboard.py", "DashboardAgent",
        "RuntimeEnvAgent", "raylet",
    )  # fmt: skip
    if command and command[0].startswith(("ray::DashboardAgent", "ray::RuntimeEnvAgent")):
        return command[0].removeprefix("ray::")
    if command and command[0].startswith("ray::"):
        return "worker"
    return next((name for name in known if name in text), text[:60])
