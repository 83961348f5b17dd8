"""The daemon ads of the simulated pool: the Pool contract's AdDirectory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select

from birdbath.classads import Ad, AdList, AdRecord, Constraint
from birdbath.pool.base import AdKind, JobId, JobStatus
from birdbath.pool.identity import identity_key
from birdbath.pool.simulated import daemons
from birdbath.pool.simulated.accountant import ALL_ACCOUNTS, Account
from birdbath.pool.simulated.context import PoolContext
from birdbath.pool.simulated.inserted_ads import InsertedAds
from birdbath.pool.simulated.machines import Machine, Resources, Slot, parent_name, part_number
from birdbath.pool.simulated.materialization import unmaterialized
from birdbath.pool.simulated.negotiator import Negotiator
from birdbath.store.reader import Reader
from birdbath.store.tables import simulated_jobs
from birdbath.store.unit_of_work import UnitOfWork

_s = simulated_jobs.c
_TAKEN = select(_s.slot, _s.cluster_id, _s.proc_id, _s.cpus, _s.memory, _s.disk, _s.gpus).where(_s.slot > "")

_SUBMITTER = "submitter "
Build = Callable[[float], Ad]


class Taken(NamedTuple):
    """Who has a slot, and how much that is."""

    job: JobId
    resources: Resources


class SimulatedDirectory:
    """See `pool.base.AdDirectory`. The pool's own ads follow the committed state of its jobs."""

    def __init__(self, engine: Engine, context: PoolContext, negotiator: Negotiator) -> None:
        self._reader = Reader(engine)
        self._context = context
        self._negotiator = negotiator
        self._inserted = InsertedAds(engine, context.memory)
        self._lock = threading.Lock()
        self._own: dict[str, tuple[Hashable, float, AdRecord]] = {}
        self._since: dict[str, float] = {}
        self._identities: WeakKeyDictionary[AdRecord, str] = WeakKeyDictionary()
        self._builders: dict[AdKind, Callable[[], list[AdRecord]]] = {
            AdKind.COLLECTOR: self._collector,
            AdKind.STARTD: self._slots,
            AdKind.SCHEDD: self._schedd,
            AdKind.MASTER: self._master,
            AdKind.SUBMITTOR: self._submitters,
            AdKind.NEGOTIATOR: self._negotiators,
            AdKind.GENERIC: self._generic,
        }

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            self._reader.close()
        self._inserted.close()

    def query(
        self, kinds: Sequence[AdKind], constraint: Constraint, now: float, names: Sequence[str] = ()
    ) -> AdList:
        records: list[AdRecord] = []
        for kind in kinds:
            inserted = self._inserted.records(kind, now)
            records += self._own_records(kind, inserted)
            records += inserted.values()
        return AdList(constraint.select(records, now), int(now))

    def listing(self, kinds: Sequence[AdKind], constraint: Constraint, now: float) -> AdList:
        return self.query(kinds, constraint, now)

    def insert(self, unit: UnitOfWork, kind: AdKind, key: str, ad: Ad, expires_at: float) -> bool:
        new = self._inserted.insert(unit, kind, key, ad, expires_at, self._context.clock.time())
        if not new or kind is AdKind.NEGOTIATOR:  # whose former ads were invalidated first, this pool's too
            return new
        return len(self._own_records(kind, {})) == len(self._own_records(kind, {key: None}))

    def _own_records(self, kind: AdKind, inserted: Mapping[str, object]) -> list[AdRecord]:
        """The pool's own ads of a kind, but for those that an inserted one has replaced (reference 4.1)."""
        with self._lock:
            own = self._builders[kind]() if kind in self._builders else []
            if not inserted:
                return own
            if kind is AdKind.NEGOTIATOR:  # there is only one
                return []
            return [record for record in own if self._identity(kind, record) not in inserted]

    def _identity(self, kind: AdKind, record: AdRecord) -> str:
        known = self._identities.get(record)
        if known is None:
            known = self._identities[record] = identity_key(kind, record.ad())
        return known

    def invalidate(self, unit: UnitOfWork, kind: AdKind, key: str | None = None) -> int:
        return self._inserted.invalidate(unit, kind, key, self._context.clock.time())

    def forget_expired(self, unit: UnitOfWork) -> None:
        """Delete what expired long ago; nobody sees a difference."""
        self._inserted.forget_expired(unit, self._context.clock.time())

    def _record(self, name: str, state: Hashable, build: Build) -> AdRecord:
        """The ad of that name as last sent: built again when `state` changed or the last one is old."""
        now = self._context.clock.time()
        known = self._own.get(name)
        if known is not None:
            before, built_at, record = known
            if before == state and now - built_at < daemons.UPDATE_INTERVAL:
                return record
            record.forget()
            if before != state:
                self._since[name] = now
        record = AdRecord(build(now).to_json(), self._context.memory)
        self._own[name] = state, now, record
        return record

    def _taken(self) -> dict[str, Taken]:
        rows = self._reader.rows(_TAKEN)
        return {row[0]: Taken(JobId(row[1], row[2]), Resources(*row[3:])) for row in rows}

    def _slots(self) -> list[AdRecord]:
        taken = self._taken()
        parts: dict[str, list[tuple[str, Taken]]] = {}
        for name, part in taken.items():
            parts.setdefault(parent_name(name), []).append((name, part))
        outages = self._negotiator.outages
        dead = frozenset[int]() if outages is None else outages.dead(self._context.clock.time())
        found: list[AdRecord] = []
        for name, slot in self._context.slots.items():
            if slot.machine.number in dead:
                continue
            of_it = sorted(parts.get(name, ()), key=lambda part: part_number(part[0]))
            if slot.partitionable:
                found.append(self._partitionable(slot, of_it))
                found += [self._slot(slot, part, claim) for part, claim in of_it]
            else:
                found.append(self._slot(slot, name, taken.get(name)))
        return found

    def _partitionable(self, slot: Slot, parts: list[tuple[str, Taken]]) -> AdRecord:
        def build(now: float) -> Ad:
            claims = [(name, claim.resources, self._context.mirror.get(claim.job)) for name, claim in parts]
            known = [
                (name, resources, record.ad()) for name, resources, record in claims if record is not None
            ]
            return daemons.partitionable_ad(self._context, slot, known, now)

        return self._record(slot.name, tuple(parts), build)

    def _slot(self, slot: Slot, name: str, claim: Taken | None) -> AdRecord:
        context = self._context
        running = None if claim is None else context.mirror.get(claim.job)

        def build(now: float) -> Ad:
            ad = None if running is None else running.ad()
            since = self._since.get(name, context.started)
            built = daemons.slot_ad(context, slot, ad, since, now)
            if slot.partitionable and claim is not None:
                daemons.make_dynamic(built, slot, name, claim.resources)
            return built

        state = None if running is None else (claim, running.source)
        return self._record(name, state, build)

    def _schedd(self) -> list[AdRecord]:
        census = self._context.mirror.census()
        late = unmaterialized(self._reader).total()
        state = late, *((owner, *sorted(jobs.items())) for owner, jobs in sorted(census.items()))
        return [
            self._record("schedd", state, lambda now: daemons.schedd_ad(self._context, census, late, now))
        ]

    def _submitters(self) -> list[AdRecord]:
        census = self._context.mirror.census()
        for name in [name for name in self._own if name.startswith(_SUBMITTER)]:
            if name.removeprefix(_SUBMITTER) not in census:
                del self._own[name]
                self._since.pop(name, None)
        late = unmaterialized(self._reader)
        return [self._submitter(owner, jobs, late[owner]) for owner, jobs in sorted(census.items())]

    def _submitter(self, owner: str, jobs: Counter[JobStatus], late: int) -> AdRecord:
        state = late, *sorted(jobs.items())
        return self._record(
            f"{_SUBMITTER}{owner}",
            state,
            lambda now: daemons.submitter_ad(self._context, owner, jobs, late, now),
        )

    def _master(self) -> list[AdRecord]:
        return [self._record("master", None, lambda now: daemons.master_ad(self._context, now))]

    def _negotiators(self) -> list[AdRecord]:
        statistics = self._negotiator.statistics
        idle = sum(jobs[JobStatus.IDLE] for jobs in self._context.mirror.census().values())
        state = (statistics.time, statistics.matches, statistics.rejections, idle)
        return [
            self._record(
                "negotiator", state, lambda now: daemons.negotiator_ad(self._context, statistics, idle, now)
            )
        ]

    def _collector(self) -> list[AdRecord]:
        census = self._context.mirror.census()
        busy = len(self._taken())
        running = sum(jobs[JobStatus.RUNNING] for jobs in census.values())
        idle = sum(jobs[JobStatus.IDLE] for jobs in census.values())
        state = (busy, running, idle, len(census))
        return [
            self._record(
                "collector", state, lambda now: daemons.collector_ad(self._context, census, busy, now)
            )
        ]

    def _generic(self) -> list[AdRecord]:
        return self._startds() + self._accounting()

    def _accounting(self) -> list[AdRecord]:
        """What the negotiator knows of each submitter, as condor_userprio asks for it."""
        halflife = self._context.description.priority_halflife
        accounts = [Account(*row) for row in self._reader.rows(ALL_ACCOUNTS)]
        active = tuple(account for account in accounts if account.in_use)

        def ad(account: Account, now: float) -> Ad:
            those = [its.at(now, halflife) for its in active]
            return daemons.accounting_ad(self._context, account.at(now, halflife), those, now)

        return [
            self._record(f"accounting {account.name}", (account, active), partial(ad, account))
            for account in accounts
        ]

    def _startds(self) -> list[AdRecord]:
        busy: Counter[str] = Counter()
        for name, claim in self._taken().items():
            busy[name.partition("@")[2]] += claim.resources.cpus
        return [self._startd(machine, busy[machine.name]) for machine in self._context.machines]

    def _startd(self, machine: Machine, busy: int) -> AdRecord:
        return self._record(
            f"startd {machine.name}", busy, lambda now: daemons.startd_ad(self._context, machine, busy, now)
        )
