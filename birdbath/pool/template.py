"""The default job ad that createJobTemplate answers (reference section 3.5 and Appendix A)."""

from __future__ import annotations

from functools import lru_cache

from birdbath.classads import Ad, Attribute, Expression, canonical_value
from birdbath.errors import InvalidAd

_REQUEST_MEMORY = "ifthenelse(MemoryUsage =!= undefined,MemoryUsage,(ImageSize + 1023) / 1024)"


def job_template(
    cluster: int,
    proc: int,
    owner: str | None,
    universe: int,
    cmd: str | None,
    arguments: str,
    requirements: str | None,
    now: int,
    leave_in_queue: str | None,
    version: str,
    platform: str,
) -> Ad:
    """The template with `arguments` (V2 text) and times of `now`; Owner and Cmd are absent when None.

    `leave_in_queue` is an extra condition of LeaveJobInQueue. Requirements that are no expression are left
    TRUE.
    """
    ad = Ad(_constant_part(leave_in_queue, version, platform))
    for name, value in (("Owner", owner), ("Cmd", cmd)):
        if value is None:
            ad.delete(name)
        else:
            ad.set(name, value)
    ad.set("JobUniverse", universe)
    ad.set("Arguments", arguments)
    ad.put("Requirements", *_requirements(requirements))
    ad.update({"ClusterId": cluster, "ProcId": proc, "QDate": now, "EnteredCurrentStatus": now})
    return ad


@lru_cache(maxsize=8)
def _constant_part(leave_in_queue: str | None, version: str, platform: str) -> tuple[Attribute, ...]:
    """All attributes in the order in which they are answered, with place holders for what a call sets."""
    ad = Ad()
    ad.update({"MyType": "Job", "TargetType": "Machine", "Owner": "", "JobUniverse": 0, "Cmd": ""})
    ad.update({"Arguments": "", "Requirements": True, "ClusterId": 0, "ProcId": 0})
    ad.update({"QDate": 0, "EnteredCurrentStatus": 0, "CompletionDate": 0})
    for name in ("RemoteWallClockTime", "LocalUserCpu", "LocalSysCpu", "RemoteUserCpu", "RemoteSysCpu"):
        ad.set(name, 0.0)
    ad.update({"CoreSize": -1, "ExitStatus": 0, "ExitBySignal": False})
    for name in _ZEROES:
        ad.set(name, 0)
    ad.update(_DEFAULTS)
    condition = "FilesRetrieved =?= false"
    ad.set(
        "LeaveJobInQueue", Expression(f"{condition} && ({leave_in_queue})" if leave_in_queue else condition)
    )
    ad.update({"FilesRetrieved": False, "StageInStart": 1, "StageInFinish": 1, "RequestCpus": 1})
    ad.set("RequestMemory", Expression(_REQUEST_MEMORY))
    ad.set("RequestDisk", Expression("DiskUsage"))
    ad.update({"DiskUsage": 1, "CondorVersion": version, "CondorPlatform": platform})
    return tuple(ad)


def _requirements(text: str | None) -> tuple[str, str]:
    try:
        return canonical_value(text) if text and text.strip() else ("b", "TRUE")
    except InvalidAd:
        return "b", "TRUE"


_ZEROES = (
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
)

_DEFAULTS: dict[str, str | int | float | bool] = {
    "RootDir": "/",
    "MinHosts": 1,
    "MaxHosts": 1,
    "CurrentHosts": 0,
    "WantRemoteSyscalls": False,
    "WantCheckpoint": False,
    "WantRemoteIO": True,
    "JobStatus": 1,
    "JobPrio": 0,
    "NiceUser": False,
    "JobNotification": 0,
    "ImageSize": 100,
    "In": "/dev/null",
    "Out": "/dev/null",
    "Err": "/dev/null",
    "StreamOut": False,
    "StreamErr": False,
    "BufferSize": 524288,
    "BufferBlockSize": 32768,
    "ShouldTransferFiles": "YES",
    "WhenToTransferOutput": "ON_EXIT",
    "PeriodicHold": False,
    "PeriodicRemove": False,
    "PeriodicRelease": False,
    "OnExitHold": False,
    "OnExitRemove": True,
}
