"""The doctor sees what is wrong, says what to do, and changes nothing; a restart refuses nobody."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization

from birdbath.credentials.passwords import change, hash_password
from tests.guard.authority import Authority
from tests.guard.world import toml
from tests.ports import free_port
from tests.server_process import running_server
from tests.soap.wire import call


def doctor(home: Path, *options: str, **settings: object) -> tuple[int, dict[str, dict[str, Any]]]:
    file = home.parent / "birdbath.toml"
    file.write_text("\n".join(f"{name} = {toml(value)}" for name, value in settings.items()))
    command = [
        sys.executable,
        "-m",
        "birdbath",
        "doctor",
        "--home",
        str(home),
        "--config",
        str(file),
        "--json",
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return done.returncode, {finding["part"]: finding for finding in json.loads(done.stdout)}


def test_a_new_home_is_well_and_stays_new(tmp_path: Path) -> None:
    code, found = doctor(tmp_path / "home", port=0)
    assert code == 0
    assert {finding["verdict"] for finding in found.values()} == {"good"}
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["home", "a%41?b#c d"])
def test_a_used_home_is_well(name: str, tmp_path: Path) -> None:
    home = tmp_path / name
    with running_server(home) as server:
        code, found = doctor(home, port=urlsplit(server.url).port)
        assert (code, found["listening"]["verdict"]) == (0, "doubtful")
        assert found["database"]["seen"] == f"{home / 'birdbath.db'} is sound and can be written"
    assert {entry.name for entry in tmp_path.iterdir()} == {name, "birdbath.toml"}


def test_it_says_what_is_wrong(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    (home / "birdbath.db").write_bytes(b"no database at all" * 100)
    (tmp_path / "passwords").write_text("nonsense")
    port = free_port()
    code, found = doctor(
        home,
        port=0,
        host="0.0.0.0",
        authentication=[{"method": "basic", "passwords": str(tmp_path / "passwords")}],
        min_free_bytes=1 << 60,
        amqp_url=f"amqp://127.0.0.1:{port}",
        smtp_server=f"127.0.0.1:{port}",
    )
    assert code == 1
    assert found["home"]["verdict"] == "doubtful"
    for part in ("disk", "database", "certificate", "authentication", "broker", "mail"):
        assert found[part]["verdict"] == "bad", part
        assert found[part]["advice"], part
    assert "line 1" in found["authentication"]["seen"]


def test_it_looks_at_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    change(tmp_path / "passwords", "ann", hash_password("a good password"))
    settings = {
        "authentication": [{"method": "basic", "passwords": str(tmp_path / "passwords")}],
        "tls_certificate": str(authority.server().path),
        "port": 0,
    }
    code, found = doctor(tmp_path / "home", **settings)
    assert code == 0
    assert found["certificate"]["verdict"] == "doubtful"  # valid for a day, readable by others
    (tmp_path / "ca" / "server.pem").write_text("nonsense")
    assert doctor(tmp_path / "home", **settings)[0] == 1


def test_it_looks_at_the_authorities_of_client_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    change(tmp_path / "passwords", "ann", hash_password("a good password"))
    now = datetime.now(UTC)

    def seen(valid_until: datetime) -> tuple[str, str]:
        ca = tmp_path / "ca.pem"
        ca.write_bytes(authority.until(valid_until).public_bytes(serialization.Encoding.PEM))
        settings: dict[str, object] = {
            "authentication": [{"method": "basic", "passwords": str(tmp_path / "passwords")}],
            "tls_certificate": str(authority.server().path),
            "tls_client_ca": str(ca),
            "tls_client_certificates": "optional",
            "port": 0,
        }
        finding = doctor(tmp_path / "home", **settings)[1]["authorities"]
        return finding["verdict"], finding["seen"]

    assert seen(now + timedelta(days=400))[0] == "good"
    assert seen(now + timedelta(days=10))[0] == "doubtful"
    verdict, text = seen(now - timedelta(days=2))
    assert verdict == "bad"
    assert "has expired" in text


def test_it_looks_at_the_audit_log(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for path, verdict in {
        tmp_path / "nowhere" / "audit.log": "bad",
        tmp_path / "taken": "bad",
        tmp_path / "audit.log": "good",
    }.items():
        code, found = doctor(tmp_path / "home", port=0, audit_log=str(path))
        assert (found["audit log"]["verdict"], code) == (verdict, int(verdict == "bad"))
        assert str(path.parent) in found["audit log"]["seen"]
    assert not (tmp_path / "audit.log").exists()


def test_it_loads_the_description_of_the_pool(tmp_path: Path) -> None:
    description = tmp_path / "pool.toml"
    for text, told in ((None, "No such file"), ("machines = 3", "machines"), ("", "")):
        if text is not None:
            description.write_text(text)
        code, found = doctor(tmp_path / "home", port=0, pool=str(description))
        assert (found["pool"]["verdict"], code) == (("bad", 1) if told else ("good", 0))
        assert str(description) in found["pool"]["seen"]
        assert told in found["pool"]["seen"]


def test_it_asks_a_real_pool(tmp_path: Path) -> None:
    port = free_port()
    code, found = doctor(tmp_path / "home", port=0, pool="htcondor", htcondor_collector=f"127.0.0.1:{port}")
    assert (code, found["pool"]["verdict"]) == (1, "bad")
    assert "schedd: " in found["pool"]["seen"]
    assert "htcondor_*" in found["pool"]["advice"]
    config = tmp_path / "condor_config"
    code, found = doctor(tmp_path / "home", port=0, pool="htcondor", htcondor_config=str(config))
    assert (code, found["pool"]["seen"]) == (1, f"htcondor_config: {config} is no file")


def test_people_can_read_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "birdbath", "doctor", "--home", str(tmp_path / "home"), "--host", "0.0.0.0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert " x  listening       Refusing to listen on 0.0.0.0" in done.stdout
    assert "                    -> " in done.stdout


def test_a_restart_refuses_nobody_and_forgets_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        address = urlsplit(server.url)
        failures: list[BaseException] = []
        answered = [0]
        done = threading.Event()

        def ask(body: bytes) -> str:
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
            try:
                connection.request("POST", "/", body, {"Content-Type": "text/xml"})
                return connection.getresponse().read().decode()
            finally:
                connection.close()

        def go_on_asking() -> None:
            while not done.is_set():
                try:
                    assert "SUCCESS" in ask(call("getVersionString"))
                    answered[0] += 1
                except BaseException as error:
                    failures.append(error)

        begun = ask(call("beginTransaction", "<duration>600</duration>"))
        number = begun.partition("<id>")[2].partition("<")[0]
        asking = threading.Thread(target=go_on_asking)
        asking.start()
        started = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        server.process.send_signal(signal.SIGHUP)
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == server.ready_line  # by the same process, on the same port
        before = answered[0]
        deadline = time.monotonic() + 60
        while answered[0] < before + 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        done.set()
        asking.join()
        assert failures == []
        assert answered[0] >= before + 3
        assert Path(f"/proc/{server.process.pid}/cmdline").read_bytes() == started
        txn = f"<transaction><id>{number}</id><duration>600</duration></transaction>"
        assert "SUCCESS" in ask(call("newCluster", txn))
        assert server.stop() == 0
