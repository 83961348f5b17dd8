"""An event of every type, and of every variant that is printed differently, as HTCondor's own JSON has it."""

from __future__ import annotations

from typing import Any

U = "Usr 0 00:00:01, Sys 1 00:00:02"
RUN = {"RunLocalUsage": U, "RunRemoteUsage": U, "SentBytes": 5.0, "ReceivedBytes": 6.0}
TOTAL = {**RUN, "TotalLocalUsage": U, "TotalRemoteUsage": U, "TotalSentBytes": 7.0, "TotalReceivedBytes": 8.0}
ENDED = {"TerminatedNormally": True, "ReturnValue": 7}
KILLED = {"TerminatedNormally": False, "TerminatedBySignal": 9}
CPUS = {"CpusUsage": 0.25, "RequestCpus": 1, "Cpus": 1}
DISK = {"DiskUsage": 74, "RequestDisk": 10000, "Disk": 10240}
GPUS = {"GPUsUsage": 1.5, "RequestGPUs": 1, "GPUs": 1, "AssignedGPUs": "GPU-7"}
WARNING = "WARNING: Committed job submission into the queue with the following warning(s): careful"
STARTED = {
    "ExecuteHost": "<h>",
    "SlotName": "slot1@x",
    "ExecuteProps": {"Cpus": 1, "Dir": '/a"b', "Deep": {"x": 1.5}},
}
NOTES = {"SubmitHost": "<h>", "LogNotes": "night run", "UserNotes": "ü", "Warnings": WARNING}
EVICTED = {"Checkpointed": False, "TerminatedAndRequeued": False, "TerminatedNormally": False}
REQUEUED = {"Checkpointed": False, "TerminatedAndRequeued": True}
STARTD = {"StartdAddr": "<h>", "StartdName": "s"}
RESERVED = {"ExpirationTime": 1700000000, "ReservedSpace": 1000, "UUID": "u", "Tag": "t"}
CACHED = {"Checksum": "c", "ChecksumType": "sha256"}

