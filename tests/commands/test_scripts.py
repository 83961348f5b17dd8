"""The demo, and the scripts that show portal authors the way, against a real server."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.clients.conftest import REPOSITORY
from tests.server_process import running_server

SCRIPTS = REPOSITORY / "scripts"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}


def script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_submitting_and_fetching(server: str, tmp_path: Path) -> None:
    payload = tmp_path / "it's data.bin"
    payload.write_bytes(os.urandom(2_500_000))

    submitted = script("zeep_submit.py", server, str(payload))
    fetched = script("zeep_fetch.py", server, submitted.stdout.strip(), str(tmp_path / "out"))

    assert submitted.returncode == fetched.returncode == 0, submitted.stderr + fetched.stderr
    assert fetched.stdout.splitlines()[-2:] == ["it's data.bin: 2500000 bytes", "job.out: 2500000 bytes"] or (
        "Completed" in fetched.stdout
    )
    assert (tmp_path / "out" / "job.out").read_bytes() == payload.read_bytes()


def test_looking_at_the_pool_and_acting_on_a_job(server: str) -> None:
    outcome = script("zeep_pool.py", server)

    assert outcome.returncode == 0, outcome.stderr
    assert re.search(r"^slot.*: \w+, \d+ MB$", outcome.stdout, re.MULTILINE)
    assert re.search(r"^\d+\.0 is held: to look at it$", outcome.stdout, re.MULTILINE)
    assert re.search(r"^\d+\.0 is removed$", outcome.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    [
        "demo.py",
        "zeep_submit.py",
        "zeep_fetch.py",
        "zeep_pool.py",
        "zeep_events.py",
        "stream_events.py",
        "receive_webhooks.py",
        "ask_for_job.py",
    ],
)
def test_they_use_nothing_of_birdbath(name: str) -> None:
    tree = ast.parse((SCRIPTS / name).read_text())
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imported += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]

    assert imported
    assert not [module for module in imported if module.split(".")[0] == "birdbath"]


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPTS.glob("[!d]*.py")))
@pytest.mark.parametrize("words", [(), ("--help",)])
def test_without_arguments_they_say_how_they_are_used(name: str, words: tuple[str, ...]) -> None:
    outcome = script(name, *words)

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert f"Usage: {name} " in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("name", ["demo", "environment", "htcondor-pool", "install-toolkits", "lock"])
def test_asked_for_help_the_commands_do_nothing_else(tmp_path: Path, name: str) -> None:
    command = copied(tmp_path, name)
    outcome = run_apart(command, "--help", PYTHON="/bin/false")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert f"scripts/{name} " in outcome.stdout or "may be run again" in outcome.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [command]


def test_an_environment_that_is_active_can_be_made_anew(tmp_path: Path) -> None:
    """The interpreter on the PATH is then one in the folder that is removed."""
    command = copied(tmp_path, "environment")
    (tmp_path / "locks").mkdir()
    (tmp_path / "birdbath").mkdir()
    for name in ("pyproject.toml", "birdbath/__init__.py", "locks/use.txt"):
        (tmp_path / name).touch()
    (tmp_path / "locks" / "build.txt").write_text("nowhere @ file:///dev/null\n")  # here it ends
    folder = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (folder / "old").touch()

    outcome = run_apart(command, PATH=f"{folder / 'bin'}:{os.environ['PATH']}")

    assert "the installation failed" in outcome.stderr, outcome.stderr
    assert not (folder / "old").exists()
    assert subprocess.run([folder / "bin" / "python", "-c", ""]).returncode == 0


def copied(folder: Path, name: str) -> Path:
    """A command of scripts/ in a checkout that has nothing else."""
    (folder / "scripts").mkdir()
    return Path(shutil.copy(SCRIPTS / name, folder / "scripts"))


def run_apart(command: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"} | variables
    return subprocess.run([command, *words], env=environment, capture_output=True, text=True, timeout=240)


def test_following_a_job(server: str, tmp_path: Path) -> None:
    payload = tmp_path / "payload.bin"
    payload.write_bytes(b"payload")
    submitted = script("zeep_submit.py", server, str(payload))

    followed = script("zeep_events.py", server, submitted.stdout.strip())

    assert followed.returncode == 0, followed.stderr
    names = [line.split()[1] for line in followed.stdout.splitlines()]
    assert names[:2] == ["submit", "execute"]
    assert names[-1] == "terminated"


def note_events(lines: Iterable[str], seen: dict[str, list[str]]) -> None:
    """Note of each job the events that are told of."""
    for line in lines:
        _, job, event = line.split()
        seen.setdefault(job, []).append(event)


@pytest.mark.parametrize("name", ["stream_events.py", "receive_webhooks.py"])
def test_following_all_jobs(tmp_path: Path, name: str) -> None:
    environment = {"BIRDBATH_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    with running_server(tmp_path / "home", environment=environment) as server:
        command = [sys.executable, str(SCRIPTS / name), server.url, "job.held.#", "job.removed.#"]
        refused = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 1
        assert "there is no event 'removed'" in refused.stderr
        command[-1] = "job.aborted.#"
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            seen: dict[str, list[str]] = {}
            try:
                if name == "receive_webhooks.py":
                    assert following.stdout.readline().startswith("Waiting for events at http://127.0.0.1:")
                reading = threading.Thread(target=note_events, args=(following.stdout, seen))
                reading.start()
                while ["held", "aborted"] not in seen.values():
                    # A stream begins with the next event, and its reader does not say when it listens.
                    assert script("zeep_pool.py", server.url).returncode == 0
            finally:
                following.send_signal(signal.SIGINT)
            reading.join()


def test_the_demo_once(tmp_path: Path) -> None:
    outcome = script("demo.py", "--once", "--home", str(tmp_path / "home"))

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "job.out equals payload.bin" in outcome.stdout
    assert re.search(r"WSDL +http://127\.0\.0\.1:\d+/condorSchedd\.wsdl", outcome.stdout)
    assert (tmp_path / "home" / "server.log").exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_serves_until_it_is_stopped(stop: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, str(SCRIPTS / "demo.py")], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        shown = ""
        while "Serving" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        home = re.search(r"home +(\S+)", shown)
        process.send_signal(stop)
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert "q --all --url http://127.0.0.1:" in shown
    assert home
    assert not Path(home[1]).exists()  # the server is gone, and what it kept


def test_the_demo_says_why_a_server_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "birdbath.sqlite3").mkdir()
    (tmp_path / "spool").write_text("in the way")

    outcome = script("demo.py", "--once", "--home", str(tmp_path))

    assert outcome.returncode == 1
    assert "the server did not start" in outcome.stdout
