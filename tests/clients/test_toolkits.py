"""Each toolkit does the whole cycle of the reference's section 3.21 over a socket, as its users write it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.portal import until
from tests.clients.programs import GsoapPrograms, seen_by
from tests.htcondor_pool import HTCondorPool
from tests.toolkit import require

pytestmark = [pytest.mark.toolkit, pytest.mark.slow]

CLIENTS = Path(__file__).parent
NOTE = 'Gr\u00fc\u00dfe <&> "\u4e16\u754c" \u2713'
VERSION = r"\$CondorVersion: \d+\.\d+\.\d+ .*\$"
PLATFORM = r"\$CondorPlatform: .*\$"


@pytest.mark.parametrize("toolkit", ["zeep", "suds", "pysimplesoap"])
def test_python(toolkit: str, server: str, folder: Path, payload: bytes) -> None:
    require(f"{toolkit} (PyPI)", importlib.util.find_spec(toolkit) is not None)
    program = CLIENTS / f"python_{toolkit}" / "client.py"
    check_cycle(seen_by([sys.executable, program, server, toolkit, folder]), toolkit, folder, payload)


@pytest.mark.parametrize("package", ["soap", "soap017"])
def test_npm_soap(package: str, npm_folder: Path, server: str, folder: Path, payload: bytes) -> None:
    seen = seen_by(["node", npm_folder / "cycle.js", package, server, package, folder])
    check_cycle(seen, package, folder, payload)


def test_php(server: str, folder: Path, payload: bytes) -> None:
    require("php (Debian package php-cli)", shutil.which("php") is not None)
    asks = "exit((int)!class_exists('SoapClient'));"
    require("PHP's SoapClient (Debian package php-soap)", ends_well("php", "-r", asks))
    seen = seen_by(["php", CLIENTS / "php" / "client.php", server, "php", folder])
    check_cycle(seen, "php", folder, payload)


def test_perl(server: str, folder: Path, payload: bytes) -> None:
    require("SOAP::Lite (Debian package libsoap-lite-perl)", ends_well("perl", "-MSOAP::Lite", "-e1"))
    seen = seen_by(["perl", CLIENTS / "perl" / "client.pl", server, "perl", folder])
    check_cycle(seen, "perl", folder, payload)


def test_gsoap(gsoap_programs: GsoapPrograms, server: str, folder: Path, payload: bytes) -> None:
    seen = seen_by([gsoap_programs.schedd, server, "gsoap", folder])
    seen["collector"] = seen_by([gsoap_programs.collector, server, "gsoap"])
    check_cycle(seen, "gsoap", folder, payload)


def test_axis(axis_class_path: str, server: str, folder: Path, payload: bytes) -> None:
    """Axis 1.4, which takes the server's address from the WSDL alone."""
    seen = seen_by(["java", "-cp", axis_class_path, "Client", server, "axis", folder])
    check_cycle(seen, "axis", folder, payload)


def test_npm_soap_htcondor(npm_folder: Path, server: str, folder: Path) -> None:
    """The package unmodified, with the served WSDLs and with those of HTCondor 8.4 that it carries."""
    seen = seen_by(["node", npm_folder / "condor.js", server, "carlos", folder])
    for answers in (seen["served"], seen["carried"]):
        assert re.fullmatch(VERSION, answers["version"])
        assert re.fullmatch(PLATFORM, answers["platform"])
        assert answers["machines"] >= 1
    clusters = set()
    for made in (seen["first"], seen["second"]):
        check_job(made["job"])
        check_dag(made["dag"], folder)
        assert made["docker"]["WantDocker"] == "TRUE"
        assert made["docker"]["Requirements"] == "TARGET.HasDocker"
        clusters |= {made[kind]["ClusterId"] for kind in ("job", "dag", "docker")}
    assert len(clusters) == 6
    assert (seen["first"]["queued"], seen["second"]["queued"]) == (3, 6)


def test_npm_soap_htcondor_runs_a_dag(npm_folder: Path, htcondor: str, htcondor_pool: HTCondorPool) -> None:
    """As its users do it: the DAG's files lie where both they and the pool's DAGMan have them."""
    folder = htcondor_pool.folder / "dag"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "node.sub").write_text(
        f"executable = /bin/sh\ntransfer_executable = false\ninitialdir = {folder}\n"
        "arguments = \"-c 'echo $(JOB)'\"\n"
        "output = $(JOB).out\nlog = nodes.log\nshould_transfer_files = NO\nqueue\n"
    )
    nodes = "".join(f"JOB {name} {folder}/node.sub\n" for name in "AB")
    (folder / "dagman.dag").write_text(f"{nodes}PARENT A CHILD B\n")
    seen_by(["node", npm_folder / "condor.js", htcondor, "dora", folder])
    until(lambda: (folder / "B.out").exists() and (folder / "B.out").read_text() == "B\n")
    assert (folder / "A.out").read_text() == "A\n"


