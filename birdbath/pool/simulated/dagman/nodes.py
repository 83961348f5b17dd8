"""The jobs of a node: its submit description, read from DAGMan's sandbox, made into job ads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from birdbath.classads import Ad, canonical_value
from birdbath.classads.arguments import join
from birdbath.dagman import PROGRAM, Dag, DagError, Engine, Node, NodeKind, Variable
from birdbath.description import Description, DescriptionError, PlannedJob, Planner
from birdbath.description.confined import MAX_JOBS, confined, macros
from birdbath.description.sandbox import plan_in_place
from birdbath.errors import BirdbathError, UnknownFile
from birdbath.pool.base import JobId, JobStatus, NewJob
from birdbath.pool.template import job_template
from birdbath.store.sandbox import Sandbox
from birdbath.values import AdValue, Universe

MAX_FILE = 10_000_000


def read_text(sandbox: Sandbox, name: str) -> str:
    """A file of the sandbox, by the last part of the path that a DAG or a description has for it.

    Raises DagError when it is missing, too large or not text in UTF-8.
    """
    entry = name.rpartition("/")[2]
    try:
        if sandbox.size(entry) > MAX_FILE:
            raise DagError(f"{entry} is larger than {MAX_FILE} bytes")
        return sandbox.read(entry).decode()
    except UnknownFile:
        raise DagError(f"{entry} is not among DAGMan's files") from None
    except UnicodeDecodeError:
        raise DagError(f"{entry} is not text in UTF-8") from None
    except OSError as error:
        raise DagError(f"{entry}: {error.strerror}") from None


@dataclass(frozen=True)
class NodeJobs:
    """Makes the jobs of the nodes of one DAG. `ad` and `sandbox` are those of DAGMan's own job."""

    dag: Dag
    job: JobId
    ad: Ad
    sandbox: Sandbox
    priority: int

    def make(self, node: Node, engine: Engine, cluster: int, now: float) -> list[NewJob]:
        """The jobs of an attempt, in `cluster`. Raises BirdbathError for what cannot be submitted."""
        plan = self._subdag(node) if node.kind is NodeKind.SUBDAG else self._plan(node, engine, cluster)
        jobs: list[NewJob] = []
        for proc, planned in enumerate(plan):
            if proc >= MAX_JOBS:
                raise DescriptionError(f"more than {MAX_JOBS} jobs")
            job = JobId(cluster, proc)
            jobs.append(NewJob(job, self._ad(node, engine, job, planned, now)))
        if not jobs:
            raise DescriptionError("the queue statements come to no jobs")
        return jobs

    def _plan(self, node: Node, engine: Engine, cluster: int) -> Iterator[PlannedJob]:
        text = node.description if node.description is not None else read_text(self.sandbox, node.submit)
        before = macros({**self._standard(node, engine), **_named(node.variables, append=False)})
        after = macros(_named(node.variables, append=True))
        description = Description(confined(text, lambda name: read_text(self.sandbox, name), before, after))
        planner = Planner(self.ad.string("Owner"), {}, plan_in_place)
        proc = 0
        for statement in description.statements:
            for row in statement.rows():
                yield planner.plan(statement.expand(cluster, proc, row))
                proc += 1

    def _standard(self, node: Node, engine: Engine) -> dict[str, str]:
        """The macros that DAGMan sets for every node."""
        return {
            "JOB": node.name,
            "dag_node_name": node.name,
            "RETRY": str(engine.states[node.name].attempt),
            "DAGManJobId": str(self.job.cluster),
            "DAG_PARENT_NAMES": ",".join(engine.parents[node.name]),
            "DAG_STATUS": str(int(engine.memory.status)),
            "FAILED_COUNT": str(engine.counts().failed),
        }

    def _subdag(self, node: Node) -> Iterator[PlannedJob]:
        """A DAG in a node is a DAGMan of its own, in the same sandbox."""
        file = node.submit.rpartition("/")[2]
        words = ["-p", "0", "-f", "-l", ".", "-Lockfile", f"{file}.lock", "-AutoRescue", "1"]
        words += ["-DoRescueFrom", "0", "-Dag", file, "-Suppress_notification", "-Dagman", PROGRAM]
        if node.priority + self.priority:  # its nodes have it on top of their own
            words += ["-Priority", str(node.priority + self.priority)]
        attributes: dict[str, AdValue] = {
            "Cmd": PROGRAM,
            "Arguments": join(words),
            "TransferExecutable": False,
            "OnExitRemove": True,
        }
        yield PlannedJob(PROGRAM, Universe.SCHEDULER, attributes, {})

    def _ad(self, node: Node, engine: Engine, job: JobId, planned: PlannedJob, now: float) -> Ad:
        version, platform = (self.ad.string(name) for name in ("CondorVersion", "CondorPlatform"))
        owner = self.ad.string("Owner")
        ad = job_template(
            *job, owner, int(planned.universe), None, "", None, int(now), None, version, platform
        )
        ad.set("LeaveJobInQueue", False)
        for name, value in planned.attributes.items():
            _put(ad, name, value)
        if node.priority or self.priority:
            ad.set("JobPrio", ad.integer("JobPrio") + node.priority + self.priority)
        if ad.integer("JobStatus") != JobStatus.HELD:
            ad.set("JobStatus", int(JobStatus.IDLE))
        # Last, for no description may say who submits, where and as what.
        ad.update({"Owner": owner, "User": self.ad.string("User"), "ClusterId": job.cluster})
        ad.update({"ProcId": job.proc, "QDate": int(now), "EnteredCurrentStatus": int(now)})
        ad.update({"Iwd": str(self.sandbox.path), "DAGManJobId": self.job.cluster, "DAGNodeName": node.name})
        ad.update({"DAGManNodeRetry": engine.states[node.name].attempt})
        ad.set("DAGParentNodeNames", ",".join(engine.parents[node.name]))
        ad.set("GlobalJobId", self._global_id(job, now))
        return ad

    def _global_id(self, job: JobId, now: float) -> str:
        schedd = self.ad.string("GlobalJobId").partition("#")[0]
        return f"{schedd}#{job}#{int(now)}"


def _named(variables: Sequence[Variable], append: bool) -> dict[str, str]:
    return {variable.name: variable.value for variable in variables if variable.append is append}


def _put(ad: Ad, name: str, value: AdValue) -> None:
    if value is None:
        ad.put(name, "u", "undefined")
    else:
        ad.set(name, value)


def set_attributes(ad: Ad, attributes: Sequence[tuple[str, str]]) -> None:
    """What SET_JOB_ATTR sets in DAGMan's own ad. Raises DagError for what is no expression."""
    for name, text in attributes:
        try:
            ad.put(name, *canonical_value(text))
        except BirdbathError as error:
            raise DagError(f"SET_JOB_ATTR {name} = {text}: {error}") from None
