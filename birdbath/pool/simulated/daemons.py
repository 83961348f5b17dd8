"""The ads of the pool's daemons: templates from real ones, with the parts that follow the simulation."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from birdbath.classads import Ad, Expression
from birdbath.classads.syntax import quote
from birdbath.pool.base import JobStatus
from birdbath.pool.simulated.accountant import Account
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.machines import (
    Machine,
    Resources,
    Slot,
    part_number,
    placeholders,
    set_resources,
)
from birdbath.pool.simulated.negotiator import Statistics
from birdbath.pool.simulated.templates import daemon_ad

UPDATE_INTERVAL = 300.0
"""Seconds after which a daemon sends its ad again although nothing changed."""
Census = Mapping[str, Counter[JobStatus]]
"""How many jobs each owner has in each state."""


def _heard(ad: Ad, now: float) -> Ad:
    ad.update({"LastHeardFrom": int(now), "MyCurrentTime": int(now)})
    return ad


def slot_ad(context: PoolContext, slot: Slot, job: Ad | None, since: float, now: float) -> Ad:
    """A slot's ad at `now`: unclaimed since `since`, or busy with `job`."""
    ad = _heard(Ad(slot.ad), now)
    clock = time.gmtime(now)
    ad.update({"ClockDay": (clock.tm_wday + 1) % 7, "ClockMin": clock.tm_hour * 60 + clock.tm_min})
    idle = int(now - context.started)
    ad.update({"KeyboardIdle": idle, "ConsoleIdle": idle})
    if job is None:
        ad.update({"EnteredCurrentState": int(since), "EnteredCurrentActivity": int(since)})
        ad.set("TotalTimeUnclaimedIdle", int(now - since))
        return ad
    started = job.integer("JobCurrentStartDate", int(since))
    ad.update({"State": "Claimed", "Activity": "Busy", "NumPids": 1, "CpuBusy": False})
    ad.update({"LoadAvg": 1.0, "CondorLoadAvg": 1.0, "TotalLoadAvg": 1.0, "TotalCondorLoadAvg": 1.0})
    ad.update({"EnteredCurrentState": started, "EnteredCurrentActivity": started, "JobStart": started})
    user = job.string("User") or f"{job.string('Owner')}@{context.description.uid_domain}"
    ad.update({"RemoteOwner": user, "RemoteUser": user, "ClientMachine": context.identity.machine})
    ad.set("RemoteScheddName", context.identity.name)
    ad.set("JobId", f"{job.integer('ClusterId')}.{job.integer('ProcId')}")
    ad.update({"GlobalJobId": job.string("GlobalJobId"), "JobUniverse": job.integer("JobUniverse", 5)})
    ad.update({"PublicClaimId": job.string("PublicClaimId"), "CurrentRank": 0.0})
    ad.update({"TotalTimeClaimedBusy": int(now) - started, "TotalJobRunTime": int(now) - started})
    if job.integer("JobStatus") == JobStatus.SUSPENDED:
        ad.update({"Activity": "Suspended", "EnteredCurrentActivity": job.integer("EnteredCurrentStatus")})
        ad.update(dict.fromkeys(("LoadAvg", "CondorLoadAvg", "TotalLoadAvg", "TotalCondorLoadAvg"), 0.0))
    return ad


def make_dynamic(ad: Ad, slot: Slot, name: str, resources: Resources) -> None:
    """Make the ad of a partitionable slot that of its part `name`."""
    set_resources(ad, resources, slot.resources.gpus > 0)
    ad.update({"Name": name, "SlotType": "Dynamic", "DynamicSlot": True, "DSlotId": part_number(name)})
    ad.update({"ParentSlotId": slot.place.slot_id, "SlotTypeID": -1})
    ad.update({"TotalSlotCpus": resources.cpus, "TotalSlotMemory": resources.memory})
    ad.set("TotalSlotDisk", float(resources.disk))
    for attribute in ("PartitionableSlot", "NumDynamicSlots"):
        ad.delete(attribute)