SAMPLES: list[tuple[int, str, dict[str, Any]]] = [
    (0, "SubmitEvent", {"SubmitHost": "<1.2.3.4:9618?addrs=a&b>"}),
    (
        0,
        "SubmitEvent",
        NOTES,
    ),
    (0, "SubmitEvent", {"SubmitHost": "<h>", "UserNotes": "only mine"}),
    (1, "ExecuteEvent", STARTED),
    (1, "ExecuteEvent", {"ExecuteHost": "<h>"}),
    (2, "ExecutableErrorEvent", {"ExecuteErrorType": 0}),
    (2, "ExecutableErrorEvent", {"ExecuteErrorType": 1}),
    (3, "CheckpointedEvent", {"RunLocalUsage": U, "RunRemoteUsage": U, "SentBytes": 5.0}),
    (4, "JobEvictedEvent", {**EVICTED, **RUN, "Reason": "x", "ReasonCode": 1, "ReasonSubCode": 2}),
    (4, "JobEvictedEvent", {**EVICTED, **RUN, "Checkpointed": True}),
    (4, "JobEvictedEvent", {**REQUEUED, **RUN, **ENDED, "Reason": "again"}),
    (4, "JobEvictedEvent", {**REQUEUED, **RUN, **KILLED, "CoreFile": "core.1", "Reason": "again"}),
    (5, "JobTerminatedEvent", {**ENDED, **TOTAL}),
    (5, "JobTerminatedEvent", {**ENDED, **TOTAL, **CPUS, **DISK, **GPUS}),
    (5, "JobTerminatedEvent", {**ENDED, **TOTAL, **DISK}),
    (5, "JobTerminatedEvent", {**KILLED, **TOTAL, "CoreFile": "/x/core"}),
    (5, "JobTerminatedEvent", {**KILLED, **TOTAL}),
    (6, "JobImageSizeEvent", {"Size": 9, "MemoryUsage": 3, "ResidentSetSize": 8, "ProportionalSetSize": 7}),
    (6, "JobImageSizeEvent", {"Size": 9}),
    (7, "ShadowExceptionEvent", {"Message": "no contact", "SentBytes": 1.0, "ReceivedBytes": 2.0}),
    (8, "GenericEvent", {"Info": "the text itself"}),
    (9, "JobAbortedEvent", {"Reason": "via condor_rm (by user ann)"}),
    (9, "JobAbortedEvent", {}),
    (10, "JobSuspendedEvent", {"NumberOfPIDs": 3}),
    (11, "JobUnsuspendedEvent", {}),
    (12, "JobHeldEvent", {"HoldReason": "why", "HoldReasonCode": 1, "HoldReasonSubCode": 0}),
    (12, "JobHeldEvent", {"HoldReasonCode": 1, "HoldReasonSubCode": 0}),
    (13, "JobReleaseEvent", {"Reason": "go"}),
    (14, "NodeExecuteEvent", {"Node": 2, **STARTED}),
    (15, "NodeTerminatedEvent", {"Node": 2, **KILLED, **TOTAL, **CPUS}),
    (16, "PostScriptTerminatedEvent", {**ENDED, "DAGNodeName": "A"}),
    (16, "PostScriptTerminatedEvent", KILLED),
    (17, "FutureEvent", {"EventHead": "Job submitted to Globus", "RMContact": "a", "RestartableJM": True}),
    (18, "FutureEvent", {"EventHead": "Globus job submission failed!", "Reason": "x"}),
    (19, "FutureEvent", {"EventHead": "Globus Resource Back Up", "RMContact": "a"}),
    (20, "FutureEvent", {"EventHead": "Detected Down Globus Resource", "RMContact": "a"}),
    (21, "RemoteErrorEvent", {"Daemon": "starter", "ExecuteHost": "s", "ErrorMsg": "a\nb"}),
    (
        21,
        "RemoteErrorEvent",
        {"Daemon": "d", "ExecuteHost": "s", "ErrorMsg": "a", "HoldReasonCode": 13, "HoldReasonSubCode": 2},
    ),
    (22, "JobDisconnectedEvent", {**STARTD, "DisconnectReason": "net"}),
    (23, "JobReconnectedEvent", {**STARTD, "StarterAddr": "<k>"}),
    (24, "JobReconnectFailedEvent", {"StartdName": "s", "Reason": "lease"}),
    (25, "GridResourceUpEvent", {"GridResource": "batch x"}),
    (26, "GridResourceDownEvent", {"GridResource": "batch x"}),
    (27, "GridSubmitEvent", {"GridResource": "batch x", "GridJobId": "1"}),
    (
        28,
        "JobAdInformationEvent",
        {"JobPrio": 0, "Owner": "a", "L": [1, {"b": 2}], "F": 2.5, "TriggerEventTypeNumber": 0},
    ),
    (29, "FutureEvent", {}),
    (30, "FutureEvent", {}),
    (31, "FutureEvent", {"EventHead": "Job is performing stage-in of input files"}),
    (32, "FutureEvent", {"EventHead": "Job is performing stage-out of output files"}),
    (33, "AttributeUpdateEvent", {"Attribute": "JobPrio", "Value": "5"}),
    (34, "FutureEvent", {"SkipEventLogNotes": "DAG Node: A"}),
    (35, "ClusterSubmitEvent", {"SubmitHost": "<h>"}),
    *(
        (36, "ClusterRemoveEvent", {"NextProcId": 3, "NextRow": 1, "Completion": how, **notes})
        for how in (-1, 0, 1, 2)
        for notes in ({}, {"Notes": "n"})
    ),
    (37, "FactoryPausedEvent", {"PauseCode": 1, "HoldCode": 2, "Reason": "p"}),
    (38, "FactoryResumedEvent", {"Reason": "p"}),
    *((40, "FileTransferEvent", {"Type": step}) for step in range(1, 7)),
    (40, "FileTransferEvent", {"Type": 2, "Host": "<h>", "QueueingDelay": 5}),
    (41, "ReserveSpaceEvent", RESERVED),
    (42, "ReleaseSpaceEvent", {"UUID": "u"}),
    (43, "FileCompleteEvent", {"Size": 5, **CACHED, "UUID": "u"}),
    (44, "FileUsedEvent", {**CACHED, "Tag": "t"}),
    (45, "FileRemovedEvent", {"Size": 5, **CACHED, "Tag": "t"}),
    (46, "DataflowJobSkippedEvent", {"Reason": "r"}),
    *(
        (47, "CommonFilesEvent", {"Type": step})
        for step in ("TransferQueued", "TransferStarted", "TransferFinished", "WaitStarted", "WaitFinished")
    ),
]
