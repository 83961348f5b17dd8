"""The clock of a server's pool, set by HTTP and by the command, over a real socket."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import requests

from birdbath.client import AdValue, Schedd
from birdbath.http import clock_routes
from birdbath.pool.simulated.clock import VirtualClock
from birdbath.pool.simulated.pool import SimulatedPool
from birdbath.store import Writer
from tests.server_process import REPOSITORY, ServerProcess, running_server

START = 1_800_000_000.0


@pytest.fixture
def server(tmp_path: Path) -> object:
    with running_server(
        tmp_path, "--speed", "max", environment={"BIRDBATH_START_TIME": str(START)}
    ) as running:
        yield running


def clock(server: ServerProcess, *options: str) -> dict[str, object]:
    command = [sys.executable, "-m", "birdbath", "clock", "--url", server.url, "--json", *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    state: dict[str, object] = json.loads(done.stdout)
    return state


def status(schedd: Schedd, cluster: int) -> object:
    return schedd.job_ad(cluster, 0)["JobStatus"]


def submit_an_hour(schedd: Schedd) -> int:
    with schedd.transaction() as txn:
        job = txn.new_cluster().new_job()
        ad: dict[str, AdValue] = {
            "Owner": "alice",
            "Cmd": "/bin/sleep",
            "Arguments": "3600",
            "JobUniverse": 5,
            "Requirements": True,
        }
        job.submit({**ad, "LeaveJobInQueue": True})
    return job.id.cluster


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_time_does_not_go_back_at_a_restart(tmp_path: Path, end: signal.Signals) -> None:
    options, environment = ("--speed", "60"), {"BIRDBATH_START_TIME": str(START)}
    with running_server(tmp_path, *options, environment=environment) as server:
        while (told := requests.get(f"{server.url}/pool/clock", timeout=10).json()["time"]) < START + 120:
            pass
        server.stop(end)
    with running_server(tmp_path, *options, environment=environment) as server:
        assert requests.get(f"{server.url}/pool/clock", timeout=10).json()["time"] >= told


def test_a_job_of_an_hour_runs_while_the_clock_is_told_to(server: ServerProcess) -> None:
    assert clock(server, "--pause") == {"time": START, "speed": "max", "paused": True, "limit": None}
    schedd = Schedd(server.url)
    cluster = submit_an_hour(schedd)
    assert status(schedd, cluster) == 1
    clock(server, "--until", str(START + 1800))
    assert status(schedd, cluster) == 2
    state = clock(server, "--until", str(START + 4000))
    assert (state["time"], state["paused"], status(schedd, cluster)) == (START + 4000, True, 4)


def test_a_head_of_the_clock_is_a_get_without_the_body(server: ServerProcess) -> None:
    clock(server, "--pause")
    url = f"{server.url}/pool/clock"
    head, full = requests.head(url, timeout=10), requests.get(url, timeout=10)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(full.content))
    assert requests.delete(url, timeout=10).headers["allow"] == "GET, HEAD, POST"


def test_a_paused_clock_goes_step_by_step(server: ServerProcess) -> None:
    clock(server, "--pause")
    schedd = Schedd(server.url)
    cluster = submit_an_hour(schedd)
    first = clock(server, "--step")
    assert status(schedd, cluster) == 2, first
    assert START <= float(str(first["time"])) < START + 1


def test_the_answer_comes_in_time_though_each_look_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 10_000, 20))
    monkeypatch.setattr(clock_routes, "monotonic", lambda: next(seconds))
    never = create_autospec(VirtualClock, instance=True, stands=False)
    routes = clock_routes.ClockRoutes(create_autospec(SimulatedPool), never, create_autospec(Writer))
    asyncio.run(routes._wait())
    assert next(seconds) <= 100


@pytest.mark.parametrize(
    "body", ['{"speed": -1}', '{"until": 1}', '{"color": "red"}', "[]", '{"speed": "fast"}']
)
def test_nonsense_is_refused(server: ServerProcess, body: str) -> None:
    reply = requests.post(
        f"{server.url}/pool/clock", data=body, headers={"Content-Type": "application/json"}, timeout=60
    )
    assert (reply.status_code, bool(reply.json()["detail"])) == (400, True)


def test_a_page_of_another_site_cannot_set_it(server: ServerProcess) -> None:
    headers = {"Content-Type": "application/json", "Origin": "http://evil.example.org"}
    reply = requests.post(f"{server.url}/pool/clock", data="{}", headers=headers, timeout=60)
    assert reply.status_code == 403
