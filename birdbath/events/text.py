"""The classic text form of an event (event reference section 2): headline and body lines, type by type.

The wording is that of HTCondor's own writer, whose reader takes lines apart by it. Where that writer puts
down what the reader does not take back, the reader's side is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from birdbath.classads import Ad
from birdbath.classads.documents import members, old_text, values
from birdbath.events.resources import resource_table
from birdbath.events.types import EventType

Lines = Iterator[str]
"""The headline, then the body."""

_NEWLINE = re.compile(r"\r\n|[\r\n]")
_WARNING = "WARNING: Committed job submission into the queue with the following warning(s): "
_TRANSFERS = {
    1: "Entered queue to transfer input files",
    2: "Started transferring input files",
    3: "Finished transferring input files",
    4: "Entered queue to transfer output files",
    5: "Started transferring output files",
    6: "Finished transferring output files",
}
_COMMON_FILES = {
    "TransferQueued": "Entered queue to transfer common files",
    "TransferStarted": "Started transferring common files",
    "TransferFinished": "Finished transferring common files",
    "WaitStarted": "Started waiting for previous job to transfer common files",
    "WaitFinished": "Finished waitiing for previous job to transfer common files",  # so HTCondor spells it
}
_HEADS = {
    17: "Job submitted to Globus",
    18: "Globus job submission failed!",
    19: "Globus Resource Back Up",
    20: "Detected Down Globus Resource",
    29: "The job's remote status is unknown",
    30: "The job's remote status is known again",
    31: "Job is performing stage-in of input files",
    32: "Job is performing stage-out of output files",
    34: "PRE script return value is PRE_SKIP value",
}
_CACHED = {"Checksum": "Checksum Value", "ChecksumType": "Checksum Type"}
DATA_REUSE_LABELS: Mapping[int, Mapping[str, str]] = {
    EventType.RESERVE_SPACE: {
        "ReservedSpace": "Bytes reserved",
        "ExpirationTime": "Reservation Expiration",
        "UUID": "Reservation UUID",
        "Tag": "Tag",
    },
    EventType.RELEASE_SPACE: {"UUID": "Reservation UUID"},
    EventType.FILE_COMPLETE: {"Size": "Bytes", **_CACHED, "UUID": "UUID"},
    EventType.FILE_USED: {**_CACHED, "Tag": "Tag"},
    EventType.FILE_REMOVED: {"Size": "Bytes", **_CACHED, "Tag": "Tag"},
}
"""What stands before the fields of the data-reuse events."""

_COMMON_ATTRIBUTES = frozenset(
    ("mytype", "targettype", "eventtypenumber", "eventtime", "cluster", "proc", "subproc")
) | {"eventhead", "eventbody"}


def event_text(event_type: int, ad: Ad) -> str:
    """What stands after date and time: the headline and the body, each line with its newline."""
    writer = _WRITERS.get(event_type, _future)
    return "".join(f"{line}\n" for line in writer(ad))


def _line(text: str) -> str:
    """A text that has to stay on its line: newlines become `|`, as HTCondor writes them."""
    return _NEWLINE.sub("|", text)


def _string(ad: Ad, name: str) -> str:
    return _line(ad.string(name))


def _real(ad: Ad, name: str) -> float:
    value = ad.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _optional(ad: Ad, name: str, prefix: str) -> Lines:
    if text := _string(ad, name):
        yield prefix + text


def _submit(ad: Ad) -> Lines:
    yield f"Job submitted from host: {_string(ad, 'SubmitHost')}"
    notes = [_string(ad, "LogNotes"), _string(ad, "UserNotes"), _string(ad, "Warnings")]
    if notes[2] and not notes[2].startswith(_WARNING):
        notes[2] = _WARNING + notes[2]
    while notes and not notes[-1]:
        notes.pop()
    yield from (f"    {note}" for note in notes)


def _place(ad: Ad) -> Lines:
    yield from _optional(ad, "SlotName", "\tSlotName: ")
    yield from (f"\t{name} = {_line(text)}" for name, text in members(ad, "ExecuteProps"))


def _execute(ad: Ad) -> Lines:
    yield f"Job executing on host: {_string(ad, 'ExecuteHost')}"
    yield from _place(ad)


def _node_execute(ad: Ad) -> Lines:
    yield f"Node {ad.integer('Node')} executing on host: {_string(ad, 'ExecuteHost')}"
    yield from _place(ad)


def _executable_error(ad: Ad) -> Lines:
    kinds = {0: "(0) Job file not executable.", 1: "(1) Job not properly linked for Condor."}
    yield kinds.get(ad.integer("ExecuteErrorType", -1), "(-1) [Bad error number.]")


def _usages(ad: Ad, *scopes: str) -> Lines:
    for scope in scopes:
        for place in ("Remote", "Local"):
            usage = ad.string(f"{scope}{place}Usage") or "Usr 0 00:00:00, Sys 0 00:00:00"
            yield f"{usage}  -  {scope} {place} Usage"


def _bytes(ad: Ad, scope: str, by: str) -> Lines:
    prefix = "" if scope == "Run" else scope
    yield f"\t{_real(ad, f'{prefix}SentBytes'):.0f}  -  {scope} Bytes Sent By {by}"
    yield f"\t{_real(ad, f'{prefix}ReceivedBytes'):.0f}  -  {scope} Bytes Received By {by}"


def _ending(ad: Ad, with_core: bool = True) -> Lines:
    if ad.get("TerminatedNormally") is True:
        yield f"\t(1) Normal termination (return value {ad.integer('ReturnValue')})"
        return
    yield f"\t(0) Abnormal termination (signal {ad.integer('TerminatedBySignal')})"
    if with_core:
        core = _string(ad, "CoreFile")
        yield f"\t(1) Corefile in: {core}" if core else "\t(0) No core file"


def _checkpointed(ad: Ad) -> Lines:
    yield "Job was checkpointed."
    yield from (f"\t{usage}" for usage in _usages(ad, "Run"))
    yield f"\t{_real(ad, 'SentBytes'):.0f}  -  Run Bytes Sent By Job For Checkpoint"


def _evicted(ad: Ad) -> Lines:
    code = ad.integer("ReasonCode")
    yield "Job was evicted." + (f" Code {code} Subcode {ad.integer('ReasonSubCode')}" if code else "")
    requeued = ad.get("TerminatedAndRequeued") is True
    if requeued:
        yield "\t(0) Job terminated and was requeued"
    else:
        yield "\t(1) Job was checkpointed." if ad.get("Checkpointed") is True else "\t(0) CPU times"
    yield from (f"\t\t{usage}" for usage in _usages(ad, "Run"))
    yield from _bytes(ad, "Run", "Job")
    if requeued:
        yield from _ending(ad)
    yield from _optional(ad, "Reason", "\t" if requeued else "\tReason: ")
    yield from resource_table(ad)


def _terminated(ad: Ad) -> Lines:
    yield "Job terminated."
    yield from _termination(ad, "Job")


def _node_terminated(ad: Ad) -> Lines:
    yield f"Node {ad.integer('Node')} terminated."
    yield from _termination(ad, "Node")


def _termination(ad: Ad, by: str) -> Lines:
    yield from _ending(ad)
    yield from (f"\t\t{usage}" for usage in _usages(ad, "Run", "Total"))
    yield from _bytes(ad, "Run", by)
    yield from _bytes(ad, "Total", by)
    yield from resource_table(ad)


def _image_size(ad: Ad) -> Lines:
    yield f"Image size of job updated: {ad.integer('Size')}"
    if ad.integer("MemoryUsage", -1) >= 0:
        yield f"\t{ad.integer('MemoryUsage')}  -  MemoryUsage of job (MB)"
    yield f"\t{ad.integer('ResidentSetSize')}  -  ResidentSetSize of job (KB)"
    if ad.integer("ProportionalSetSize", -1) >= 0:
        yield f"\t{ad.integer('ProportionalSetSize')}  -  ProportionalSetSize of job (KB)"


def _shadow_exception(ad: Ad) -> Lines:
    yield "Shadow exception!"
    yield f"\t{_string(ad, 'Message')}"
    yield from _bytes(ad, "Run", "Job")


def _generic(ad: Ad) -> Lines:
    yield _string(ad, "Info")


def _headed(head: str, reason: str = "Reason") -> Callable[[Ad], Lines]:
    """Events with a fixed headline and a reason, if there is one."""

    def lines(ad: Ad) -> Lines:
        yield head
        yield from _optional(ad, reason, "\t")

    return lines


def _suspended(ad: Ad) -> Lines:
    yield "Job was suspended."
    yield f"\tNumber of processes actually suspended: {ad.integer('NumberOfPIDs', -1)}"


def _held(ad: Ad) -> Lines:
    yield "Job was held."
    yield f"\t{_string(ad, 'HoldReason') or 'Reason unspecified'}"
    yield f"\tCode {ad.integer('HoldReasonCode')} Subcode {ad.integer('HoldReasonSubCode')}"


def _post_script(ad: Ad) -> Lines:
    yield "POST Script terminated."
    yield from _ending(ad, with_core=False)
    yield from _optional(ad, "DAGNodeName", "    DAG Node: ")


def _remote_error(ad: Ad) -> Lines:
    kind = "Message" if ad.get("CriticalError") in (False, 0) else "Error"
    yield f"{kind} from {_string(ad, 'Daemon')} on {_string(ad, 'ExecuteHost')}:"
    if message := ad.string("ErrorMsg"):
        yield from (f"\t{line}" for line in _NEWLINE.split(message))
    if code := ad.integer("HoldReasonCode"):
        yield f"\tCode {code} Subcode {ad.integer('HoldReasonSubCode')}"


def _disconnected(ad: Ad) -> Lines:
    yield "Job disconnected, attempting to reconnect"
    yield f"    {_string(ad, 'DisconnectReason')}"
    yield f"    Trying to reconnect to {_string(ad, 'StartdName')} {_string(ad, 'StartdAddr')}"


def _reconnected(ad: Ad) -> Lines:
    yield f"Job reconnected to {_string(ad, 'StartdName')}"
    yield f"    startd address: {_string(ad, 'StartdAddr')}"
    yield f"    starter address: {_string(ad, 'StarterAddr')}"


def _reconnect_failed(ad: Ad) -> Lines:
    yield "Job reconnection failed"
    yield f"    {_string(ad, 'Reason')}"
    yield f"    Can not reconnect to {_string(ad, 'StartdName')}, rescheduling job"


def _grid(head: str, *names: str) -> Callable[[Ad], Lines]:
    def lines(ad: Ad) -> Lines:
        yield head
        yield from (f"    {name}: {_string(ad, name) or 'UNKNOWN'}" for name in names)

    return lines


def _job_ad_information(ad: Ad) -> Lines:
    yield "Job ad information event triggered."
    yield from _attributes(ad)


def _attributes(ad: Ad) -> Lines:
    for name, value in sorted(values(ad).items(), key=lambda item: item[0].lower()):
        yield f"{name} = {_line(old_text(value))}"


def _attribute_update(ad: Ad) -> Lines:
    # HTCondor writes "Setting job attribute A to V" when there was no value, and its reader loses both.
    old = _string(ad, "PriorValue") or "undefined"
    yield f"Changing job attribute {_string(ad, 'Attribute')} from {old} to {_string(ad, 'Value')}"


def _cluster_submit(ad: Ad) -> Lines:
    yield f"Cluster submitted from host: {_string(ad, 'SubmitHost')}"


def _cluster_remove(ad: Ad) -> Lines:
    completion = ad.integer("Completion")
    words = {0: "Incomplete", 1: "Complete", 2: "Paused"}
    done = f"{ad.integer('NextProcId')} jobs from {ad.integer('NextRow')} items."
    yield "Cluster removed"
    yield f"\tMaterialized {done}\t{words.get(completion, f'Error {completion}')}"
    yield from _optional(ad, "Notes", "\t")


def _factory_paused(ad: Ad) -> Lines:
    yield "Job Materialization Paused"
    codes = [f"\t{name} {ad.integer(name)}" for name in ("PauseCode", "HoldCode") if ad.integer(name)]
    if codes or ad.string("Reason"):
        yield f"\t{_string(ad, 'Reason')}"
    yield from codes


def _file_transfer(ad: Ad) -> Lines:
    yield _TRANSFERS.get(ad.integer("Type"), "NONE")
    if "QueueingDelay" in ad:
        yield f"\tSeconds spent in queue: {ad.integer('QueueingDelay')}"
    yield from _optional(ad, "Host", "\tTransferring to host: ")


def _common_files(ad: Ad) -> Lines:
    kind = _string(ad, "Type")
    yield f"Common files event: {kind}"
    yield f"\t{_COMMON_FILES.get(kind, 'NONE')}"


def _data_reuse(kind: int) -> Callable[[Ad], Lines]:
    """Events without a headline. HTCondor's writer leaves that line empty, where its reader looks for the
    first field, and gives up on the whole log: it is there.
    """

    def lines(ad: Ad) -> Lines:
        indent = ""
        for name, label in DATA_REUSE_LABELS[kind].items():
            value = ad.get(name)
            yield f"{indent}{label}: {_line('' if value is None else str(value))}"
            indent = "\t"

    return lines


def _future(ad: Ad) -> Lines:
    """A type that HTCondor's reader has no class for, or that is not known at all: the rest of the ad."""
    number = ad.integer("EventTypeNumber", -1)
    yield _string(ad, "EventHead") or _HEADS.get(number, "")
    if number == EventType.PRESKIP:
        yield from _optional(ad, "SkipEventLogNotes", "    ")
        return
    if body := ad.string("EventBody"):  # of an event that only the log knew
        yield from _NEWLINE.split(body)
    yield from (line for line in _attributes(ad) if line.partition(" ")[0].lower() not in _COMMON_ATTRIBUTES)


