"""Free TCP ports of the loopback address."""

import socket


def free_ports(n: int) -> list[int]:
    """All different; nothing keeps them for the caller."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def free_port() -> int:
    return free_ports(1)[0]
