"""Job events and their ads."""

import htcondor2
import pytest

from birdbath.classads import Expression
from birdbath.events import EventType, JobEvent, event_name, my_type, routing_key
from birdbath.events.attributes import is_event_attribute
from tests.events.samples import SAMPLES


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "SubmitEvent"),
        (1, "ExecuteEvent"),
        (2, "ExecutableErrorEvent"),
        (4, "JobEvictedEvent"),
        (5, "JobTerminatedEvent"),
        (6, "JobImageSizeEvent"),
        (7, "ShadowExceptionEvent"),
        (8, "GenericEvent"),
        (9, "JobAbortedEvent"),
        (10, "JobSuspendedEvent"),
        (11, "JobUnsuspendedEvent"),
        (12, "JobHeldEvent"),
        (13, "JobReleaseEvent"),
        (33, "AttributeUpdateEvent"),
        (35, "ClusterSubmitEvent"),
        (36, "ClusterRemoveEvent"),
        (40, "FileTransferEvent"),
    ],
)
def test_my_types(number: int, name: str) -> None:
    assert my_type(EventType(number)) == name


def test_types_are_those_of_htcondor() -> None:
    theirs = {kind.name: int(kind) for kind in htcondor2.JobEventType if kind < 100}
    assert {kind.name: int(kind) for kind in EventType} == theirs


def test_numbers_without_a_name() -> None:
    assert my_type(99) == "FutureEvent"
    assert event_name(99) == "event_99"
    assert event_name(12) == "held"


@pytest.mark.parametrize(
    ("owner", "word"),
    [("ann", "ann"), ("ann.b@pool.org", "ann%2Eb@pool%2Eorg"), ("", "-"), ("*", "%2A"), ("ü", "%C3%BC")],
)
def test_routing_keys_have_five_words(owner: str, word: str) -> None:
    assert routing_key(0, owner, 12, 0) == f"job.submit.{word}.12.0"


def test_routing_keys_fit_into_255_bytes() -> None:
    key = routing_key(EventType.POST_SCRIPT_TERMINATED, "ü" * 255, 2**31 - 1, 2**31 - 1)
    assert len(key.encode()) <= 255
    assert key.count(".") == 4


def test_the_ad_of_an_event() -> None:
    event = JobEvent(EventType.JOB_HELD, 7, 1, "ann", 5.0, {"HoldReason": "full", "X": Expression("a+b")})
    assert list(event.ad()) == [
        ("MyType", "s", "JobHeldEvent"),
        ("EventTypeNumber", "n", "12"),
        ("Cluster", "n", "7"),
        ("Proc", "n", "1"),
        ("Subproc", "n", "0"),
        ("HoldReason", "s", "full"),
        ("X", "x", "a + b"),
    ]
    assert list(JobEvent(EventType.SUBMIT, 7, 1, "ann", 5.0).ad())[-1] == ("Subproc", "n", "0")


def test_what_events_have_of_their_own() -> None:
    for kind, _, fields in SAMPLES:
        if kind != EventType.JOB_AD_INFORMATION:
            assert [name for name in fields if not is_event_attribute(name)] == []
    for name in ("Owner", "JobUniverse", "Job", "Cmd", "JobStatus", "QDate", "ServerTime"):
        assert not is_event_attribute(name)