def partitionable_ad(
    context: PoolContext, slot: Slot, parts: Sequence[tuple[str, Resources, Ad]], now: float
) -> Ad:
    """The ad of a partitionable slot, parts of which are taken by jobs: what is left, and the Child lists."""
    ad = slot_ad(context, slot, None, context.started, now)
    left = slot.resources
    for _, resources, _ in parts:
        left = left.minus(resources)
    set_resources(ad, left, slot.resources.gpus > 0)
    ad.update({"NumDynamicSlots": len(parts), "NumDynamicSlotsTime": int(now)})
    users = [job.string("User") or job.string("Owner") for _, _, job in parts]
    lists = {
        "Cpus": [str(resources.cpus) for _, resources, _ in parts],
        "Memory": [str(resources.memory) for _, resources, _ in parts],
        "Disk": [str(resources.disk) for _, resources, _ in parts],
        "DSlotId": [str(part_number(name)) for name, _, _ in parts],
        "Name": [quote(name) for name, _, _ in parts],
        "RemoteUser": [quote(user) for user in users],
        "RemoteOwner": [quote(user) for user in users],
        "State": ['"Claimed"' for _ in parts],
        "Activity": ['"Busy"' for _ in parts],
    }
    ad.update({f"Child{name}": Expression(f"{{ {', '.join(values)} }}") for name, values in lists.items()})
    return ad


def startd_ad(context: PoolContext, machine: Machine, busy: int, now: float) -> Ad:
    """The ad of a machine's startd, `busy` of whose cores are in use."""
    of = machine.description
    values = placeholders(context.identity, machine.name, machine.address, context.started)
    ad = daemon_ad("startd", "StartD", values)
    ad.update({"Name": machine.name, "TotalSlots": of.slots, "TotalCpus": float(of.cpus)})
    ad.update({"DetectedCpus": of.cpus, "DetectedMemory": of.memory, "TotalMemory": of.memory})
    ad.update({"TotalDisk": of.disk, "DetectedDisk": of.disk, "TotalInUseCpus": float(busy)})
    return _heard(ad, now)


def _on_submit_machine(context: PoolContext, template: str, my_type: str, **more: str) -> Ad:
    identity = context.identity
    values = placeholders(identity, identity.machine, identity.sinful, context.started)
    return daemon_ad(template, my_type, {**values, **more})


def schedd_ad(context: PoolContext, census: Census, late: int, now: float) -> Ad:
    """The schedd's ad; `late` jobs wait to be materialized. Its address is where the SOAP interface listens;
    clients look for HasSOAPInterface.
    """
    ad = _on_submit_machine(context, "schedd", "Scheduler")
    totals = sum(census.values(), Counter[JobStatus]())
    ad.update({"Name": context.identity.name, "HasSOAPInterface": True})
    ad.update({"TotalJobAds": totals.total(), "NumUsers": len(census), "NumOwners": len(census)})
    ad.update({"TotalIdleJobs": totals[JobStatus.IDLE], "TotalHeldJobs": totals[JobStatus.HELD]})
    ad.update({"TotalRunningJobs": totals[JobStatus.RUNNING], "TotalRemovedJobs": totals[JobStatus.REMOVED]})
    ad.update({"JobsRunning": totals[JobStatus.RUNNING], "ShadowsRunning": totals[JobStatus.RUNNING]})
    ad.set("JobsUnmaterialized", late)
    ad.update(
        {"StartLocalUniverse": Expression(f"TotalLocalJobsRunning < {context.description.max_local_jobs}")}
    )
    return _heard(ad, now)


