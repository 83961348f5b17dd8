"""`birdbath serve` as a process: start, addresses, settings, stop, and what survives."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import zeep

from birdbath.server import advertised_address, listen, url_of
from birdbath.settings import load_settings, misspelt
from birdbath.soap import wsdl
from tests.server_process import REPOSITORY, ServerProcess, running_server, serve_command


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as reply:
        return bytes(reply.read())


def schedd(server: ServerProcess) -> Any:
    return zeep.Client(f"{server.url}/condorSchedd.wsdl").service


def failure_of(*options: str, home: Path) -> str:
    """What a server that cannot start says on standard error."""
    ended = subprocess.run(
        serve_command("--home", str(home), *options),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPOSITORY,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stdout == ""
    return ended.stderr


def test_the_ready_line_names_addresses_that_answer(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert server.ready_line.startswith("Birdbath is ready at http://127.0.0.1:")
        assert b"condorSchedd.wsdl" in get(server.url + "/")
        assert get(f"{server.url}/condorSchedd.wsdl") == wsdl("condorSchedd", f"{server.url}/schedd")
        assert get(f"{server.url}/schedd?wsdl") == wsdl("condorSchedd", f"{server.url}/schedd")


@pytest.mark.parametrize("service", ["condorSchedd", "condorCollector"])
def test_the_committed_wsdl_is_the_served_one(service: str) -> None:
    """Apart from the address, which is the original's."""
    committed = (REPOSITORY / "wsdl" / f"{service}.wsdl").read_bytes()
    assert committed == wsdl(service)  # type: ignore[arg-type]


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_keeps_open_transactions(tmp_path: Path, with_signal: signal.Signals) -> None:
    with running_server(tmp_path) as server:
        service = schedd(server)
        transaction = service.beginTransaction(600).transaction
        cluster = service.newCluster(transaction).integer
        assert server.stop(with_signal) == 0
    with running_server(tmp_path) as server:
        service = schedd(server)
        assert service.newJob(transaction, cluster).integer == 0
        assert service.commitTransaction(transaction).code == "SUCCESS"
        assert service.getJobAd(None, cluster, 0).status.code == "SUCCESS"


def test_stopping_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with (
            socket.create_connection((host, int(port))) as half_sent,
            socket.create_connection((host, int(port))),
        ):
            half_sent.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            assert server.stop() == 0


def test_a_request_of_somebody_who_had_just_connected_is_answered_before_the_stop(tmp_path: Path) -> None:
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running_server(tmp_path) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with (
            socket.create_connection((host, int(port)), 30) as silent,
            socket.create_connection((host, int(port)), 30) as half_sent,
            socket.create_connection((host, int(port)), 30) as served,
        ):
            half_sent.sendall(request[:20])
            served.sendall(request)
            assert served.recv(12) == b"HTTP/1.1 200"
            server.process.send_signal(signal.SIGTERM)
            while served.recv(4096):  # it is closed as soon as the stop begins
                pass
            silent.sendall(request)
            half_sent.sendall(request[20:])
            assert silent.recv(12) == b"HTTP/1.1 200"
            assert half_sent.recv(12) == b"HTTP/1.1 200"
        assert server.process.wait(60) == 0


def test_a_second_port_for_the_collector(tmp_path: Path) -> None:
    with running_server(tmp_path, "--collector-port", "0") as server:
        assert len(set(server.urls)) == 2
        collector = zeep.Client(f"{server.urls[1]}/condorCollector.wsdl").service
        assert len(collector.queryStartdAds("")) == 16


def test_settings_from_flag_variable_and_file_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "birdbath.toml"
    file.write_text('public_url = "http://file.example.org"\nuid_domain = "file"\nport = 1\n')
    environment = {"BIRDBATH_PUBLIC_URL": "http://variable.example.org", "BIRDBATH_PORT": "2"}
    with running_server(tmp_path / "home", "--config", str(file), environment=environment) as server:
        assert b'location="http://variable.example.org/schedd"' in get(f"{server.url}/schedd?wsdl")


