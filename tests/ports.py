"""Ports for servers of the tests that have to be told theirs."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_FIRST = 10_000
_GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port of the machine that nobody else will take before the caller's server does, or takes it again.

    It lies below those that the kernel gives out by itself, to connections and to servers that ask for any;
    and no other process of tests gets it for as long as this one lives.
    """
    last = int(_GIVEN_OUT.read_text().split()[0]) - 1
    choice = random.SystemRandom()
    while True:
        port = choice.randint(_FIRST, last) if last > _FIRST else choice.randint(_FIRST, 65535)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0birdbath-test-port-{port}")
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            claim.close()
            continue
        claim.detach()  # stays open, and the name taken, until the process ends
        return port
