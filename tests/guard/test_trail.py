"""The trail, replies that are given again, probes and figures: over a real server."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.guard.world import NOBODY, World, world
from tests.notify.jobs import submit
from tests.server_process import ServerProcess, running_server
from tests.soap.wire import call
from tests.store import postgresql
from tests.toolkit import require

JSON = "application/json"
BEGIN = call("beginTransaction", "<duration>600</duration>")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trail")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.toolkit)])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The setting of a new database of each kind."""
    if request.param == "sqlite":
        yield {}
        return
    programs = postgresql.programs()
    require("postgresql (initdb, pg_ctl)", programs is not None)
    assert programs is not None
    with postgresql.running(programs) as server:
        yield {"BIRDBATH_DATABASE_URL": server.new_database()}


@pytest.fixture(scope="module")
def server(home: Path, database: dict[str, str]) -> Iterator[ServerProcess]:
    with running_server(home, environment=database) as running:
        yield running


def ask(
    server: ServerProcess, body: bytes | None, path: str = "/", **headers: str
) -> tuple[int, dict[str, str], str]:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with closing(connection):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent = {"Content-Type": "text/xml"} | sent
        connection.request("GET" if body is None else "POST", path, body, sent)
        reply = connection.getresponse()
        return reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read().decode()


def trail(home: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (home / "audit.log").read_text().splitlines()]


def number(text: str, name: str) -> int:
    return int(text.partition(f"<{name}>")[2].partition("<")[0])


def test_each_change_leaves_one_line(home: Path, server: ServerProcess) -> None:
    before = len(trail(home))
    begun = number(ask(server, BEGIN)[2], "id")
    txn = f"<transaction><id>{begun}</id><duration>600</duration></transaction>"
    cluster = number(ask(server, call("newCluster", txn))[2], "integer")
    ask(server, call("newJob", f"{txn}<clusterId>{cluster}</clusterId>"))
    job = f"{txn}<clusterId>{cluster}</clusterId><jobId>0</jobId><name>in.txt</name>"
    ask(server, call("declareFile", f"{job}<size>6</size>"))
    ask(server, call("sendFile", f"{job}<offset>0</offset><data>c2VjcmV0</data>"))
    ask(server, call("holdJob", "<clusterId>999999</clusterId><jobId>0</jobId>"))
    ask(server, call("getJobAds"))
    lines = trail(home)[before:]
    assert [(line["operation"], line["outcome"]) for line in lines] == [
        ("beginTransaction", "SUCCESS"),
        ("newCluster", "SUCCESS"),
        ("newJob", "SUCCESS"),
        ("declareFile", "SUCCESS"),
        ("sendFile", "SUCCESS"),
        ("holdJob", "FAIL"),
    ]
    assert lines[0]["transaction"] == begun
    assert lines[4] | {"time": 0, "ms": 0, "reference": ""} == {
        "time": 0,
        "reference": "",
        "operation": "sendFile",
        "account": None,
        "address": "127.0.0.1",
        "transaction": begun,
        "cluster": cluster,
        "job": 0,
        "file": "in.txt",
        "outcome": "SUCCESS",
        "ms": 0,
    }
    text = (home / "audit.log").read_text()
    assert "secret" not in text
    assert "c2VjcmV0" not in text
    assert stat.S_IMODE((home / "audit.log").stat().st_mode) == 0o600


def test_a_fault_carries_the_reference_of_its_line(home: Path, server: ServerProcess) -> None:
    status, headers, text = ask(server, BEGIN, Content_Type="text/plain")
    assert status == 415
    assert f"(reference {headers['birdbath-reference']})</faultstring>" in text
    assert trail(home)[-1]["reference"] == headers["birdbath-reference"]
    assert trail(home)[-1]["outcome"] == "415"
    status, headers, text = ask(server, b"no xml")
    assert f"(reference {headers['birdbath-reference']})</faultstring>" in text


def test_a_repeated_request_is_answered_again_and_done_once(server: ServerProcess) -> None:
    first = ask(server, BEGIN, Idempotency_Key="one")
    again = ask(server, BEGIN, Idempotency_Key="one")
    other = ask(server, BEGIN, Idempotency_Key="two")
    assert again[2] == first[2] != other[2]
    assert "idempotent-replayed" not in first[1]
    assert again[1]["idempotent-replayed"] == "true"
    status, _, text = ask(server, call("beginTransaction", "<duration>601</duration>"), Idempotency_Key="one")
    assert status == 422
    assert "another request" in text
    reads = [ask(server, call("getVersionString"), Idempotency_Key="three")[1] for _ in range(2)]
    assert [headers.get("idempotent-replayed") for headers in reads] == [None, "true"]


