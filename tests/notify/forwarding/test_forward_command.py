"""`birdbath forward` as people run it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from birdbath.events import form
from tests.events.test_forms import TIME, record
from tests.notify.amqp.queues import declared
from tests.notify.amqp.test_relay import a_name, consume
from tests.rabbitmq import Broker

DATA = Path(__file__).parents[2] / "events" / "data"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "birdbath", "forward", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.anyio
@pytest.mark.toolkit
async def test_a_log_goes_to_a_broker_and_on_from_there(broker: Broker, tmp_path: Path) -> None:
    exchange, queue, log = a_name(), a_name(), tmp_path / "log"
    await declared(broker.url, exchange, queue)
    options = ["--amqp", broker.url, "--exchange", exchange, "--places", str(tmp_path)]
    options += ["--once", "--owner", "ann"]
    log.write_bytes(b"".join(form("text")(record(11, {}, TIME + n)) for n in range(3)))
    first = run(log, *options)
    with log.open("ab") as file:
        file.write(form("text")(record(11, {}, TIME + 3)))
    second = run(log, *options)
    assert "3 events forwarded" in first.stderr, first.stderr
    assert "1 events forwarded" in second.stderr, second.stderr
    found = await consume(broker.url, exchange, 4, queue)
    assert [int(event.time - TIME) for event in found] == [0, 1, 2, 3]
    assert {event.owner for event in found} == {"ann"}


def test_without_a_broker_it_prints(tmp_path: Path) -> None:
    log = DATA / "classic" / "signalled.log"
    done = run(log, "--places", tmp_path, "--once", "--form", "text")
    assert done.returncode == 0, done.stderr
    assert done.stdout == log.read_text()
    assert run(log, "--places", tmp_path, "--once").stdout == ""


def test_what_is_no_event_is_passed_over_and_holds_up_no_other_log(tmp_path: Path) -> None:
    torn, good = tmp_path / "torn", tmp_path / "good"
    parts = [form("text")(record(11, {}, TIME + n)) for n in range(4)]
    garbage = b"garbage line\n...\n"
    torn.write_bytes(parts[0] + garbage + parts[1])
    good.write_bytes(parts[2] + parts[3])
    command = list(
        map(str, (torn, good, tmp_path / "nolog", "--places", tmp_path, "--once", "--form", "text"))
    )
    done = run(*command)
    assert done.returncode == 1
    assert sorted(done.stdout.encode().split(b"...\n")) == sorted(b"".join(parts).split(b"...\n"))
    assert f"{torn}: passed over {len(garbage)} bytes at offset {len(parts[0])}" in done.stderr
    assert "4 events forwarded" in done.stderr
    assert done.stderr.splitlines()[-1] == f"birdbath: {tmp_path / 'nolog'}: No such file or directory"
    again = run(*command)
    assert again.stdout == ""
    assert "passed over" not in again.stderr


def test_mistakes_are_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("hello\n")
    for arguments, reason in (
        ([tmp_path / "log"], f"{tmp_path / 'log'}: no event log"),
        ([tmp_path / "nolog"], "No such file"),
        ([tmp_path], f"{tmp_path}: Is a directory"),
        ([tmp_path / "log", "--form", "yaml"], "No event form"),
        ([tmp_path / "log", "--amqp", "http://x"], "The broker's address"),
    ):
        done = run(*arguments, "--places", tmp_path, "--once")
        assert done.returncode == 1
        assert done.stderr.startswith("birdbath: ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1 + ("events forwarded" in done.stderr)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_without_a_word(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    log.write_bytes(form("text")(record(11, {}, TIME)))
    command = [sys.executable, "-m", "birdbath", "forward", str(log), "--places", str(tmp_path / "places")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # it follows the log now
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")
