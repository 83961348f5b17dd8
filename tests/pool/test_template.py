"""The job template, row by row of the reference's Appendix A."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad
from birdbath.pool.template import job_template

NOW = 1_300_000_000
VERSION = "$CondorVersion: 8.4.12 Nov 20 2026 $"
PLATFORM = "$CondorPlatform: x86_64_Linux $"

ZERO_COUNTERS = [
    "NumCkpts",
    "NumJobStarts",
    "NumRestarts",
    "NumSystemHolds",
    "CommittedTime",
    "CumulativeSlotTime",
    "CommittedSlotTime",
    "TotalSuspensions",
    "LastSuspensionTime",
    "CumulativeSuspensionTime",
    "CommittedSuspensionTime",
]
SECONDS = ["RemoteWallClockTime", "LocalUserCpu", "LocalSysCpu", "RemoteUserCpu", "RemoteSysCpu"]

APPENDIX_A = {
    "Owner": ("s", "alice"),
    "JobUniverse": ("n", "5"),
    "Cmd": ("s", "/bin/cat"),
    "Arguments": ("s", "-n 'a b'"),
    "Requirements": ("b", "TRUE"),
    "ClusterId": ("n", "7"),
    "ProcId": ("n", "3"),
    "QDate": ("n", str(NOW)),
    "EnteredCurrentStatus": ("n", str(NOW)),
    "CompletionDate": ("n", "0"),
    **dict.fromkeys(SECONDS, ("f", "0.000000")),
    "CoreSize": ("n", "-1"),
    "ExitStatus": ("n", "0"),
    "ExitBySignal": ("b", "FALSE"),
    **dict.fromkeys(ZERO_COUNTERS, ("n", "0")),
    "RootDir": ("s", "/"),
    "MinHosts": ("n", "1"),
    "MaxHosts": ("n", "1"),
    "CurrentHosts": ("n", "0"),
    "WantRemoteSyscalls": ("b", "FALSE"),
    "WantCheckpoint": ("b", "FALSE"),
    "WantRemoteIO": ("b", "TRUE"),
    "JobStatus": ("n", "1"),
    "JobPrio": ("n", "0"),
    "NiceUser": ("b", "FALSE"),
    "JobNotification": ("n", "0"),
    "ImageSize": ("n", "100"),
    "In": ("s", "/dev/null"),
    "Out": ("s", "/dev/null"),
    "Err": ("s", "/dev/null"),
    "StreamOut": ("b", "FALSE"),
    "StreamErr": ("b", "FALSE"),
    "BufferSize": ("n", "524288"),
    "BufferBlockSize": ("n", "32768"),
    "ShouldTransferFiles": ("s", "YES"),
    "WhenToTransferOutput": ("s", "ON_EXIT"),
    "PeriodicHold": ("b", "FALSE"),
    "PeriodicRemove": ("b", "FALSE"),
    "PeriodicRelease": ("b", "FALSE"),
    "OnExitHold": ("b", "FALSE"),
    "OnExitRemove": ("b", "TRUE"),
    "LeaveJobInQueue": ("x", "FilesRetrieved =?= false"),
    "FilesRetrieved": ("b", "FALSE"),
    "StageInStart": ("n", "1"),
    "StageInFinish": ("n", "1"),
    "RequestCpus": ("n", "1"),
    "RequestMemory": (
        "x",
        "ifthenelse(MemoryUsage =!= undefined,MemoryUsage,(ImageSize + 1023) / 1024)",
    ),
    "RequestDisk": ("x", "DiskUsage"),
    "DiskUsage": ("n", "1"),
    "CondorVersion": ("s", VERSION),
    "CondorPlatform": ("s", PLATFORM),
}
NOT_SET = [
    "Iwd",
    "Args",
    "Env",
    "Environment",
    "TransferIn",
    "TransferOut",
    "TransferErr",
    "TransferExecutable",
    "UserLog",
    "GlobalJobId",
    "User",
    "NTDomain",
    "Rank",
    "TransferInput",
    "JobLeaseDuration",
    "KillSig",
]


def template(
    owner: str | None = "alice",
    cmd: str | None = "/bin/cat",
    requirements: str | None = None,
    leave_in_queue: str | None = None,
    universe: int = 5,
) -> Ad:
    return job_template(
        7, 3, owner, universe, cmd, "-n 'a b'", requirements, NOW, leave_in_queue, VERSION, PLATFORM
    )


@pytest.mark.parametrize(("name", "value"), APPENDIX_A.items(), ids=APPENDIX_A)
def test_row_of_appendix_a(name: str, value: tuple[str, str]) -> None:
    attribute = template().attribute(name)
    assert attribute is not None
    assert attribute == (name, *value)


def test_nothing_beyond_appendix_a() -> None:
    assert {name for name, _, _ in template()} == {*APPENDIX_A, "MyType", "TargetType"}
    assert not {*NOT_SET} & {name for name, _, _ in template()}
    assert (template().get("MyType"), template().get("TargetType")) == ("Job", "Machine")


@pytest.mark.parametrize(
    ("image", "usage", "wanted"), [(100, None, 1), (1024, None, 1), (1025, None, 2), (9, 77, 77)]
)
def test_request_memory_is_usage_or_image_size_in_mebibytes(
    image: int, usage: int | None, wanted: int
) -> None:
    ad = template()
    ad.set("ImageSize", image)
    if usage is not None:
        ad.set("MemoryUsage", usage)
    assert ad.evaluate("RequestMemory") == wanted


@pytest.mark.parametrize("missing", ["Owner", "Cmd"])
def test_null_owner_and_cmd_are_absent(missing: str) -> None:
    ad = template(owner=None) if missing == "Owner" else template(cmd=None)
    assert missing not in ad


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (None, "b", "TRUE"),
        ("", "b", "TRUE"),
        ("  ", "b", "TRUE"),
        ("Memory >", "b", "TRUE"),
        ("a; b", "b", "TRUE"),
        ("true", "b", "TRUE"),
        ("FALSE", "b", "FALSE"),
        ("Memory>512", "x", "Memory > 512"),
        ('(OpSys=="LINUX")&&Arch=?="X86_64"', "x", '(OpSys == "LINUX") && Arch =?= "X86_64"'),
    ],
)
def test_requirements(text: str | None, kind: str, value: str) -> None:
    """3.5: an expression replaces TRUE; NULL, empty or unparsable text leaves it."""
    assert template(requirements=text).attribute("Requirements") == ("Requirements", kind, value)


@pytest.mark.parametrize("universe", [0, 1, 5, 9, 13, 99])
def test_the_universe_is_not_checked(universe: int) -> None:
    assert template(universe=universe).get("JobUniverse") == universe


def test_soap_leave_in_queue_is_a_further_condition() -> None:
    extra = "JobStatus == 4 && (ServerTime - CompletionDate) < 86400"
    ad = template(leave_in_queue=extra)
    attribute = ad.attribute("LeaveJobInQueue")
    assert attribute is not None
    assert attribute[2].startswith("FilesRetrieved =?= false && (")
    ad.update({"JobStatus": 4, "CompletionDate": NOW})
    assert ad.evaluate("LeaveJobInQueue", ServerTime=NOW + 86399) is True
    assert ad.evaluate("LeaveJobInQueue", ServerTime=NOW + 86401) is False
    ad.set("FilesRetrieved", True)
    assert ad.evaluate("LeaveJobInQueue", ServerTime=NOW) is False