def test_lists_in_variables_are_separated_by_commas(tmp_path: Path) -> None:
    environment = {"BIRDBATH_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    with running_server(tmp_path, environment=environment) as server:
        request = urllib.request.Request(
            f"{server.url}/schedd?wsdl", headers={"X-Forwarded-Host": "a.example.org"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert b'location="http://a.example.org/schedd"' in reply.read()


def test_the_pool_advertises_the_public_address(tmp_path: Path) -> None:
    with running_server(tmp_path, "--public-url", "https://portal.example.org") as server:
        collector = zeep.Client(f"{server.url}/condorCollector.wsdl").service
        collector._binding_options["address"] = server.url
        (ad,) = collector.queryScheddAds("HasSOAPInterface =?= TRUE")
        shown = {item.name: item.value for item in ad.item}
        assert shown["ScheddIpAddr"] == "<portal.example.org:443>"


def test_an_address_with_colons_is_advertised_in_brackets(tmp_path: Path) -> None:
    for url, address in (("http://[2001:db8::1]:9618", "[2001:db8::1]:9618"), ("https://[::1]", "[::1]:443")):
        settings = load_settings(home=tmp_path, public_url=url)
        assert advertised_address(settings, "http://127.0.0.1:8080") == address


def test_a_server_on_every_address_names_one_that_can_be_reached(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, host="0.0.0.0")
    host, _, port = advertised_address(settings, "http://127.0.0.1:8080").rpartition(":")
    assert host != "0.0.0.0"
    assert port == "8080"
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = failure_of("--port", port, home=tmp_path)
    assert said == f"birdbath: Cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_a_port_that_becomes_free_in_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("birdbath.listening.time.sleep", lambda _seconds: taken.close())
        with listen("127.0.0.1", port) as listener:
            assert listener.getsockname()[1] == port


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prot = 8080", "prot: there is no such setting; perhaps port"),
        ('port = "many"', "port: Input should be a valid integer"),
        ("port 8080", "birdbath.toml: "),
        ('trusted_proxies = ["nonsense"]', "trusted_proxies: "),
        ('public_url = "nonsense"', "public_url: "),
        ('database_url = "mysql://root@localhost/x"', "database_url: it must begin with sqlite:///"),
        ('speed = "fast"', "birdbath: speed: Input should be a valid number"),
        ('port = 0\ndatabase_url = "postgresql+psycopg://127.0.0.1:1/nobody"', "Cannot use the database "),
        ('soap_leave_in_queue = "(("', "soap_leave_in_queue: "),
    ],
)
def test_a_mistake_in_the_settings_file_is_said_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "birdbath.toml"
    file.write_text(content)
    lines = failure_of("--config", str(file), home=tmp_path)
    assert lines.startswith("birdbath: ")
    assert said in lines
    assert lines.count("\n") == 1


def test_a_variable_that_is_no_setting_but_looks_like_one_is_told_of() -> None:
    others = [
        "BIRDBATH_PORT",
        "BIRDBATH_URL",
        "BIRDBATH_TOKEN",
        "BIRDBATH_CA",
        "BIRDBATH_XMPP_PASSWORD",
        "PROT",
    ]
    assert misspelt(["BIRDBATH_PROT", *others]) == {"BIRDBATH_PROT": "BIRDBATH_PORT"}
    command = [sys.executable, "-m", "birdbath", "serve", "--check"]
    environment = os.environ | {"BIRDBATH_HOEM": "elsewhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        0,
        "birdbath: BIRDBATH_HOEM is no setting; perhaps BIRDBATH_HOME\n",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('port = "nonsense"', "port: Input should be a valid integer"),
        ('host = "0.0.0.0"', "Refusing to listen on 0.0.0.0: "),
        ('tls_certificate = "/no/such/file.pem"', "Cannot read /no/such/file.pem: "),
        ('pool = "nowhere"', "pool: "),
        ('audit_log = "/no/such/folder/audit.log"', "Cannot write the audit log "),
        ('database_url = "postgresql+psycopg://127.0.0.1:1/nobody"', "database: "),
    ],
)
def test_settings_that_cannot_be_served_are_said_beforehand(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "birdbath.toml"
    file.write_text(content)
    lines = failure_of("--config", str(file), "--check", home=tmp_path / "home")
    assert lines.startswith("birdbath: ")
    assert said in lines
    assert lines.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_a_home_or_a_database_that_cannot_be_used_is_said_beforehand(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert f"{taken} is no folder" in failure_of("--check", home=taken)
    home = tmp_path / "home"
    home.mkdir()
    (home / "birdbath.db").write_text("no database, however long one looks at it" * 100)
    assert "file is not a database" in failure_of("--check", home=home)


def test_settings_that_can_be_served_are_called_so_and_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = serve_command("--home", str(home), "--check")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=REPOSITORY, check=True)
    assert done.stdout == "birdbath: the settings can be served\n"
    assert done.stderr == ""
    assert not home.exists()


def test_a_restart_with_settings_that_cannot_be_served_does_not_take_place(tmp_path: Path) -> None:
    file = tmp_path / "birdbath.toml"
    file.write_text('public_url = "http://former.example.org"\n')
    with running_server(tmp_path / "home", "--config", str(file)) as server:
        for content, said in (
            ('max_connections = "nonsense"', "max_connections: Input should be a valid integer"),
            ('soap_leave_in_queue = "(("', "soap_leave_in_queue: "),
        ):
            file.write_text(content)
            server.process.send_signal(signal.SIGHUP)
            expected = f"ERROR birdbath.running: Not restarted, it goes on with the former settings: {said}"
            deadline = time.monotonic() + 60
            while expected not in server.log.read_text():
                # Asked all the while, it answers all the while.
                assert b'location="http://former.example.org/schedd"' in get(f"{server.url}/schedd?wsdl")
                assert time.monotonic() < deadline, server.log.read_text()
        file.write_text('public_url = "http://latter.example.org"\n')
        server.process.send_signal(signal.SIGHUP)
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == server.ready_line
        assert b'location="http://latter.example.org/schedd"' in get(f"{server.url}/schedd?wsdl")
        assert server.stop() == 0


def test_a_server_that_is_about_to_start_is_not_ended_by_sighup_but_restarts(tmp_path: Path) -> None:
    ready_made = (REPOSITORY / "birdbath/pool/simulated/descriptions/laptop.toml").read_text()
    pool, other = tmp_path / "pool.toml", tmp_path / "other.toml"
    other.write_text(ready_made)
    os.mkfifo(pool)  # who opens it waits for the other side to do so, too
    command = serve_command("--home", str(tmp_path / "home"), "--port", "0", "--pool", str(pool))
    with (
        (tmp_path / "server.log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=REPOSITORY) as process,
    ):
        killer = threading.Timer(60, process.kill)
        let_go = threading.Timer(60, lambda: os.open(pool, os.O_RDONLY | os.O_NONBLOCK))
        for timer in (killer, let_go):
            timer.start()
        try:
            with pool.open("w") as file:
                process.send_signal(signal.SIGHUP)
                other.replace(pool)
                file.write(ready_made)
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert ready.startswith("Birdbath is ready at ")
            assert process.stdout.readline() == ready
            process.terminate()
            assert process.wait(60) == 0
        finally:
            for timer in (killer, let_go):
                timer.cancel()
            process.kill()


def test_the_first_process_of_a_container_is_ended_while_it_starts(tmp_path: Path) -> None:
    """The kernel gives such a process only the signals that it asks for."""
    contained = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*contained, "true"], capture_output=True).returncode
    ):
        pytest.skip("this machine lets nobody make a namespace of processes")
    pool = tmp_path / "pool.toml"
    os.mkfifo(pool)  # who opens it waits for the other side to do so, too
    command = serve_command("--home", str(tmp_path / "home"), "--port", "0", "--pool", str(pool))
    with subprocess.Popen([*contained, *command], cwd=REPOSITORY) as outer:
        killer = threading.Timer(60, outer.kill)
        let_go = threading.Timer(60, lambda: os.open(pool, os.O_RDONLY | os.O_NONBLOCK))
        for timer in (killer, let_go):
            timer.start()
        try:
            with pool.open("w"):
                (inner,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
                os.kill(int(inner), signal.SIGTERM)
                assert outer.wait(60) == 0
        finally:
            for timer in (killer, let_go):
                timer.cancel()
            outer.kill()


def test_a_missing_settings_file_is_said(tmp_path: Path) -> None:
    assert "There is no settings file" in failure_of("--config", str(tmp_path / "none.toml"), home=tmp_path)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = failure_of("--port", "0", home=tmp_path / "file" / "home")
    assert said.startswith("birdbath: ")
    assert "Traceback" not in said


def test_a_spool_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    said = failure_of("--port", "0", home=tmp_path)
    assert said.startswith("birdbath: ")
    assert said.count("\n") == 1


def test_a_database_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "birdbath.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.close()
    said = failure_of("--port", "0", home=tmp_path)
    assert said.startswith("birdbath: ")
    assert "Traceback" not in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "birdbath.example.org"])
def test_an_open_door_to_the_network_has_to_be_asked_for(tmp_path: Path, host: str) -> None:
    said = failure_of("--port", "0", "--host", host, home=tmp_path)
    assert said.startswith(f"birdbath: Refusing to listen on {host}: ")
    assert "--without-authentication" in said
    assert said.count("\n") == 1


def test_an_open_door_that_was_asked_for(tmp_path: Path) -> None:
    with running_server(tmp_path, "--host", "0.0.0.0", "--without-authentication") as server:
        assert b"condorSchedd.wsdl" in get(server.url + "/")


def test_a_name_that_leads_here_is_no_way_in(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        request = urllib.request.Request(server.url + "/", headers={"Host": "evil.example.com"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(request, timeout=60)