@pytest.mark.parametrize("key", ["x" * 256, "é"])
def test_a_key_that_is_none_is_refused(server: ServerProcess, key: str) -> None:
    assert ask(server, BEGIN, Idempotency_Key=key)[0] == 400


def test_a_reply_is_kept_over_kill_9(tmp_path: Path, database: dict[str, str]) -> None:
    with running_server(tmp_path, environment=database) as server:
        first = ask(server, BEGIN, Idempotency_Key="over kill -9")[2]
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with running_server(tmp_path, environment=database) as server:
        assert ask(server, BEGIN, Idempotency_Key="over kill -9")[2] == first


def test_many_at_a_time_are_one(server: ServerProcess) -> None:
    answers: list[tuple[int, dict[str, str], str]] = []

    def attempt() -> None:
        answers.append(ask(server, BEGIN, Idempotency_Key="many"))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {number(text, "id") for status, _, text in answers if status == 200}
    assert len(ids) == 1
    assert {status for status, _, _ in answers} <= {200, 409}


def test_probes(server: ServerProcess) -> None:
    assert ask(server, None, "/health/live")[0] == 200
    status, _, text = ask(server, None, "/health/ready")
    assert (status, json.loads(text)) == (200, {"status": "ready", "troubles": {}})


def test_figures(server: ServerProcess) -> None:
    ask(server, BEGIN)
    ask(server, b"no xml")
    status, headers, text = ask(server, None, "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counts = {
        (sample.labels["operation"], sample.labels["outcome"]): sample.value
        for sample in families["birdbath_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counts["beginTransaction", "SUCCESS"] >= 1
    assert counts["", "fault"] >= 1
    assert families["birdbath_transactions"].samples[0].value >= 1
    assert {
        "birdbath_request_seconds",
        "birdbath_connections",
        "birdbath_staged_bytes",
        "birdbath_spool_free_bytes",
        "birdbath_events_written",
    } <= set(families)


def test_figures_of_events(tmp_path: Path) -> None:
    """Of a follower that takes one event after the other, and of a subscription that takes none."""
    with running_server(tmp_path) as server:
        made = json.loads(ask(server, b'{"after": 0}', "/events/subscriptions", Content_Type=JSON)[2])
        submit(server.url)
        taken = json.loads(ask(server, None, "/events?after=0&wait=30")[2])
        figures = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(ask(server, None, "/metrics")[2])
            for sample in family.samples
        }
        assert figures["birdbath_events_written_total",] >= len(taken) > 0
        assert figures["birdbath_events_delivered_total", "poll"] == len(taken)
        assert figures["birdbath_event_lag", made["id"]] >= len(taken)
        assert figures["birdbath_events_missed_total", "poll"] == 0


def test_figures_without_a_spool(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        shutil.rmtree(tmp_path / "spool")
        status, _, text = ask(server, None, "/metrics")
        assert status == 200
        names = {family.name for family in text_string_to_metric_families(text)}
        assert "birdbath_transactions" in names
        assert "birdbath_spool_free_bytes" not in names


def test_figures_are_for_those_who_may_read(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        assert metrics_of(made, {}) == 401
        assert metrics_of(made, made.basic("owner").headers) == 200
        assert made.call(NOBODY, "getVersionString").http == 200


def metrics_of(made: World, headers: dict[str, str]) -> int:
    address = urlsplit(made.server.url)
    connection = http.client.HTTPSConnection(
        address.hostname or "", address.port, context=made.context(), timeout=60
    )
    with closing(connection):
        connection.request("GET", "/metrics", headers=headers)
        return connection.getresponse().status


def test_the_trail_ends_where_it_cannot_be_written(tmp_path: Path) -> None:
    target = "/proc/version/audit.log"  # not even root makes a folder of a file
    from tests.server.test_serve import failure_of

    (tmp_path / "birdbath.toml").write_text(f'audit_log = "{target}"\n')
    said = failure_of("--port", "0", "--config", str(tmp_path / "birdbath.toml"), home=tmp_path)
    assert said.startswith(f"birdbath: Cannot write the audit log {target}: ")
