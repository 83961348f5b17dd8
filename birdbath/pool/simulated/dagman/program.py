"""The program that the pool calls: DAGMan's engine, told of events and obeyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, select

from birdbath.classads import Ad
from birdbath.dagman import (
    JOB_ABORTED,
    PROGRAM,
    Action,
    Dag,
    DagStatus,
    Engine,
    Exit,
    NodeStatus,
    Options,
    ProcStatus,
    Remove,
    Say,
    Submit,
    WriteRescue,
    files,
    parse_options,
    read_dag,
)
from birdbath.errors import BirdbathError, UnknownJob, WrongJobStatus
from birdbath.events import EventType, JobEvent
from birdbath.pool.base import ActionDetails, JobAction, JobId, JobStatus
from birdbath.pool.simulated.command_line import arguments, environment
from birdbath.pool.simulated.dagman.memory import Remembered, rescue_of
from birdbath.pool.simulated.dagman.nodes import NodeJobs, read_text, set_attributes
from birdbath.pool.simulated.dagman.outputs import Outputs
from birdbath.pool.simulated.hosted import Host, Program
from birdbath.store.sandbox import Sandbox, check_file_name
from birdbath.store.tables import jobs

SCHEDULER_UNIVERSE = 7
_ROW = select(jobs.c.ad).where(jobs.c.cluster_id == bindparam("cluster"), jobs.c.proc_id == bindparam("proc"))
_PAUSE = "DAGMan is held"
_STATUS = {
    EventType.EXECUTE: ProcStatus.RUNNING,
    EventType.JOB_EVICTED: ProcStatus.IDLE,
    EventType.JOB_HELD: ProcStatus.HELD,
    EventType.JOB_RELEASED: ProcStatus.IDLE,
    EventType.SHADOW_EXCEPTION: ProcStatus.IDLE,
}
_OF_JOB = {
    JobStatus.RUNNING: ProcStatus.RUNNING,
    JobStatus.TRANSFERRING_OUTPUT: ProcStatus.RUNNING,
    JobStatus.SUSPENDED: ProcStatus.RUNNING,
    JobStatus.HELD: ProcStatus.HELD,
}


def is_dagman(ad: Ad) -> bool:
    """Whether the job is DAGMan: of the scheduler universe, its Cmd called condor_dagman wherever it lies."""
    cmd = ad.string("Cmd").rpartition("/")[2]
    return ad.integer("JobUniverse") == SCHEDULER_UNIVERSE and cmd == PROGRAM


def dagman_programs(ad: Ad, sandbox: Sandbox) -> Program | None:
    """The factory of DAGMan jobs; see `hosted.ProgramFactory`."""
    return DagMan() if is_dagman(ad) else None


class DagMan:
    """One DAGMan; what it must not lose is remembered by the pool, see `memory`."""

    def __init__(self) -> None:
        self._loaded: tuple[Options, Dag, Engine, Remembered] | None = None

    def start(self, host: Host) -> None:
        """Begin, or go on after a hold: what was held with DAGMan is released."""
        try:
            call = self._load(host) if host.state else self._begin(host)
            if call.exited:  # an OnExitRemove wants it to run again
                call = self._begin(host)
        except (BirdbathError, OSError) as error:
            self._refuse(host, error)
            return
        self._run(call.resume)

    def wake(self, host: Host, events: Sequence[JobEvent]) -> None:
        """Follow the events of the nodes' jobs, and do what comes next."""
        try:
            call = self._load(host)
        except (BirdbathError, OSError, ValueError) as error:
            self._refuse(host, error)
            return
        self._run(lambda: call.follow(events))

    def stop(self, host: Host) -> None:
        """Held: so are the nodes' jobs. Removed: they are, too, a FINAL node runs, and a rescue DAG stays."""
        try:
            call = self._load(host)
        except (BirdbathError, OSError, ValueError):
            return  # it never began
        if host.ad.integer("JobStatus") == JobStatus.HELD:
            self._run(call.pause)
        elif host.ad.integer("JobStatus") == JobStatus.REMOVED:
            self._run(call.remove)

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException:
            self._loaded = None  # what it did is undone with the unit of work
            raise

    def _begin(self, host: Host) -> _Call:
        options = parse_options(arguments(host.ad))
        for name in filter(None, (*map(_entry, options.files), options.old_rescue, _out_name(host.ad))):
            check_file_name(_entry(name))
        outputs = Outputs(host.unit, host.sandbox, _base(options), host.now)
        rescue = outputs.choose_rescue(options.files, options.auto_rescue, options.rescue_from)
        dag = _read(host.sandbox, options, rescue)
        remembered = Remembered(rescue=rescue)
        engine = Engine(dag, options.throttles(dag.config), remembered.memory)
        set_attributes(host.ad, dag.attributes)
        self._loaded = options, dag, engine, remembered
        call = _Call(host, *self._loaded)
        call.introduce()
        return call

    def _load(self, host: Host) -> _Call:
        if self._loaded is None:
            options = parse_options(arguments(host.ad))
            dag = _read(host.sandbox, options, rescue_of(host.state) if host.state else None)
            remembered = Remembered.from_json(host.state, dag)
            engine = Engine(dag, options.throttles(dag.config), remembered.memory)
            self._loaded = options, dag, engine, remembered
        return _Call(host, *self._loaded)

    @staticmethod
    def _refuse(host: Host, error: Exception) -> None:
        """A DAG that cannot be run: said in dagman.out, exit code 1."""
        try:
            base = _base(parse_options(arguments(host.ad)))
        except BirdbathError:
            base = PROGRAM
        status = DagStatus.CYCLE if "cycle" in str(error) else DagStatus.ERROR
        host.ad.update({"DAG_Status": int(status), "DAG_InRecovery": 0})
        lines = [f"ERROR: {error}", f"**** {PROGRAM} ({PROGRAM}) EXITING WITH STATUS 1"]
        Outputs(host.unit, host.sandbox, base, host.now).say(Remembered(), lines)
        host.finish(1)


