"""`scripts/htcondor-pool`: the private pool takes jobs, knows who asks, and goes when it is told to."""

import json
import subprocess

import pytest

from tests.htcondor_pool import SCRIPT, HTCondorPool, running, state_of

pytestmark = pytest.mark.toolkit


def test_the_pool_has_a_slot_and_an_empty_queue(htcondor_pool: HTCondorPool) -> None:
    assert json.loads(htcondor_pool.run("condor_status", "-json"))[0]["Name"] == "slot1@pool.example.org"
    assert "Schedd: pool.example.org" in htcondor_pool.run("condor_q")


def test_a_job_runs_to_its_end(htcondor_pool: HTCondorPool) -> None:
    log = htcondor_pool.folder / "var" / "run" / "true.log"
    htcondor_pool.submit(executable="/bin/true", transfer_executable="false", log=str(log))
    assert "All jobs done" in htcondor_pool.run("condor_wait", "-wait", "150", str(log))


def test_a_token_is_for_whom_it_was_asked(htcondor_pool: HTCondorPool) -> None:
    header, *_ = htcondor_pool.token("alice").split(".")
    assert header.startswith("eyJ")
    with pytest.raises(RuntimeError):
        htcondor_pool.run("condor_token_create")


def test_a_stopped_pool_is_gone_and_keeps_its_queue() -> None:
    with running() as pool:
        cluster = pool.submit(executable="/bin/true", transfer_executable="false", hold="true")
        pool.stop()
        status = subprocess.run([SCRIPT, "status", pool.folder], capture_output=True, text=True, check=False)
        assert (status.returncode, status.stdout) == (1, "stopped\n")
        pool.start()
        (job,) = json.loads(pool.run("condor_q", "-all", "-json"))
        assert (job["ClusterId"], job["JobStatus"]) == (cluster, 5)


def test_a_frozen_daemon_goes_on_afterwards(htcondor_pool: HTCondorPool) -> None:
    with htcondor_pool.frozen("SCHEDD"):
        assert state_of(htcondor_pool.daemon("SCHEDD")) == "T"
    assert state_of(htcondor_pool.daemon("SCHEDD")) != "T"
    htcondor_pool.run("condor_q")
