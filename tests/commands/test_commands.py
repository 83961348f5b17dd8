"""The everyday commands against a real server."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from birdbath.client import Schedd
from tests.client.test_cycle import COMPLETED
from tests.clients.portal import until
from tests.commands.conftest import Run


@pytest.fixture
def sleepers(run: Run, server: str) -> str:
    """A cluster of three jobs that run for an hour."""
    return submit(run, server, "executable = /bin/sleep\narguments = 3600\nqueue 3\n")


def submit(run: Run, server: str, description: str, *options: str) -> str:
    Path("job.sub").write_text(description)
    outcome = run("submit", "job.sub", "--json", *options, url=server)
    assert outcome.exit_code == 0, outcome.stderr
    [sent] = json.loads(outcome.stdout)
    return str(sent["cluster"])


def finished(server: str, cluster: str) -> None:
    with Schedd(server) as schedd:
        until(lambda: {ad["JobStatus"] for ad in schedd.job_ads(f"ClusterId == {cluster}")} == {COMPLETED})


def rows(text: str, first: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if re.match(rf"\s*{re.escape(first)}", line)]


def test_from_a_description_to_the_output(run: Run, server: str, tmp_path: Path) -> None:
    payload = os.urandom(100_000)
    (tmp_path / "payload.bin").write_bytes(payload)
    (tmp_path / "job.sub").write_text(
        "executable = /bin/cat\narguments = payload.bin\ntransfer_input_files = payload.bin\n"
        'output = results/$(Cluster).out\n+Project = "demo"\nqueue\n'
    )

    sent = run("submit", "job.sub", url=server)
    found = re.fullmatch(r"1 job\(s\) submitted to cluster (\d+)\.\n", sent.stdout)
    assert found, sent
    cluster = found[1]
    finished(server, cluster)
    listed = run("q", cluster, url=server)
    kept = run("fetch", cluster, "--keep", "-d", "first", url=server)
    fetched = run("fetch", f"{cluster}.0", "-d", "here", "--json", url=server)

    assert rows(listed.stdout, f"{cluster}.0")[0][1:] == [
        "alice",
        *rows(listed.stdout, f"{cluster}.0")[0][2:5],
        "C",
        "0",
        *rows(listed.stdout, f"{cluster}.0")[0][7:8],
        "cat",
        "payload.bin",
    ]
    assert "Total for query: 1 jobs; 1 completed, 0 removed" in listed.stdout
    assert kept.stdout == f"first/results/{cluster}.out\n"
    assert (tmp_path / f"here/results/{cluster}.out").read_bytes() == payload
    assert json.loads(fetched.stdout) == {
        "job": f"{cluster}.0",
        "files": [{"name": f"{cluster}.out", "path": f"here/results/{cluster}.out", "size": 100_000}],
        "closed": True,
    }
    gone = run("fetch", cluster, url=server)
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert gone.stderr.startswith("birdbath: ")


def test_single_files_and_uploaded_ones_can_be_fetched(run: Run, server: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    text = "executable = /bin/cat\narguments = a.txt\ninput = a.txt\noutput = job.out\nqueue\n"
    cluster = submit(run, server, text)
    finished(server, cluster)

    one = run("fetch", cluster, "a.txt", "-d", "one", url=server)
    none = run("fetch", cluster, "b.txt", url=server)
    everything = run("fetch", cluster, "--all", "-d", "all", url=server)

    assert (one.stdout, (tmp_path / "one/a.txt").read_text()) == ("one/a.txt\n", "hello")
    assert (none.exit_code, none.stderr) == (1, "birdbath: the job has no file b.txt\n")
    assert everything.stdout == "all/a.txt\nall/job.out\n"


def test_several_statements_come_in_together(run: Run, server: str, tmp_path: Path) -> None:
    (tmp_path / "job.sub").write_text(
        "executable = /bin/sleep\narguments = 3600\nqueue 2\narguments = 3601\nqueue\n"
        "executable = /bin/true\nhold = true\nqueue x in (a b)\n"
    )

    sent = json.loads(run("submit", "job.sub", "--json", "--owner", "bob", url=server).stdout)
    first, second = (str(entry["cluster"]) for entry in sent)
    listed = run(
        "q", first, second, "--af", "ClusterId,ProcId Owner", "--af", "Arguments,Nothing", url=server
    )
    held = run("q", "--held", "bob", url=server)

    assert [entry["jobs"] for entry in sent] == [3, 2]
    assert sorted(listed.stdout.splitlines()) == [
        f"{first} 0 bob 3600 undefined",
        f"{first} 1 bob 3600 undefined",
        f"{first} 2 bob 3601 undefined",
        f"{second} 0 bob 3601 undefined",
        f"{second} 1 bob 3601 undefined",
    ]
    assert "submitted on hold at user's request" in held.stdout
    assert "Total for query: 2 jobs held" in held.stdout
    assert run("rm", "bob", "--force", url=server).exit_code == 0


def test_a_mistake_in_a_later_job_sends_nothing(run: Run, server: str, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "job.sub").write_text(
        'executable = /bin/cat\ninput = $(x)\n+Mark = "mistake"\nqueue x in (a b)\n'
    )

    outcome = run("submit", "job.sub", url=server)

    assert outcome.exit_code == 1
    assert re.fullmatch(r"birdbath: input: /.*/b does not exist or is not a file\n", outcome.stderr)
    assert run("q", "--constraint", 'Mark == "mistake"', "--json", url=server).stdout == "[]\n"


def test_a_dry_run_needs_no_server(run: Run, tmp_path: Path) -> None:
    (tmp_path / "job.sub").write_text("executable = /bin/sleep\nodd_thing = 1\nrank = a + b\nqueue 2\n")

    plain = run("submit", "job.sub", "--dry-run")
    as_json = run("submit", "job.sub", "--dry-run", "--json")

    assert plain.stdout.count('Cmd = "/bin/sleep"\n') == 2
    assert "ProcId = 1\n" in plain.stdout
    assert (
        plain.stderr
        == "birdbath: warning: 'odd_thing' is not a command known here, and nothing uses it; it is ignored\n"
    )
    assert [ad["Rank"] for ad in json.loads(as_json.stdout)] == ["/Expr(a + b)/"] * 2


def test_nothing_to_queue_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "job.sub").write_text("executable = /bin/sleep\nqueue 0\n")

    outcome = run("submit", "job.sub")

    assert (outcome.exit_code, outcome.stderr) == (1, "birdbath: the queue statements come to no jobs\n")


def test_one_sees_ones_own_jobs(run: Run, server: str, sleepers: str) -> None:
    other = submit(run, server, "executable = /bin/sleep\narguments = 3600\nqueue\n", "--owner", "carol")

    mine, carols, everybodys = (
        run("q", url=server),
        run("q", "carol", url=server),
        run("q", "--all", url=server),
    )

    assert f"{sleepers}.0" in mine.stdout
    assert f"{other}.0" not in mine.stdout
    assert f"{other}.0" in carols.stdout
    assert f"{sleepers}.0" not in carols.stdout
    assert {f"{sleepers}.2", f"{other}.0"} <= set(everybodys.stdout.split())


@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63)])
def test_a_job_with_a_time_that_is_none_hides_no_other(
    run: Run, server: str, sleepers: str, seconds: int
) -> None:
    times = f"+QDate = {seconds}\n+RemoteWallClockTime = 1e308\n"
    odd = submit(run, server, f"executable = /bin/sleep\narguments = 3600\n{times}queue\n")
    listed = run("q", odd, sleepers, url=server)
    assert [row[2:4] for row in rows(listed.stdout, f"{odd}.0")] == [["???", "???"]]
    assert len(rows(listed.stdout, f"{sleepers}.")) == 3


def test_whole_ads(run: Run, server: str, sleepers: str) -> None:
    long, as_json = run("q", f"{sleepers}.1", "-long", url=server), run("q", sleepers, "--json", url=server)

    assert f"\nClusterId = {sleepers}\n" in long.stdout
    assert '\nOwner = "alice"\n' in long.stdout
    assert sorted(ad["ProcId"] for ad in json.loads(as_json.stdout)) == [0, 1, 2]


def test_holding_releasing_removing(run: Run, server: str, sleepers: str) -> None:
    one = run("hold", f"{sleepers}.1", "--reason", "let me see", url=server)
    again = run("hold", f"{sleepers}.1", sleepers, "--json", url=server)
    released = run("release", "--constraint", f"ClusterId == {sleepers}", url=server)
    none = run("release", sleepers, url=server)
    removed = run("rm", sleepers, "-forcex", url=server)

    assert (one.exit_code, one.stdout) == (0, f"Job {sleepers}.1 held\n")
    results = json.loads(again.stdout)
    assert [(result["job"], result["held"]) for result in results] == [
        (f"{sleepers}.1", False),
        (f"{sleepers}.0", True),
        (f"{sleepers}.2", True),
    ]
    assert again.exit_code == 1
    assert released.stdout == "".join(f"Job {sleepers}.{proc} released\n" for proc in range(3))
    assert (none.exit_code, none.stdout, none.stderr) == (1, "", "birdbath: there is no job to be released\n")
    assert removed.stdout == "".join(f"Job {sleepers}.{proc} removed\n" for proc in range(3))
    assert run("q", sleepers, "--json", url=server).stdout == "[]\n"
    separated = run("history", "-af", "ProcId", "JobStatus", sleepers, "--limit", "2", url=server)
    assert separated.stdout == "2 3\n1 3\n"
    wanted = ("history", sleepers, "--limit", "2")
    assert run(*wanted, "--af", "ProcId,JobStatus", url=server).stdout == "2 3\n1 3\n"
    title, *lines = run(*wanted, url=server).stdout.splitlines()
    assert title.split() == ["ID", "OWNER", "SUBMITTED", "RUN_TIME", "ST", "COMPLETED", "CMD"]
    assert [line.split()[0] for line in lines] == [f"{sleepers}.2", f"{sleepers}.1"]
    assert len(json.loads(run("history", sleepers, "--json", url=server).stdout)) == 3


def test_all_means_all_ones_own(run: Run, server: str, sleepers: str) -> None:
    other = submit(run, server, "executable = /bin/sleep\narguments = 3600\nqueue\n", "--owner", "dave")

    removed = run("rm", "--all", url=server)

    assert f"Job {sleepers}.0 removed\n" in removed.stdout
    assert other not in re.findall(r"Job (\d+)", removed.stdout)


def test_acting_on_nothing_is_wrong_usage(run: Run) -> None:
    outcome = run("rm")

    assert outcome.exit_code == 2
    assert "say which jobs" in outcome.stderr


def test_the_slots_and_their_totals(run: Run, server: str) -> None:
    outcome = run("status", url=server)
    names = run("status", "--af", "Name", url=server).stdout.split()
    one = run("status", names[0], url=server)

    assert outcome.stdout.startswith("Name")
    assert len(rows(outcome.stdout, "slot")) == len(names)
    assert rows(outcome.stdout, "Total")[-1][1] == str(len(names))
    assert [row[0] for row in rows(one.stdout, "slot")] == [names[0]]


@pytest.mark.parametrize(
    ("view", "title", "kind"),
    [
        ("--schedd", "HeldJobs", "Scheduler"),
        ("--master", "Version", "DaemonMaster"),
        ("--any", "MyType", "Machine"),
    ],
)
def test_the_daemons(run: Run, server: str, view: str, title: str, kind: str) -> None:
    table, as_json = run("status", view, url=server), run("status", view, "--json", url=server)

    assert title in table.stdout.splitlines()[0]
    assert len(table.stdout.splitlines()) >= 2
    assert kind in {ad["MyType"] for ad in json.loads(as_json.stdout)}


def test_users_with_jobs(run: Run, server: str, sleepers: str) -> None:
    until(lambda: "alice@" in run("status", "--submitters", url=server).stdout)


def test_one_view_at_a_time(run: Run) -> None:
    outcome = run("status", "--schedd", "--any")

    assert outcome.exit_code == 2
    assert "--schedd and --any exclude each other" in outcome.stderr


def test_the_wsdl_is_written(run: Run, tmp_path: Path) -> None:
    plain = run("wsdl")
    other = run("wsdl", "--directory", "other/place", "--address", "http://pool.example.org/x?a&b")

    names = ("condorSchedd", "condorCollector", "birdbathEvents", "birdbathQueries", "birdbathFederation")
    assert plain.stdout == "".join(f"wsdl/{name}.wsdl\n" for name in names)
    assert 'location="http://localhost:80"' in (tmp_path / "wsdl/condorSchedd.wsdl").read_text()
    assert 'name="condorCollector"' in (tmp_path / "wsdl/condorCollector.wsdl").read_text()
    assert other.exit_code == 0
    assert "http://pool.example.org/x?a&amp;b" in (tmp_path / "other/place/condorCollector.wsdl").read_text()