def _base(options: Options) -> str:
    """What the names of DAGMan's files begin with; room is left for what comes behind."""
    name = _entry(options.files[0])
    return name if 0 < len(name.encode()) < 200 else PROGRAM


def _entry(path: str) -> str:
    return path.rpartition("/")[2]


def _out_name(ad: Ad) -> str:
    """The name that the job's environment has for dagman.out, empty for the usual one."""
    return _entry(environment(ad).get("_CONDOR_DAGMAN_LOG", ""))


def _read(sandbox: Sandbox, options: Options, rescue: str | None) -> Dag:
    names = [_entry(name) for name in options.files]
    return read_dag(names, lambda name: read_text(sandbox, name), rescue)


class _Call:
    """One call of the pool: what it said is put together, done and written at the end."""

    def __init__(
        self, host: Host, options: Options, dag: Dag, engine: Engine, remembered: Remembered
    ) -> None:
        self._host = host
        self._options = options
        self._engine = engine
        self._remembered = remembered
        self._lines: list[str] = []
        self._out = _out_name(host.ad)
        self._outputs = Outputs(host.unit, host.sandbox, _base(options), host.now)
        self._nodes = NodeJobs(dag, host.job, host.ad, host.sandbox, options.priority)

    @property
    def exited(self) -> bool:
        """Whether this DAGMan has ended."""
        return self._engine.memory.exited

    def introduce(self) -> None:
        """The first lines of dagman.out."""
        dag, host = self._engine.dag, self._host
        self._lines += [
            "******************************************************",
            f"** condor_scheduniv_exec.{host.job} (CONDOR_DAGMAN) STARTING UP",
            f"** {host.ad.string('CondorVersion')}",
            "******************************************************",
            f"DAG Input file is {', '.join(dag.files)}",
            *([f"Running the rescue DAG {self._remembered.rescue}"] if self._remembered.rescue else ()),
            *dag.warnings,
            f"Dag contains {len(dag.nodes)} total jobs",
            f"Number of pre-completed nodes: {self._engine.counts().done}",
        ]

    # ------------------------------------------------------------ events

    def follow(self, events: Sequence[JobEvent]) -> None:
        """Tell the engine what became of the nodes' jobs, and do what comes next."""
        self._outputs.log(self._remembered, events)
        for event in events:
            if (status := _STATUS.get(event.type)) is not None:
                self._engine.proc_is(event.cluster, event.proc, status)
            elif event.type is EventType.JOB_TERMINATED:
                self._engine.proc_ended(event.cluster, event.proc, _return_value(event))
            elif event.type is EventType.JOB_ABORTED:
                self._engine.proc_ended(event.cluster, event.proc, JOB_ABORTED)
        self._go_on()

    def resume(self) -> None:
        """Begin, or go on after a hold: release what was held with it, catch up with what was not told."""
        for cluster in self._remembered.paused:
            self._act(JobAction.RELEASE, cluster, "DAGMan is released")
        self._remembered.paused = []
        for cluster, procs in self._in_queue():
            for proc in procs:
                self._catch_up(JobId(cluster, proc))
        self._go_on()

    def _catch_up(self, job: JobId) -> None:
        row = self._host.unit.first(_ROW, {"cluster": job.cluster, "proc": job.proc})
        ad = Ad() if row is None else Ad.from_json(row[0])
        status = ad.integer("JobStatus")
        if status == JobStatus.COMPLETED:
            signal = ad.integer("ExitSignal") if ad.get("ExitBySignal") is True else 0
            self._engine.proc_ended(*job, -signal if signal else ad.integer("ExitCode"))
        elif status == JobStatus.REMOVED or row is None:
            self._engine.proc_ended(*job, JOB_ABORTED)
        else:
            known = JobStatus(status) if status in list(JobStatus) else JobStatus.IDLE
            self._engine.proc_is(*job, _OF_JOB.get(known, ProcStatus.IDLE))

    def _in_queue(self) -> list[tuple[int, list[int]]]:
        """The clusters of nodes whose jobs have not ended."""
        states = self._engine.states.values()
        return [(s.cluster, list(s.procs)) for s in states if s.status is NodeStatus.SUBMITTED]

    # ------------------------------------------------------------ actions

    def _go_on(self) -> None:
        self._perform()
        self._write()

    def pause(self) -> None:
        """Hold the nodes' jobs."""
        self._lines.append("DAGMan was held; so are the jobs of its nodes")
        for cluster, _ in self._in_queue():
            if self._act(JobAction.HOLD, cluster, _PAUSE):
                self._remembered.paused.append(cluster)
        self._write()

    def remove(self) -> None:
        """Remove the nodes' jobs, run the FINAL node if there is one, and write a rescue DAG."""
        for action in self._engine.removed():
            self._do(action)
        self._perform()
        if not self.exited:
            self._host.linger()
        self._write()

    def _perform(self) -> None:
        while actions := self._engine.advance():
            for action in actions:
                self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Say(text):
                self._lines.append(text)
            case Submit(node):
                self._submit(node)
            case Remove(cluster, reason):
                self._act(JobAction.REMOVE, cluster, reason)
            case WriteRescue():
                name = self._outputs.write_rescue(self._engine, self._options.old_rescue)
                self._lines.append(f"Wrote rescue DAG {name}")
            case Exit(code):
                self._lines += files.progress_lines(self._engine.counts(), self._engine.memory.status)
                self._lines.append(
                    f"**** condor_scheduniv_exec.{self._host.job} (condor_DAGMAN) EXITING WITH STATUS {code}"
                )
                self._host.finish(code)

    def _submit(self, name: str) -> None:
        host, node = self._host, self._engine.dag.nodes[name]
        cluster = host.queue.reserve_cluster(host.unit)
        try:
            made = self._nodes.make(node, self._engine, cluster, host.now)
        except (BirdbathError, OSError) as error:
            self._engine.submit_failed(name, str(error))
            return
        host.queue.accept(host.unit, made)
        self._engine.submitted(name, cluster, len(made))

    def _act(self, action: JobAction, cluster: int, reason: str) -> bool:
        """Act on the jobs of a cluster as far as their states allow; whether any did."""
        host, done = self._host, False
        for job in host.queue.cluster_jobs(host.unit, cluster):
            ad = host.queue.job_ad(host.unit, job)
            if action is JobAction.RELEASE and (ad is None or ad.string("HoldReason") != _PAUSE):
                continue
            try:
                host.queue.act(host.unit, action, job, ActionDetails(reason))
                done = True
            except (UnknownJob, WrongJobStatus):
                continue
        return done

    # ------------------------------------------------------------ files and attributes

    def _write(self) -> None:
        host, engine, remembered = self._host, self._engine, self._remembered
        counts, memory = engine.counts(), engine.memory
        if self._lines and not memory.exited:
            self._lines += files.progress_lines(counts, memory.status)
        if self._lines:
            self._outputs.say(remembered, self._lines, self._out)
        self._write_status()
        host.ad.update({"DAG_Status": int(memory.status), "DAG_InRecovery": 0})
        host.ad.update(dict(counts.attributes()))
        host.ad.set("DAG_AdUpdateTime", int(host.now))
        host.remember(remembered.to_json())

    def _write_status(self) -> None:
        """Write the node status file when there is news and its interval is over, and at the end."""
        wanted, remembered, now = self._engine.dag.status_file, self._remembered, self._host.now
        if wanted is None:
            return
        exited = self._engine.memory.exited
        remembered.status_due = remembered.status_due or bool(self._lines) or wanted.always
        if exited or (remembered.status_due and now >= remembered.status_at):
            self._outputs.write_status(self._engine, wanted.name, wanted.interval)
            remembered.status_at, remembered.status_due = now + wanted.interval, wanted.always
        self._host.wake_at(remembered.status_at if remembered.status_due and not exited else None)


def _return_value(event: JobEvent) -> int:
    signal, value = event.fields.get("TerminatedBySignal"), event.fields.get("ReturnValue")
    if event.fields.get("TerminatedNormally") is False:
        return -signal if isinstance(signal, int) and signal else -1
    return value if isinstance(value, int) else 0