def submitter_ad(context: PoolContext, owner: str, jobs: Counter[JobStatus], late: int, now: float) -> Ad:
    """The ad of one who has jobs in the queue; `late` more wait to be materialized."""
    name = f"{owner}@{context.description.uid_domain}"
    ad = _on_submit_machine(context, "submitter", "Submitter", SUBMITTER=name)
    ad.update({"Name": name, "ScheddName": context.identity.name})
    ad.update({"IdleJobs": jobs[JobStatus.IDLE], "HeldJobs": jobs[JobStatus.HELD]})
    ad.update({"RunningJobs": jobs[JobStatus.RUNNING], "JobsRunning": jobs[JobStatus.RUNNING]})
    ad.set("JobsUnmaterialized", late)
    ad.update(
        {"WeightedIdleJobs": jobs[JobStatus.IDLE], "WeightedRunningJobs": float(jobs[JobStatus.RUNNING])}
    )
    return _heard(ad, now)


def accounting_ad(context: PoolContext, account: Account, active: Sequence[Account], now: float) -> Ad:
    """What the negotiator knows of a submitter; `active` are those that use slots, as of now."""
    shares = {its.name: 1 / max(its.effective, 1e-9) for its in active}
    share = shares.get(account.name, 0.0) / (sum(shares.values()) or 1.0)
    weight = sum(slot.resources.cpus for slot in context.slots.values())
    group = account.name.partition("@")[0].rpartition(".")[0]
    ad = Ad()
    ad.update({"MyType": "Accounting", "Name": account.name, "NegotiatorName": context.identity.machine})
    ad.update({"Priority": account.effective, "PriorityFactor": account.factor})
    ad.update({"ResourcesUsed": int(account.in_use), "WeightedResourcesUsed": account.in_use})
    ad.update({"AccumulatedUsage": account.accumulated, "WeightedAccumulatedUsage": account.accumulated})
    ad.update({"BeginUsageTime": int(account.began_at), "LastUsageTime": int(account.used_at)})
    ad.update({"UnchargedTime": 0, "WeightedUnchargedTime": 0.0, "LastUpdate": int(now)})
    ad.update({"AccountingGroup": group or "<none>", "IsAccountingGroup": False, "Ceiling": -1, "Floor": 0})
    ad.update({"SubmitterShare": share, "SubmitterLimit": share * weight, "HierWeightedResourcesUsed": 0.0})
    started = int(context.started)
    ad.update({"DaemonStartTime": started, "DaemonLastReconfigTime": started})
    ad.set("UpdateSequenceNumber", 1 + int((now - started) // UPDATE_INTERVAL))
    return _heard(ad, now)


def master_ad(context: PoolContext, now: float) -> Ad:
    """The ad of the submit machine's master."""
    return _heard(_on_submit_machine(context, "master", "DaemonMaster"), now)


def negotiator_ad(context: PoolContext, statistics: Statistics, idle: int, now: float) -> Ad:
    """The negotiator's ad, with what its last cycle did."""
    ad = _on_submit_machine(context, "negotiator", "Negotiator")
    slots = len(context.slots)
    figures = {"Time": int(statistics.time), "End": int(statistics.time), "Matches": statistics.matches}
    figures |= {"Rejections": statistics.rejections, "NumJobsConsidered": statistics.considered}
    figures |= {"TotalSlots": slots, "CandidateSlots": slots, "TrimmedSlots": slots, "NumIdleJobs": idle}
    ad.update({f"LastNegotiationCycle{name}0": value for name, value in figures.items()})
    return _heard(ad, now)


def collector_ad(context: PoolContext, census: Census, busy: int, now: float) -> Ad:
    """The collector's ad, with its totals."""
    ad = _on_submit_machine(context, "collector", "Collector")
    totals = sum(census.values(), Counter[JobStatus]())
    slots = len(context.slots)
    ad.update({"RunningJobs": totals[JobStatus.RUNNING], "IdleJobs": totals[JobStatus.IDLE]})
    ad.update({"HostsTotal": slots, "HostsClaimed": busy, "HostsUnclaimed": slots - busy, "HostsOwner": 0})
    ad.update({"MachineAds": slots, "SubmitterAds": len(census)})
    return _heard(ad, now)
