"""Simulated programs, end to end: what they write, what they return, how long they take."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad, Scalar
from birdbath.pool.base import JobId, JobStatus
from tests.pool.harness import ad_of, becomes, new_job, status_of, submit
from tests.pool.simulated.harness import SimulatedHarness


def run(
    pool: SimulatedHarness,
    cmd: str,
    arguments: str = "",
    files: dict[str, bytes] | None = None,
    **more: Scalar,
) -> tuple[JobId, Ad]:
    """Run a job with Out and Err; the job and its ad when it has completed."""
    job = submit(pool, cmd, arguments, files, **{"Out": "out", "Err": "err", **more})
    pool.wait_for(lambda: status_of(pool, job) in (JobStatus.COMPLETED, JobStatus.HELD))
    ad = ad_of(pool, job)
    assert ad.integer("JobStatus") == JobStatus.COMPLETED, ad.string("HoldReason")
    return job, ad


def out(pool: SimulatedHarness, job: JobId, name: str = "out") -> bytes:
    return pool.queue.sandbox(job).read(name)


@pytest.mark.parametrize(
    ("cmd", "arguments", "exit_code", "stdout", "stderr"),
    [
        ("/bin/true", "", 0, b"", b""),
        ("/bin/false", "", 1, b"", b""),
        ("/bin/echo", "hello  'two words' it''''s", 0, b"hello two words it's\n", b""),
        ("/bin/echo", "-n x", 0, b"x", b""),
        ("/bin/echo", "", 0, b"\n", b""),
        ("/bin/cat", "a b", 0, b"AAbb", b""),
        ("/bin/cat", "a missing b", 1, b"AAbb", b"cat: missing: No such file or directory\n"),
        ("/bin/cat", "/etc/passwd", 1, b"", b"cat: /etc/passwd: No such file or directory\n"),
        ("/bin/cat", "../../../etc/passwd", 1, b"", b"cat: ../../../etc/passwd: No such file or directory\n"),
        ("/bin/sleep", "", 1, b"", b"sleep: missing operand\n"),
        ("/bin/sleep", "long", 1, b"", b"sleep: invalid time interval 'long'\n"),
        ("/bin/hostname", "-s", 0, b"exec-1\n", b""),
        ("/bin/hostname", "", 0, b"exec-1.pool.example.org\n", b""),
        ("/bin/date", "+%Y", 0, b"2027\n", b""),
        ("/bin/sh", "-c 'exit 7'", 7, b"", b""),
        ("/bin/sh", "-c 'echo x; false; echo y; exit'", 0, b"x\ny\n", b""),
        ("/bin/sh", "-c 'false && echo no || echo yes'", 0, b"yes\n", b""),
        ("/bin/sh", "-c 'echo to-err >&2; false'", 1, b"", b"to-err\n"),
        ("/bin/bash", "-c 'cat a > copy; echo more >> copy; cat copy'", 0, b"AAmore\n", b""),
        ("/bin/sh", "-c 'cat < b'", 0, b"bb", b""),
        ("/bin/sh", "-c 'echo 1 > f; echo x 2 >> f; cat f'", 0, b"1\nx 2\n", b""),
        ("/bin/sh", "-c 'echo 1 >&2'", 0, b"", b"1\n"),
        ("/bin/sh", "-c 'echo a1>f; cat f'", 0, b"a1\n", b""),
        ("/bin/sh", """-c 'echo ";" "1>f" a"b c"d # comment'""", 0, b"; 1>f ab cd\n", b""),
        ("/bin/sh", "-c 'echo y >> b; echo z >> ./b; cat b'", 0, b"bby\nz\n", b""),
        ("/bin/sh", "-c 'cat b > c; echo y >> b; cat c'", 0, b"bb", b""),
        ("/bin/sh", "-c 'echo y >> b; echo z > b; cat b'", 0, b"z\n", b""),
        (
            "/bin/sh",
            "-c 'cat < nothing || echo sorry'",
            0,
            b"sorry\n",
            b"sh: cannot open nothing: No such file\n",
        ),
        ("/bin/sh", "script", 3, b"from a file\n", b""),
    ],
)
def test_a_known_program_does_what_it_does(
    simulated: SimulatedHarness, cmd: str, arguments: str, exit_code: int, stdout: bytes, stderr: bytes
) -> None:
    files = {"a": b"AA", "b": b"bb", "script": b"# a comment\necho from a file\nexit 3\n"}
    job, ad = run(simulated, cmd, arguments, files)
    assert (ad.get("ExitCode"), out(simulated, job), out(simulated, job, "err")) == (
        exit_code,
        stdout,
        stderr,
    )
    assert ad.get("ExitStatus") == exit_code


@pytest.mark.parametrize(
    ("arguments", "seconds"), [("5", 5), ("0.5", 0.5), ("2m", 120), ("1 2s", 3), ("1h", 3600)]
)
def test_sleep_takes_that_many_pool_seconds(
    simulated: SimulatedHarness, arguments: str, seconds: float
) -> None:
    job = submit(simulated, "/bin/sleep", arguments)
    simulated.wait_for(becomes(simulated, job, JobStatus.RUNNING))
    start = simulated.clock.time()
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED), within=4000)
    assert simulated.clock.time() - start == pytest.approx(seconds)


def test_a_script_sleeps_between_its_commands(simulated: SimulatedHarness) -> None:
    start = simulated.clock.time()
    _, ad = run(simulated, "/bin/sh", "-c 'sleep 3; echo x && sleep 4'")
    assert ad.get("RemoteWallClockTime") == 7.0
    assert simulated.clock.time() >= start + 7


def test_the_environment_comes_in_either_syntax(simulated: SimulatedHarness) -> None:
    job, _ = run(simulated, "/usr/bin/env", Environment="MODE=two' 'words EMPTY= PATH=/bin")
    lines = out(simulated, job).decode().splitlines()
    assert lines[:3] == ["MODE=two words", "EMPTY=", "PATH=/bin"]
    assert "BATCH_SYSTEM=HTCondor" in lines
    job, _ = run(simulated, "/usr/bin/env", Env="A=1;B=two words")
    assert out(simulated, job).decode().splitlines()[:2] == ["A=1", "B=two words"]


def test_the_old_syntax_of_arguments_knows_no_quotes(simulated: SimulatedHarness) -> None:
    job = simulated.write(lambda unit: JobId(simulated.queue.reserve_cluster(unit), 0))
    new = new_job(simulated, job, "/bin/echo", Args="'a  b' c", Out="out")
    new.ad.delete("Arguments")
    simulated.write(lambda unit: simulated.queue.accept(unit, [new]))
    simulated.wait_for(becomes(simulated, job, JobStatus.COMPLETED))
    assert out(simulated, job) == b"'a b' c\n"


def test_standard_input_is_read_from_the_sandbox(simulated: SimulatedHarness) -> None:
    job, ad = run(simulated, "/bin/cat", "", {"in.txt": b"line\n"}, In="some/folder/in.txt")
    assert out(simulated, job) == b"line\n"
    assert ad.get("BytesRecvd") == 5.0
    assert ad.get("BytesSent") == 5.0


def test_out_and_err_may_be_one_file(simulated: SimulatedHarness) -> None:
    job, _ = run(simulated, "/bin/cat", "a missing", {"a": b"A\n"}, Out="both", Err="both")
    assert out(simulated, job, "both") == b"A\ncat: missing: No such file or directory\n"


def test_a_file_that_is_read_and_written_is_lost_as_in_a_shell(simulated: SimulatedHarness) -> None:
    job, _ = run(simulated, "/bin/cat", "a", {"a": b"A"}, Out="a")
    assert out(simulated, job, "a") == b""


def test_an_uploaded_script_is_understood_if_it_is_simple(simulated: SimulatedHarness) -> None:
    script = b"#!/bin/sh\n# greets\necho hello\nsleep 2\n\ncat data; exit 4\n"
    job, ad = run(simulated, "job.sh", "", {"job.sh": script, "data": b"D"})
    assert (ad.get("ExitCode"), out(simulated, job)) == (4, b"hello\nD")
    assert ad.get("RemoteWallClockTime") == 2.0


@pytest.mark.parametrize(
    "script",
    [
        b"#!/bin/sh\nfor i in 1 2; do echo $i; done\n",
        b"#!/bin/sh\nmake all\n",
        b"#!/bin/sh\necho 'open\n",
        b"#!/usr/bin/python3\nprint(1)\n",
        b"#!/bin/sh\necho \xff\n",
        b"\x7fELF...",
        b"#!/bin/sh\necho a & echo b\n",
        b"#!/bin/sh\necho a | cat\n",
        b"#!/bin/sh\ncat missing 2>/dev/null\n",
        b"#!/bin/sh\necho x 1>f\n",
        b"#!/bin/sh\necho x 2>&1\n",
        b"#!/bin/sh\necho x > ; echo y\n",
        b"#!/bin/sh\nexit now\n",
    ],
)
def test_any_other_program_runs_for_a_while_and_says_so(simulated: SimulatedHarness, script: bytes) -> None:
    job, ad = run(simulated, "job.sh", "a b", {"job.sh": script})
    text = out(simulated, job).decode()
    assert "Simulated run of job.sh a b on slot1@exec-1.pool.example.org" in text
    assert "no process was started" in text
    assert ad.get("ExitCode") == 0
    assert ad.get("RemoteWallClockTime") == 1.0


def test_sim_runtime_says_how_long_a_program_takes(simulated: SimulatedHarness) -> None:
    _, ad = run(simulated, "/opt/solver", SimRuntime=90)
    assert ad.get("RemoteWallClockTime") == 90.0
    assert ad.get("RemoteUserCpu") == 90.0


def test_an_uploaded_program_of_a_known_name_is_that_program(simulated: SimulatedHarness) -> None:
    job, _ = run(simulated, "cat", "data", {"cat": b"\x7fELF...", "data": b"D"})
    assert out(simulated, job) == b"D"


@pytest.mark.parametrize("name", ["..", "x/..", "x/", "y" * 300])
def test_an_output_name_that_is_none_holds_the_job(simulated: SimulatedHarness, name: str) -> None:
    job = submit(simulated, "/bin/echo", "x", Out=name)
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))
    assert ad_of(simulated, job).integer("HoldReasonCode") == 7
    assert name[:20] in ad_of(simulated, job).string("HoldReason")


def test_output_never_leaves_the_sandbox(simulated: SimulatedHarness) -> None:
    job, _ = run(simulated, "/bin/echo", "x", Out="/tmp/../somewhere/else.txt")
    assert out(simulated, job, "else.txt") == b"x\n"


def test_a_link_in_the_sandbox_is_not_followed(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/echo", "x", {"other": b""}, Out="out")
    victim = simulated.spool.root.parent / "victim"
    victim.write_text("untouched")
    (simulated.queue.sandbox(job).path / "out").symlink_to(victim)
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))
    assert victim.read_text() == "untouched"
    assert ad_of(simulated, job).integer("HoldReasonCode") == 12


def test_unbalanced_quotes_hold_the_job(simulated: SimulatedHarness) -> None:
    job = submit(simulated, "/bin/echo", "'open")
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))
    assert ad_of(simulated, job).integer("HoldReasonCode") == 6


def test_files_to_be_transferred_must_be_there(simulated: SimulatedHarness) -> None:
    inputs = "data, http://example.org/x, /data/alice/big"
    job, ad = run(simulated, "/bin/true", "", {"data": b"12345"}, TransferInput=inputs)
    assert ad.get("BytesRecvd") == 5.0
    job = submit(simulated, "/bin/true", "", {"data": b""}, TransferInput="data,absent")
    simulated.wait_for(becomes(simulated, job, JobStatus.HELD))
    assert "absent" in ad_of(simulated, job).string("HoldReason")
    run(simulated, "/bin/true", TransferInput="absent", ShouldTransferFiles="NO")
