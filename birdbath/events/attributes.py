"""The attributes that events have of their own, by which they are told from those of their jobs (event
reference section 3).
"""

from __future__ import annotations

_NAMES = frozenset(
    name.lower()
    for name in (
        *("MyType", "EventTypeNumber", "EventTime", "Cluster", "Proc", "Subproc", "EventHead", "EventBody"),
        *(
            "SubmitHost",
            "LogNotes",
            "UserNotes",
            "Warnings",
            "ExecuteHost",
            "SlotName",
            "ExecuteProps",
            "Node",
        ),
        *("ExecuteErrorType", "Checkpointed", "TerminatedAndRequeued", "TerminatedNormally", "ReturnValue"),
        *("TerminatedBySignal", "CoreFile", "ToE", "SentBytes", "ReceivedBytes", "TotalSentBytes"),
        *("TotalReceivedBytes", "Size", "ResidentSetSize", "ProportionalSetSize", "Message", "Info"),
        *("Reason", "ReasonCode", "ReasonSubCode", "NumberOfPIDs", "HoldReason", "HoldReasonCode"),
        *("HoldReasonSubCode", "DAGNodeName", "SkipEventLogNotes", "RMContact", "JMContact", "RestartableJM"),
        *("Daemon", "ErrorMsg", "CriticalError", "StartdAddr", "StartdName", "StarterAddr"),
        *("DisconnectReason", "NoReconnectReason", "GridResource", "GridJobId", "TriggerEventTypeNumber"),
        *("TriggerEventTypeName", "Attribute", "Value", "PriorValue", "NextProcId", "NextRow", "Completion"),
        *("Notes", "PauseCode", "HoldCode", "Type", "Host", "QueueingDelay", "ExpirationTime"),
        *("ReservedSpace", "UUID", "Tag", "Checksum", "ChecksumType", "EmailUser", "EmailAdmin"),
        *("Cpus", "Disk", "Memory", "GPUs"),
    )
)


def is_event_attribute(name: str) -> bool:
    """Whether events of some type have `name`, in any case, of their own.

    Of the table of resources, which a pool adds to, these are the names that its columns make. An event of
    job ad information has whatever its log was told to write besides.
    """
    lower = name.lower()
    return lower in _NAMES or lower.startswith(("request", "assigned")) or lower.endswith("usage")