def check_job(ad: dict[str, str]) -> None:
    assert ad["JobStatus"] in ("1", "2")
    assert (ad["Owner"], ad["Cmd"], ad["Arguments"]) == ("carlos", "/bin/sleep", "31")
    assert ad["Iwd"] == "/tmp" or "/spool/" in ad["Iwd"]  # a schedd of today moves it into its own spool
    assert (ad["Out"], ad["Log"]) == ("example1.out", "example1.log")


def check_dag(ad: dict[str, str], folder: Path) -> None:
    assert (ad["Owner"], ad["JobUniverse"]) == ("carlos", "7")
    assert ad["Cmd"].endswith("/bin/condor_dagman")  # a real pool runs its own
    assert ad["UserLog"] in (f"{folder}/dagman.dag.dagman.log", "dagman.dag.dagman.log")
    assert ad["Arguments"].endswith(f"-Dag {folder}/dagman.dag")
    assert "ExitCode >= 0" in ad["OnExitRemove"]


def ends_well(*command: str) -> bool:
    """Whether the program exists and exits 0."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def check_cycle(seen: dict[str, Any], owner: str, folder: Path, payload: bytes) -> None:
    """What a client saw on its way through the whole cycle is what the reference promises."""
    check_submission(seen, owner)
    assert seen["states"][-1] == "4"
    assert set(seen["states"]) <= {"1", "2", "6", "4"}
    final = seen["final"]
    assert (final["JobStatus"], final["ExitCode"], final["Out"]) == ("4", "0", "job.out")
    assert final["Cmd"].rpartition("/")[2] == "payload.bin"
    assert final["PortalNote"] == NOTE
    assert seen["spool"].items() >= {"payload.bin": len(payload), "job.out": len(payload)}.items()
    assert (folder / "fetched.out").read_bytes() == payload
    assert (seen["closed"], seen["gone"]) == ("SUCCESS", True)
    check_steering(seen["second"])
    check_collector(seen["collector"], owner)
    assert re.fullmatch(VERSION, seen["version"])
    assert re.fullmatch(PLATFORM, seen["platform"])


def check_submission(seen: dict[str, Any], owner: str) -> None:
    assert int(seen["transaction"]) != 0
    assert int(seen["extended"]) == 120
    assert int(seen["cluster"]) > 0
    assert [int(job) for job in seen["jobs"]] == [0, 1]
    assert seen["leading"] == ["MyType", "TargetType", "ServerTime"]
    template = seen["template"]
    assert (template["MyType"], template["TargetType"], template["Owner"]) == ("Job", "Machine", owner)
    assert (template["JobUniverse"], template["Cmd"]) == ("5", "/bin/cat")
    assert template["Arguments"] == "payload.bin"
    assert (template["Requirements"], template["CoreSize"]) == ("TRUE", "-1")
    assert template["LeaveJobInQueue"] == "FilesRetrieved =?= false"
    assert seen["requirements"] == ["payload.bin", "/bin/cat"]
    assert seen["declared"] == ["SUCCESS", "ALREADYEXISTS"]
    assert (seen["submitted"], seen["committed"], seen["rescheduled"]) == ("SUCCESS",) * 3
    assert seen["stale"] == "INVALIDTRANSACTION"


def check_steering(second: dict[str, Any]) -> None:
    """The job that never matches was held, released and removed, and left when its spool was closed."""
    assert second["codes"] == ["SUCCESS"] * 4
    assert second["states"][:2] == ["5", "1"]
    assert second["states"][2:] in ([], ["3"])
    assert second["reason"] == 'not "now"'
    assert second["gone"] is True


def check_collector(seen: dict[str, Any], owner: str) -> None:
    assert seen["machines"] >= 1
    assert seen["inserted"] == ["SUCCESS", "SUCCESS"]
    assert [(ad["MyType"], ad["Name"]) for ad in seen["found"]] == [("Portal", owner)]
    assert seen["nothing"] == 0
    assert re.fullmatch(VERSION, seen["version"])
