"""`python -m tests.soak [--seconds N] [--speed N] [--rounds N]`: laps of mixed load, and what they leave."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.server_process import running_server
from tests.soak import vitals
from tests.soak.load import Load

LEAST_LAPS = 4
SETTINGS = {"BIRDBATH_EVENT_MAX_ROWS": "5000", "BIRDBATH_CLASSAD_LIFETIME": "31536000"}


def main() -> int:
    """0 when all stayed flat."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Laps of mixed load on one server.")
    parser.add_argument("--seconds", type=int, default=3600, help="how long, at least")
    parser.add_argument("--speed", default="60", help="pool seconds per second, or max")
    parser.add_argument("--rounds", type=int, default=10, help="of each of the four clients in a lap")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="birdbath-soak-") as folder:
        found = soak(Path(folder), asked.seconds, asked.speed, asked.rounds)
    for line in found:
        print(f"GREW: {line}")
    if not found:
        print("FLAT: descriptors, threads, memory, rows and spool directories")
    return 1 if found else 0


def soak(home: Path, seconds: float, speed: str, rounds: int) -> list[str]:
    """Laps on a new server until the time is over; what grew."""
    with running_server(home, "--speed", speed, environment=SETTINGS) as server:
        load = Load(int(server.url.rpartition(":")[2]))
        samples: list[vitals.Vitals] = []
        began = time.monotonic()
        while len(samples) < LEAST_LAPS or time.monotonic() - began < seconds:
            load.lap(rounds)
            samples.append(vitals.take(server.process.pid, home))
            print(f"{time.monotonic() - began:6.0f} s, {load.submitted} jobs: {samples[-1]}", flush=True)
        return vitals.growth(samples)


if __name__ == "__main__":
    sys.exit(main())