_T = EventType
_WRITERS: Mapping[int, Callable[[Ad], Lines]] = {
    _T.SUBMIT: _submit,
    _T.EXECUTE: _execute,
    _T.EXECUTABLE_ERROR: _executable_error,
    _T.CHECKPOINTED: _checkpointed,
    _T.JOB_EVICTED: _evicted,
    _T.JOB_TERMINATED: _terminated,
    _T.IMAGE_SIZE: _image_size,
    _T.SHADOW_EXCEPTION: _shadow_exception,
    _T.GENERIC: _generic,
    _T.JOB_ABORTED: _headed("Job was aborted."),
    _T.JOB_SUSPENDED: _suspended,
    _T.JOB_UNSUSPENDED: _headed("Job was unsuspended.", reason=""),
    _T.JOB_HELD: _held,
    _T.JOB_RELEASED: _headed("Job was released."),
    _T.NODE_EXECUTE: _node_execute,
    _T.NODE_TERMINATED: _node_terminated,
    _T.POST_SCRIPT_TERMINATED: _post_script,
    _T.REMOTE_ERROR: _remote_error,
    _T.JOB_DISCONNECTED: _disconnected,
    _T.JOB_RECONNECTED: _reconnected,
    _T.JOB_RECONNECT_FAILED: _reconnect_failed,
    _T.GRID_RESOURCE_UP: _grid("Grid Resource Back Up", "GridResource"),
    _T.GRID_RESOURCE_DOWN: _grid("Detected Down Grid Resource", "GridResource"),
    _T.GRID_SUBMIT: _grid("Job submitted to grid resource", "GridResource", "GridJobId"),
    _T.JOB_AD_INFORMATION: _job_ad_information,
    _T.ATTRIBUTE_UPDATE: _attribute_update,
    _T.CLUSTER_SUBMIT: _cluster_submit,
    _T.CLUSTER_REMOVE: _cluster_remove,
    _T.FACTORY_PAUSED: _factory_paused,
    _T.FACTORY_RESUMED: _headed("Job Materialization Resumed"),
    _T.FILE_TRANSFER: _file_transfer,
    **{kind: _data_reuse(kind) for kind in DATA_REUSE_LABELS},
    _T.DATAFLOW_JOB_SKIPPED: _headed("Dataflow job was skipped."),
    _T.COMMON_FILES: _common_files,
}
