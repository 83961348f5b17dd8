"""Every attribute of the ads of a real pool is in ours with its type, or named here with the reason why not.

`data/real_ads.json` has names by type (s string, n integer, f real, b boolean, x expression, u undefined) of
the ads of a one-machine pool of HTCondor 25.14.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from birdbath.classads import Ad, Constraint
from birdbath.pool.base import ActionDetails, AdKind, JobAction, JobId, JobStatus, NewJob
from birdbath.pool.simulated.description import MachineDescription, PoolDescription
from birdbath.pool.template import job_template
from birdbath.store import UnitOfWork
from tests.pool.harness import ad_of, becomes
from tests.pool.simulated.harness import SimulatedHarness

REAL: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "data" / "real_ads.json").read_text(encoding="ascii")
)

OMITTED = {
    "the submit program sets it, and the client of the SOAP interface is one of its own": """
        Args Environment ExecutableSize ExecutableSize_RAW JobBatchName JobLeaseDuration JobSubmitMethod
        SubmitVersion TransferIn TransferInput TransferInputSizeMB UserLog""",
    "the queue rounds no sizes, so there is no raw value beside one": """
        DiskUsage_RAW ImageSize_RAW NumCkpts_RAW""",
    "lanes take the place of numbered autoclusters": "AutoClusterAttrs AutoClusterId",
    "the negotiator says nothing to the schedd about jobs that it rejects": """
        LastRejMatchNegotiator LastRejMatchReason LastRejMatchTime""",
    "queries set it, in whatever is asked for": "ServerTime",
    "a cluster may grow as long as its transaction is open": "TotalSubmitProcs",
    "no program runs whose reads, writes and files could be measured": """
        BlockReadKbytes BlockReads BlockWriteKbytes BlockWrites RecentBlockReadKbytes RecentBlockReads
        RecentBlockWriteKbytes RecentBlockWrites RecentStatsLifetimeStarter StatsLifetimeStarter
        ScratchDirFileCount StderrMtime StdoutMtime ExecuteDirWasEncrypted CondorScratchDir JobPid StarterPid
        CPUsUsage DiskUsage ExecutableSize ImageSize MemoryUsage ResidentSetSize""",
    "transfers are not measured by protocol": """
        TransferInputFileCounts TransferInputStats TransferOutputStats SpooledOutputFiles""",
    "a shadow that lost its starter waits for it and does not try": "JobCurrentReconnectAttempt",
    "what a hold makes of a program that ran is told by the eviction": "ExitReason ExitSignal",
    "the pool's own ads come from nobody over the network": "AuthenticatedIdentity AuthenticationMethod",
    "a claim ends when its worklife does, as the description says": "ClaimEndTime TotalClaimRunTime",
    "the ads of the dynamic slots tell it": """
        ChildAccountingGroup ChildCurrentRank ChildEnteredCurrentState ChildRetirementTimeRemaining""",
    "machines have no owner that sits at them": "TotalTimeOwnerIdle",
    "partitionable slots are not rolled up": "IsSplittable PslotRollupInformation",
    "a group negotiates for itself only": "RemoteAutoregroup RemoteNegotiatingGroup",
    "the machine is not that one": "has_avx512_vnni has_avx512dq has_avx512f",
    "only the last cycle is told": " ".join(
        name
        for names in REAL["negotiator"].values()
        for name in names.split()
        if name[-1] in "12" and "Cycle" in name
    ),
}
TYPES_DIFFER = {
    "as createJobTemplate has them": "LeaveJobInQueue RequestDisk RequestMemory Requirements",
}
_NOT_OMITTED = frozenset(name.lower() for names in OMITTED.values() for name in names.split())
_TYPED_OTHERWISE = frozenset(name.lower() for names in TYPES_DIFFER.values() for name in names.split())


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ad]]:
    """Our ads, at the same moments of their lives as the real ones."""
    machines = (
        MachineDescription("part.example.org", cpus=8, memory=8192, disk=1 << 24, partitionable=True),
    )
    pool = SimulatedHarness(tmp_path_factory.mktemp("pool"), PoolDescription(machines))
    found: dict[str, Ad] = {}
    running = _submit(pool, "/bin/sleep", "500")
    held = _submit(pool, "/bin/sleep", "500")
    pool.wait_for(becomes(pool, running, JobStatus.RUNNING))
    pool.wait_for(lambda: "ResidentSetSize" in ad_of(pool, running))
    found["job_running"] = ad_of(pool, running)
    hold = ActionDetails("by a user")
    pool.write(lambda unit: pool.queue.act(unit, JobAction.HOLD, held, hold))
    found["job_held"] = ad_of(pool, held)
    found["job_idle"] = ad_of(pool, _submit(pool, "/bin/true", "", "FALSE"))
    kinds = {
        "slot_partitionable": (AdKind.STARTD, "PartitionableSlot"),
        "slot_dynamic": (AdKind.STARTD, "DynamicSlot"),
        "schedd": (AdKind.SCHEDD, None),
        "submitter": (AdKind.SUBMITTOR, None),
        "negotiator": (AdKind.NEGOTIATOR, 'MyType == "Negotiator"'),
        "master": (AdKind.MASTER, None),
        "collector": (AdKind.COLLECTOR, None),
        "startd": (AdKind.GENERIC, 'MyType == "StartD"'),
        "accounting": (AdKind.GENERIC, 'MyType == "Accounting"'),
    }
    for name, (kind, constraint) in kinds.items():
        records = pool.directory.query([kind], Constraint(constraint), pool.queue.time()).records
        found[name] = records[0].ad()
    pool.wait_for(becomes(pool, running, JobStatus.COMPLETED))
    found["job_completed"] = ad_of(pool, running)
    yield found
    pool.close()


def _submit(pool: SimulatedHarness, cmd: str, arguments: str, requirements: str | None = None) -> JobId:
    def work(unit: UnitOfWork) -> JobId:
        job = JobId(pool.queue.reserve_cluster(unit), 0)
        now = int(pool.queue.time())
        versions = "$CondorVersion: 25.0.0 $", "$CondorPlatform: X86_64-Linux $"
        ad = job_template(*job, pool.owners[0], 5, cmd, arguments, requirements, now, None, *versions)
        ad.update({"Iwd": "/nowhere", "User": f"{pool.owners[0]}@{pool.domain}"})
        pool.queue.accept(unit, [NewJob(job, ad)])
        return job

    return pool.write(work)


@lru_cache
def _real(name: str) -> dict[str, str]:
    return {word: kind for kind, words in REAL[name].items() for word in words.split()}


NAMES = sorted(REAL)


@pytest.mark.parametrize("name", NAMES)
def test_every_attribute_of_the_real_ad_is_there_or_named(ads: dict[str, Ad], name: str) -> None:
    missing = {attribute for attribute in _real(name) if attribute not in ads[name]}
    assert {attribute for attribute in missing if attribute.lower() not in _NOT_OMITTED} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_attribute_has_the_spelling_and_type_of_the_real_one(ads: dict[str, Ad], name: str) -> None:
    wrong = {}
    for attribute, kind in _real(name).items():
        ours = ads[name].attribute(attribute)
        if ours is None or attribute.lower() in _TYPED_OTHERWISE or "u" in (kind, ours[1]):
            continue
        if (attribute, kind) != ours[:2]:
            wrong[attribute] = (kind, ours)
    assert wrong == {}


def test_nothing_is_named_as_missing_that_is_there(ads: dict[str, Ad]) -> None:
    everywhere = {
        attribute.lower()
        for name in NAMES
        for attribute in _real(name)
        if attribute in ads[name] and attribute.lower() in _NOT_OMITTED
    }
    sometimes = {
        attribute.lower() for name in NAMES for attribute in _real(name) if attribute not in ads[name]
    }
    assert everywhere - sometimes == set()
    real = {attribute.lower() for name in NAMES for attribute in _real(name)}
    assert real >= _NOT_OMITTED
