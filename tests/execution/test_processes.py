"""Programs as processes: what they can reach, and what becomes of them."""

from __future__ import annotations

import errno
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from birdbath.execution import Command, Ended, Limits, Processes, Unsupported


@pytest.fixture
def processes() -> Iterator[Processes]:
    found = Processes()
    yield found
    found.close()


@pytest.fixture
def box(tmp_path: Path, processes: Processes) -> Path:
    folder = tmp_path / "box"
    folder.mkdir(mode=0o700)
    if processes.account is not None:
        os.chown(folder, *processes.account)
    return folder


def run(processes: Processes, box: Path, script: str, **more: object) -> Ended:
    """Run a shell script to its end."""
    ended: queue.Queue[Ended] = queue.Queue()
    command = Command("/bin/sh", ["-c", script], {}, box, stdout="out", stderr="err", **more)  # type: ignore[arg-type]
    processes.start("job", command, ended.put)
    return ended.get(timeout=60)


def test_a_program_runs_in_its_directory(processes: Processes, box: Path) -> None:
    (box / "in").write_text("hello\n")
    ended = run(processes, box, "cat; echo made > file; echo bad >&2; exit 3", stdin="in")
    assert (ended.exit_code, ended.signal, ended.error) == (3, 0, "")
    assert ((box / "out").read_text(), (box / "err").read_text()) == ("hello\n", "bad\n")
    assert (box / "file").read_text() == "made\n"


def test_its_environment_is_clean(processes: Processes, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert run(processes, box, "/usr/bin/env; touch $HOME/here").exit_code == 0
    names = {line.partition("=")[0] for line in (box / "out").read_text().splitlines()}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {
        "PATH",
        "HOME",
        "TMPDIR",
        "TMP",
        "TEMP",
        "_CONDOR_SCRATCH_DIR",
    }
    assert (box / "here").exists()


def test_it_cannot_leave_its_directory(processes: Processes, box: Path) -> None:
    outside = box.parent / "outside"
    outside.write_text("private")
    os.chmod(outside, 0o666)
    os.chmod(box.parent, 0o777)
    run(
        processes,
        box,
        f"cat {outside}; echo x > {outside}; echo x > {box.parent}/new; ls /root /home /var;"
        f" ln -s {outside} l; cat l; cat /proc/{os.getpid()}/environ; kill -0 {os.getpid()} && echo could",
    )
    assert (box / "out").read_text() == ""
    assert outside.read_text() == "private"
    assert not (box.parent / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the account")
def test_root_runs_it_under_another_account(processes: Processes, box: Path) -> None:
    run(processes, box, "id -u; id -G; pwd")
    assert processes.account is not None
    uid, gid = processes.account
    assert (box / "out").read_text().splitlines() == [str(uid), str(gid), "/tmp"]


def test_it_has_limits(processes: Processes, box: Path) -> None:
    limits = Limits(memory=512 << 20, cpu=1, file_size=4096)
    assert run(processes, box, "while :; do :; done", limits=limits).signal != 0
    assert run(processes, box, "head -c 100000 /dev/zero > big", limits=limits).exit_code != 0
    assert (box / "big").stat().st_size <= 4096
    code = "bytearray(1 << 30)"
    assert run(processes, box, f"/usr/bin/env python3 -c '{code}'", limits=limits).exit_code != 0
    run(processes, box, "ulimit -c", limits=limits)
    assert (box / "out").read_text() == "0\n"


def test_it_is_a_session_of_its_own_and_killed_with_all_it_started(processes: Processes, box: Path) -> None:
    sleeping = "echo $$ > {}; exec sleep 1000"
    script = f"setsid sh -c '{sleeping.format('a')}' & sh -c '{sleeping.format('b')}' & echo $$ > c; wait"
    processes.start("job", Command("/bin/sh", ["-c", script], {}, box), lambda ended: None)
    wait_until(lambda: all((box / name).exists() and (box / name).read_text() for name in "abc"))
    pids = [int((box / name).read_text()) for name in "abc"]
    assert os.getsid(pids[2]) != os.getsid(0)
    processes.kill("job")
    wait_until(lambda: not any(map(alive, pids)))
    assert not processes.running("job")


def test_what_it_left_behind_dies_with_it(processes: Processes, box: Path) -> None:
    run(processes, box, "setsid sh -c 'exec sleep 1000' > /dev/null 2>&1 & echo $!")
    pid = int((box / "out").read_text())
    wait_until(lambda: not alive(pid))


def test_they_die_with_the_server(box: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from birdbath.execution import *\n"
        f"command = Command('/bin/sh', ['-c', 'echo $$ > pid; sleep 1000'], {{}}, Path({str(box)!r}))\n"
        "Processes().start(1, command, print)\n"
        "time.sleep(1000)"
    )
    server = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: (box / "pid").exists() and (box / "pid").read_text() != "")
    server.kill()
    server.wait()
    pid = int((box / "pid").read_text())
    wait_until(lambda: not alive(pid))


@pytest.mark.parametrize(("program", "errno"), [("./none", 2), ("./plain", 13), ("/root", 13)])
def test_what_cannot_be_started_says_why(processes: Processes, box: Path, program: str, errno: int) -> None:
    (box / "plain").write_text("x")
    ended: queue.Queue[Ended] = queue.Queue()
    processes.start("job", Command(program, [], {}, box), ended.put)
    assert ended.get(timeout=60).errno == errno


def test_streams_do_not_follow_links(processes: Processes, box: Path) -> None:
    (box / "out").symlink_to("/etc/passwd")
    assert run(processes, box, "echo x").errno != 0


def test_an_account_must_exist() -> None:
    if os.geteuid() == 0:
        with pytest.raises(Unsupported):
            Processes("no-such-account")
        with pytest.raises(Unsupported):
            Processes("root")


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second when it goes while it is read
        return False


def wait_until(condition: object, within: float = 60.0) -> None:
    """Other processes tell nobody when they are gone: look again and again."""
    end = time.monotonic() + within
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def test_one_that_is_killed_before_it_began_never_does(
    processes: Processes, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: threads.append(thread))
    processes.start("job", Command("/bin/sh", ["-c", "echo > made"], {}, box), print)
    processes.kill("job")
    monkeypatch.undo()
    for thread in threads:
        thread.start()
        thread.join()
    assert threads
    assert not (box / "made").exists()


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ((threading.Thread, "start", RuntimeError("can't start new thread")), errno.EAGAIN),
        ((subprocess, "Popen", OSError(errno.EMFILE, "Too many open files")), errno.EMFILE),
    ],
)
def test_one_that_the_system_has_no_room_for_is_told(
    missing: tuple[object, str, Exception],
    told: int,
    processes: Processes,
    box: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise missing[2]

    monkeypatch.setattr(missing[0], missing[1], refuse)
    ended = run(processes, box, "true")
    assert ended.errno == told
    assert str(missing[2]) in ended.error
    assert not processes.running("job")
